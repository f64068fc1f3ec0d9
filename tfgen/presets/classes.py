"""Names of model classes in stored configurations.

A class of tfgen.models is stored by its name, 'CVAE'. Any other class is stored
as 'package.module:Class', and its module must be importable.
"""

import importlib

from tfgen import models
from tfgen.errors import UserError
from tfgen.models.contracts.model import Model


def name_of(model: type[Model]) -> str:
    """The stored name of a model class."""
    if getattr(models, model.__name__, None) is model:
        return model.__name__
    return f'{model.__module__}:{model.__qualname__}'


def find(name: str) -> type[Model]:
    """The model class of a stored name.

    Raises:
      UserError: there is no such class.
    """
    module, colon, path = name.partition(':')
    try:
        found = importlib.import_module(module) if colon else models
        for part in (path if colon else name).split('.'):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError):
        found = None
    if isinstance(found, type) and issubclass(found, Model):
        return found
    where = 'put its module where Python finds it' if colon else 'update tfgen'
    raise UserError(
        f'a stored configuration names the model {name!r}, and there is no '
        f'such class here: {where}'
    )
