"""Trained models: one class for runs, exports and pretrained models."""

import functools
import pathlib
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tfgen import storage
from tfgen.data import Spec
from tfgen.errors import UserError
from tfgen.export import pretrained, saved_model, signatures
from tfgen.models.contracts.model import Model
from tfgen.training import workdir


class TrainedModel:
    """A trained model: the functions that it serves, and the Config of its run.

        model = tfgen.load('cvae_digits')
        model['sample'](seed=[1, 2], label=[3, 7])['image']

    Attributes:
      config: of the run.
      step: the number of training steps.
      folder: the workdir of a run, or the folder of an export.
      live: a run's Keras model; None for an export, which has only functions.
    """

    def __init__(
        self,
        config: workdir.Config,
        step: int,
        folder: pathlib.Path,
        live: Model | None = None,
        functions: Mapping[str, Callable] | None = None,
    ):
        """One of `live` and `functions` is given."""
        self.config, self.step, self.folder = config, step, folder
        self.live, self._functions = live, functions

    @functools.cached_property
    def functions(self) -> Mapping[str, Callable]:
        """Signature -> function of keyword tensors that returns named tensors.

        A wrong value raises InvalidArgumentError; see docs/serve.md.
        """
        if self._functions is not None:
            return self._functions
        return signatures.functions(self.model())

    def model(self) -> Model:
        """The Keras model of a run.

        Raises:
          UserError: this is an export, which has only functions.
        """
        if self.live is None:
            raise UserError(
                f'{str(self.folder)!r} is an export, which holds no Keras '
                'model: pass its run'
            )
        return self.live

    @property
    def spec(self) -> Spec:
        """The type of the examples, and facts about their data set."""
        return self.config.spec

    @property
    def conditional(self) -> bool:
        """Whether this is p(x | label)."""
        return self.config.preset.conditional

    def __getitem__(self, name: str) -> Callable:
        """The function of a signature, which also takes nested lists of rows.

        Values get the types that the signature states. Missing and unknown
        inputs raise UserError.
        """
        if name not in self.functions:
            raise UserError(
                f'{self.config.name} serves no {name!r}: it serves '
                f'{", ".join(sorted(self.functions))}'
            )
        function = self.functions[name]
        specs = function.structured_input_signature[1]

        def call(**inputs):
            for key in inputs.keys() ^ specs.keys():
                known = 'takes no' if key in inputs else 'also needs'
                raise UserError(
                    f'{name!r} {known} {key!r}: it takes '
                    f'{", ".join(sorted(specs))}'
                )
            return function(
                **{
                    key: tf.convert_to_tensor(value, specs[key].dtype)
                    for key, value in inputs.items()
                }
            )

        return call

    def call(self, name: str, inputs: Mapping) -> dict[str, np.ndarray]:
        """Calls a signature's function; takes and returns NumPy arrays."""
        return {k: v.numpy() for k, v in self[name](**inputs).items()}


def load_run(source: str | pathlib.Path) -> TrainedModel:
    """Loads the last checkpoint of the run in a workdir.

    Raises:
      UserError: `source` is no workdir, or has no checkpoint.
    """
    path = storage.local(source)
    config = workdir.read_config(path)
    model, step = config.restore(path)
    return TrainedModel(config, step, path, live=model)


def load_export(source: str | pathlib.Path) -> TrainedModel:
    """Loads the newest version of an export, or a model of `pretrained.names`.

    Args:
      source: the folder of an exported model, or of one version. If there is no
        such folder, the name of a pretrained model.

    Raises:
      UserError: there is no such model.
    """
    path = storage.local(source)
    if str(source) in pretrained.names() and not saved_model.versions(path):
        path = pretrained.folder() / source
    if not path.is_dir():
        raise UserError(
            f'no trained model {str(source)!r}: pass a folder of a run or an '
            f'export, or one of {", ".join(pretrained.names())}'
        )
    functions, info = saved_model.load(path)
    config = workdir.Config.from_dict(info)
    return TrainedModel(config, info['step'], path, functions=functions)


def load(source: str | pathlib.Path) -> TrainedModel:
    """Loads a run, an export or a pretrained model: `tfgen.load`.

    Args:
      source: a workdir, or see `load_export`.

    Raises:
      UserError: there is no such model.
    """
    if (storage.local(source) / 'config.json').exists():
        return load_run(source)
    return load_export(source)
