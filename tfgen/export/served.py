"""The functions that a model serves, as methods on NumPy arrays."""

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen import arguments
from tfgen.data import Spec, as_examples
from tfgen.errors import UserError

_ROWS = 256  # most rows in one call of a function


class ServedModel(abc.ABC):
    """A model that is called by the functions that an export serves.

    The methods take and return NumPy arrays, one row per example. They raise
    UserError if the model does not serve the function.
    """

    # The name of the model, for messages; the type of its examples; and whether
    # it is p(x | label).
    name: str
    spec: Spec
    conditional: bool
    # Signature -> function of keyword tensors that returns named tensors.
    functions: Mapping[str, Callable]

    def __getitem__(self, name: str) -> Callable:
        """The served function of this name: keyword inputs -> dict of tensors.

        Inputs may be tensors, arrays or nested lists; they are converted to the
        types of the signature. Missing and unknown inputs raise UserError.
        """
        self._require(name)
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
        """Calls a served function; returns NumPy arrays by name."""
        return {k: v.numpy() for k, v in self[name](**inputs).items()}

    def sample(
        self,
        count: int = 8,
        seed: int = 0,
        labels: int | Sequence[int] | None = None,
    ) -> np.ndarray:
        """Draws examples: [count, *spec.shape].

        Example i depends on the seed `seed` + i and its label alone.

        Args:
          count: number of examples.
          seed: of the first example.
          labels: one for all, or a sequence that is repeated; None takes all
            classes in turn.
        """
        arguments.check({'count': arguments.Size}, {'count': count})
        inputs = {'seed': seed + np.arange(count, dtype=np.int64)}
        return self._rows('sample', inputs, labels)[self.spec.key]

    def reconstruct(
        self, examples: Any, labels: Sequence[int] | None = None
    ) -> np.ndarray:
        """Encodes and decodes: [N, *spec.shape] -> the same shape.

        Args:
          examples: as for tfgen.train: uint8, or floats in [0, 1].
          labels: [N], if the model is conditional.
        """
        inputs = {self.spec.key: self.as_examples(examples)}
        return self._rows('reconstruct', inputs, labels)[self.spec.key]

    def complete(
        self,
        examples: Any,
        mask: Any,
        seed: int = 0,
        labels: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Draws the hidden values: [N, *spec.shape] -> the same shape.

        Args:
          examples: see `reconstruct`.
          mask: [N, *spec.mask_shape], or one mask for all examples: 1 for a
            known value, 0 for a value to draw.
          seed: of the first example.
          labels: [N], if the model is conditional.
        """
        self._require('complete')
        given = self.as_examples(examples)
        mask = np.asarray(mask, np.float32)
        shape = (len(given), *self.spec.mask_shape)
        if mask.ndim == len(shape) - 2:
            mask = mask[..., None]
        inputs = {
            self.spec.key: given,
            'mask': np.broadcast_to(mask, shape),
            'seed': seed + np.arange(len(given), dtype=np.int64),
        }
        return self._rows('complete', inputs, labels)[self.spec.key]

    def encode(
        self, examples: Any, labels: Sequence[int] | None = None
    ) -> np.ndarray:
        """Codes of examples, or the means of q(z|x): [N, K]."""
        inputs = {self.spec.key: self.as_examples(examples)}
        found = self._rows('encode', inputs, labels)
        return found['z'] if 'z' in found else found['mean']

    def decode(
        self, z: Any, labels: int | Sequence[int] | None = None
    ) -> np.ndarray:
        """Examples of codes: [N, K] -> [N, *spec.shape]."""
        inputs = {'z': np.asarray(z, np.float32)}
        return self._rows('decode', inputs, labels)[self.spec.key]

    def log_prob(
        self, examples: Any, labels: Sequence[int] | None = None
    ) -> np.ndarray:
        """The exact log p(x) in nats: [N]."""
        inputs = {self.spec.key: self.as_examples(examples)}
        return self._rows('log_prob', inputs, labels)['log_prob']

    def elbo(
        self,
        examples: Any,
        labels: Sequence[int] | None = None,
        seed: int = 0,
    ) -> np.ndarray:
        """An estimate of the ELBO in nats, from one draw of z: [N]."""
        given = self.as_examples(examples)
        seeds = seed + np.arange(len(given), dtype=np.int64)
        inputs = {self.spec.key: given, 'seed': seeds}
        return self._rows('elbo', inputs, labels)['elbo']

    def classify(self, examples: Any) -> np.ndarray:
        """Probabilities of the classes: [N, classes]."""
        inputs = {self.spec.key: self.as_examples(examples)}
        return self._rows('classify', inputs, None)['probabilities']

    def as_examples(self, given: Any) -> np.ndarray:
        """Converts examples to the form that the model takes: [N, *spec.shape].

        Raises:
          UserError: they have another shape or other values.
        """
        return as_examples(self.spec, given)

    def _require(self, name):
        """Raises UserError unless the model serves a function."""
        if name not in self.functions:
            raise UserError(
                f'{self.name} serves no {name!r}: it serves '
                f'{", ".join(sorted(self.functions))}'
            )

    def _rows(self, name, inputs, labels):
        """Calls a function in parts of _ROWS rows; adds labels."""
        self._require(name)
        count = len(next(iter(inputs.values())))
        inputs = inputs | self._labels(name, labels, count)
        parts = [
            self.call(name, {k: v[i : i + _ROWS] for k, v in inputs.items()})
            for i in range(0, max(count, 1), _ROWS)
        ]
        return {
            key: np.concatenate([part[key] for part in parts])
            for key in parts[0]
        }

    def _labels(self, name, labels, count):
        """{'label': int32 [count]}, or {} for an unconditional model."""
        if not self.conditional:
            if labels is not None:
                raise UserError(
                    f'labels are {labels!r} and {self.name} is not '
                    'conditional: leave labels out'
                )
            return {}
        classes = self.spec.num_classes
        if labels is None:
            if name not in ('sample', 'decode'):
                raise UserError(
                    f'{self.name} is conditional: pass labels, one per example'
                )
            labels = np.arange(classes)
        labels = np.atleast_1d(labels)
        if labels.dtype.kind not in 'iu' or np.any(
            (labels < 0) | (labels >= classes)
        ):
            raise UserError(
                f'labels are {labels.tolist()!r}: use 0 to {classes - 1}'
            )
        return {'label': np.resize(labels, count).astype(np.int32)}
