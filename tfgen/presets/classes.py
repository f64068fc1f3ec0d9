"""Names of model classes in stored configurations.

A class of tfgen.models is stored by its name, 'CVAE'. Any other class is stored
as 'package.module:Class', and its module must be importable.
"""

from tfgen import models, objects
from tfgen.errors import UserError
from tfgen.models.contracts.model import Model


def name_of(model: type[Model]) -> str:
    """The stored name of a model class."""
    if getattr(models, model.__name__, None) is model:
        return model.__name__
    return objects.path_of(model)


def find(name: str) -> type[Model]:
    """The model class of a stored name.

    Raises:
      UserError: there is no such class.
    """
    own = ':' in name
    found = objects.find(name) if own else getattr(models, name, None)
    if isinstance(found, type) and issubclass(found, Model):
        return found
    where = 'put its module where Python finds it' if own else 'update tfgen'
    raise UserError(
        f'a stored configuration names the model {name!r}, and there is no '
        f'such class here: {where}'
    )
