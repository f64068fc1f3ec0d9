"""Trained models, by name or by path: `tfgen.load`."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping

import tensorflow as tf

from tfgen import storage
from tfgen.errors import UserError
from tfgen.export import saved_model, signatures
from tfgen.training import workdir


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A trained model: the functions that it serves, and facts about it.

        model = tfgen.load('cvae_digits')
        model['sample'](seed=[1, 2], label=[3, 7])['image']

    Attributes:
      functions: signature -> function of keyword arguments, each a tensor or
        nested lists of rows, that returns a dict of tensors; see
        docs/serve.md. A wrong value raises InvalidArgumentError.
      facts: preset, fields, seed, step, data spec; for a run also its folder.
    """

    functions: Mapping[str, Callable]
    facts: dict

    def __getitem__(self, name: str) -> Callable:
        if name not in self.functions:
            raise UserError(
                f'{self.facts.get("preset")} serves no {name!r}: it serves '
                f'{", ".join(sorted(self.functions))}'
            )
        return self.functions[name]


def folder() -> pathlib.Path:
    """The folder pretrained/ of a clone or of an installed tfgen."""
    return storage.packaged('pretrained')


def names() -> list[str]:
    """The names of the trained models that come with tfgen."""
    return sorted(f.name for f in folder().glob('*') if (f / '1').is_dir())


def load(source: str) -> Loaded:
    """A trained model: one that comes with tfgen, a run, or an export.

    Args:
      source: a workdir, the folder of an exported model, or of one version. If
        there is no such folder, one of `names`.

    Raises:
      UserError: there is no such model.
    """
    path = storage.local(source)
    if (path / 'config.json').exists():
        config = workdir.read_config(path)
        model, step = config.restore(path)
        facts = saved_model.public(config) | {
            'step': step,
            'workdir': str(path),
        }
        return _loaded(signatures.functions(model), facts)
    if source in names() and not saved_model.versions(path):
        path = folder() / source
    if not path.is_dir():
        raise UserError(
            f'no trained model {source!r}: pass a folder of a run or an '
            f'export, or one of {", ".join(names())}'
        )
    functions, info = saved_model.load(path)
    return _loaded(functions, info)


def _loaded(functions, facts):
    """Loaded, from functions that take tensors."""
    return Loaded({n: _of_rows(f) for n, f in functions.items()}, facts)


def _of_rows(function):
    """Wraps a function so that it also takes nested lists.

    Values get the types that the signature states. Missing and unknown inputs
    raise UserError.
    """

    def call(**inputs):
        specs = function.structured_input_signature[1]
        for name in inputs.keys() ^ specs.keys():
            known = 'takes no' if name in inputs else 'also needs'
            raise UserError(
                f'this function {known} {name!r}: it takes '
                f'{", ".join(sorted(specs))}'
            )
        return function(
            **{
                name: tf.convert_to_tensor(value, specs[name].dtype)
                for name, value in inputs.items()
            }
        )

    return call
