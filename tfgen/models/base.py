"""The contract that every model fulfils, and nothing else.

Shape letters, used everywhere:
  B  examples in a batch      H, W, C  image height, width, channels
  K  latent or hidden size    T        steps of a sequence
"""

import abc
import dataclasses
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from tfgen.noise import Noise

Batch = dict[str, tf.Tensor]
Terms = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True)
class Objective:
    """One player: what it minimises and what it moves.

    Attributes:
      name: 'generator', 'discriminator'; 'model' where there is only one.
      loss_terms: (batch, noise) -> named float32 [B] terms; their sum,
        averaged over the global batch by the training loop, is minimised.
      variables: what this player moves.
      updates: updates per step, each on a batch of its own.
    """

    name: str
    loss_terms: Callable[[Batch, Noise], Terms]
    variables: Sequence[keras.Variable]
    updates: int = 1


@dataclasses.dataclass(frozen=True)
class Signature:
    """One function that an exported model serves.

    Attributes:
      function: takes the tensors of `inputs` by name ('seed' arrives as
        `noise`, one seed per row) and returns named tensors; all have the
        batch as first dimension.
      inputs: names among 'seed', 'label', 'image', 'audio', 'mask', 'z'; what
        they hold is said once, in `GenerativeModel.request_specs`.
      makes: 'image' or 'audio' if the result has one; export then adds a twin
        that returns it as an encoded file (`*_png`, `*_wav`).
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: tuple[str, ...]
    makes: str = ''


class GenerativeModel(keras.Model, abc.ABC):
    """A generative model of images or sounds; every concrete class is final.

    Args:
      example_shape: (H, W, C) of an image, (T,) of a sound.
      num_classes: 0 for p(x), or the number of labels for p(x | label); the
        model then requires a label everywhere.
    """

    # What an example is, and its name in a batch: 'image' or 'audio'.
    kind = 'image'
    # Faster with XLA on a CPU as well: loops, many small operations.
    jit_on_cpu = False
    # The loss of one replica needs the others (batch statistics): such a loss
    # cannot be compiled by XLA alone.
    cross_replica = False
    # Size K of the latent vector z; 0 without one.
    latent_size = 0
    # RGB bytes of each level, for data whose levels are names of colours.
    palette: tuple[tuple[int, int, int], ...] | None = None
    # Samples per second of a sound.
    sample_rate = 0

    def __init__(self, example_shape: Sequence[int], num_classes: int = 0):
        super().__init__()
        self.example_shape = tuple(example_shape)
        self.num_classes = num_classes

    def loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """What a model of one player minimises; see Objective."""
        raise NotImplementedError

    def objectives(self) -> tuple[Objective, ...]:
        """The players, in the order in which they move in each step."""
        return (Objective('model', self.loss_terms, self.trainable_variables),)

    @abc.abstractmethod
    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """float32 [B, *example_shape] in the data's range; B is the noise's."""

    @abc.abstractmethod
    def signatures(self) -> dict[str, Signature]:
        """What the model serves: name -> Signature; 'sample' is required."""

    def _serve_sample(self, noise, label=None):
        return {self.kind: self.sample(noise, label)}

    def diagnostics(self, batch: Batch, noise: Noise) -> Terms:
        """Numbers to watch that are not minimised: named float32 [B]."""
        del batch, noise
        return {}

    def request_specs(self) -> dict[str, tf.TensorSpec]:
        """What each input of a signature holds.

        seed   any integer; decides its row's noise, alone.
        label  0 .. num_classes - 1.
        image  values in [0, 1].
        audio  samples in [-1, 1].
        mask   1 where a pixel or sample is known, 0 where it is asked for.
        z      a latent vector, standard normal a priori.
        """
        specs = {
            'seed': tf.TensorSpec([None], tf.int64),
            self.kind: tf.TensorSpec([None, *self.example_shape], tf.float32),
            'mask': tf.TensorSpec([None, *self.mask_shape()], tf.float32),
        }
        if self.num_classes:
            specs['label'] = tf.TensorSpec([None], tf.int32)
        if self.latent_size:
            specs['z'] = tf.TensorSpec([None, self.latent_size], tf.float32)
        return {
            name: tf.TensorSpec(spec.shape, spec.dtype, name)
            for name, spec in specs.items()
        }

    def mask_shape(self) -> tuple[int, ...]:
        """(H, W, 1) or (T,)."""
        if self.kind == 'audio':
            return self.example_shape
        return (*self.example_shape[:-1], 1)

    def with_label(self, *inputs: str) -> tuple[str, ...]:
        """`inputs`, and 'label' if the model is conditional."""
        return (*inputs, 'label') if self.num_classes else inputs

    def one_hot(self, label: tf.Tensor | None) -> tf.Tensor | None:
        """[B] -> float32 [B, num_classes]; None for an unconditional model.

        Raises:
          ValueError: a conditional model was given no label.
        """
        if not self.num_classes:
            return None
        if label is None:
            raise ValueError(
                f'this model is conditional on {self.num_classes} classes: '
                'pass label'
            )
        return tf.one_hot(label, self.num_classes)

    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(v.shape.num_elements() for v in self.trainable_variables)


class ExactModel(GenerativeModel):
    """A model with an exact likelihood that draws value after value."""

    @abc.abstractmethod
    def log_prob(
        self, example: tf.Tensor, label: tf.Tensor | None = None
    ) -> tf.Tensor:
        """log p(example | label) in nats, exact: -> [B], <= 0."""

    @abc.abstractmethod
    def complete(
        self,
        example: tf.Tensor,
        mask: tf.Tensor,
        noise: Noise,
        label: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Draws what `mask` hides, each value given all earlier ones.

        A known value behind a hidden one cannot influence it: the model
        offers no tractable p(x_t | future).

        Args:
          example: [B, *example_shape].
          mask: [B, *mask_shape], 1 where known, 0 where drawn.
          noise: one row per example; equal to that of `sample`, so that an
            empty mask gives `sample`.
          label: [B] if the model is conditional.

        Returns:
          [B, *example_shape]; known values are those of `example`, bit for
          bit.
        """

    def signatures(self) -> dict[str, Signature]:
        return {
            'sample': Signature(
                self._serve_sample, self.with_label('seed'), self.kind
            ),
            'log_prob': Signature(
                self._serve_log_prob, self.with_label(self.kind)
            ),
            'complete': Signature(
                self._serve_complete,
                self.with_label(self.kind, 'mask', 'seed'),
                self.kind,
            ),
        }

    def _serve_log_prob(self, label=None, **example):
        return {'log_prob': self.log_prob(example[self.kind], label)}

    def _serve_complete(self, mask, noise, label=None, **example):
        completed = self.complete(example[self.kind], mask, noise, label)
        return {self.kind: completed}


def concat_features(*features: tf.Tensor | None) -> tf.Tensor:
    """Concatenates [B, n] features along the last axis, leaving out None."""
    return tf.concat([f for f in features if f is not None], axis=-1)
