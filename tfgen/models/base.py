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
      inputs: names among 'seed', 'label', 'image', 'mask', 'z'; what they
        hold is said once, in `GenerativeModel.request_specs`.
      makes_image: the result has an 'image'; export then adds a `*_png` twin.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: tuple[str, ...]
    makes_image: bool = False


class GenerativeModel(keras.Model, abc.ABC):
    """A generative model of images; every concrete class is final.

    Args:
      image_shape: (H, W, C).
      num_classes: 0 for p(image), or the number of labels for
        p(image | label); the model then requires a label everywhere.
    """

    # Loops over steps: worth compiling with XLA on a CPU as well.
    recurrent = False
    # The loss of one replica needs the others (batch statistics): such a loss
    # cannot be compiled by XLA alone.
    cross_replica = False
    # Size K of the latent vector z; 0 without one.
    latent_size = 0

    def __init__(self, image_shape: Sequence[int], num_classes: int = 0):
        super().__init__()
        self.image_shape = tuple(image_shape)
        self.num_classes = num_classes

    @abc.abstractmethod
    def objectives(self) -> tuple[Objective, ...]:
        """The players, in the order in which they move in each step."""

    @abc.abstractmethod
    def sample(self, noise: Noise, label: tf.Tensor | None = None) -> tf.Tensor:
        """float32 [B, H, W, C] in [0, 1]; B is the noise's."""

    @abc.abstractmethod
    def signatures(self) -> dict[str, Signature]:
        """What the model serves: name -> Signature; 'sample' is required."""

    def diagnostics(self, batch: Batch, noise: Noise) -> Terms:
        """Numbers to watch that are not minimised: named float32 [B]."""
        del batch, noise
        return {}

    def request_specs(self) -> dict[str, tf.TensorSpec]:
        """What each input of a signature holds.

        seed   any integer; decides its row's noise, alone.
        label  0 .. num_classes - 1.
        image  values in [0, 1].
        mask   1 where a pixel of `image` is known, 0 where it is asked for.
        z      a latent vector, standard normal a priori.
        """
        height, width, _ = self.image_shape
        specs = {
            'seed': tf.TensorSpec([None], tf.int64),
            'image': tf.TensorSpec([None, *self.image_shape], tf.float32),
            'mask': tf.TensorSpec([None, height, width, 1], tf.float32),
        }
        if self.num_classes:
            specs['label'] = tf.TensorSpec([None], tf.int32)
        if self.latent_size:
            specs['z'] = tf.TensorSpec([None, self.latent_size], tf.float32)
        return {
            name: tf.TensorSpec(spec.shape, spec.dtype, name)
            for name, spec in specs.items()
        }

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


def concat_features(*features: tf.Tensor | None) -> tf.Tensor:
    """Concatenates [B, n] features along the last axis, leaving out None."""
    return tf.concat([f for f in features if f is not None], axis=-1)
