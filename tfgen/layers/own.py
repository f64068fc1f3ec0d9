"""Networks that a user passes in place of a model's own.

A network is any Keras layer or model. A run stores it by Keras's serialization,
without its weights. They are initialized from the run's seed.

Keras layers that draw noise or keep statistics work. But on several replicas
the result depends on the number of replicas, except with the layers of tfgen:

- keras.layers.Dropout draws the same mask on every replica. `Dropout` takes its
  mask from the noise of the step.
- keras.layers.BatchNormalization normalises over the rows of one replica.
  `tfgen.layers.batch_norm.BatchNorm` normalises over the global batch.
"""

import contextlib
import contextvars
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfgen import objects
from tfgen.errors import UserError
from tfgen.layers.linear import dropout
from tfgen.noise import Noise

# The noise of the update that is being traced; None outside of training.
_noise: contextvars.ContextVar[Noise | None] = contextvars.ContextVar(
    'noise', default=None
)
# Layers that let the rows of a batch depend on each other.
_MEETING = ('BatchNormalization', 'BatchNorm')


@contextlib.contextmanager
def training(noise: Noise | None):
    """A context in which users' networks are in training and use `noise`.

    They are in inference if it is None. GradientUpdate.compute enters it. A
    training loop of your own must enter it, too.
    """
    token = _noise.set(noise)
    try:
        yield
    finally:
        _noise.reset(token)


def has_batch_statistics(settings: Mapping[str, Any]) -> bool:
    """Whether a network among `settings` lets rows of a batch interact."""
    kinds = (keras.layers.Layer, dict)
    networks = [v for v in settings.values() if isinstance(v, kinds)]
    text = json.dumps([objects.serialize(v) for v in networks])
    return any(f'"class_name": "{name}"' in text for name in _MEETING)


def build(
    network: keras.layers.Layer | dict | None,
    name: str,
    inputs: Sequence[int],
    outputs: Sequence[int],
    words: str,
    default: Callable[[], keras.layers.Layer] | None = None,
) -> keras.layers.Layer:
    """A user's network, with checked shapes, or else the default.

    Args:
      network: a layer, or the result of `objects.serialize`; None for the
        default.
      name: of the constructor's argument, for messages.
      inputs, outputs: shapes that it must take and give, without the batch.
      words: describes inputs and outputs in messages: 'z -> examples'.
      default: makes the model's own network.

    Raises:
      UserError: it cannot be built, or its shapes differ.
    """
    if network is None and default:
        return default()
    layer = objects.restore(network, f'the network {name}')
    shown = f'[B, {", ".join(map(str, inputs))}]'
    try:
        made = layer(tf.zeros([2, *inputs]))
    except Exception as error:
        raise UserError(
            f'{name} does not take {shown} ({words}; '
            f'{objects.one_line(error)}): pass a network that does'
        ) from None
    given = getattr(made, 'shape', None)
    if given is None or list(given) != [2, *outputs]:
        given = '?' if given is None else ', '.join(map(str, given[1:]))
        raise UserError(
            f'{name} gives [B, {given}] for {shown} ({words}), and must give '
            f'[B, {", ".join(map(str, outputs))}]: change its last layer'
        )
    return OwnNetwork(layer)


class OwnNetwork(keras.layers.Layer):
    """A user's network, called in training or in inference mode."""

    def __init__(self, network: keras.layers.Layer):
        super().__init__(dtype='float32')
        self.network = network
        self.built = True

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """[B, ...] -> float32 [B, ...].

        If `training` is None, the network is in training mode exactly inside
        the context manager `training` of this module.
        """
        if training is None:
            training = _noise.get() is not None
        return tf.cast(self.network(x, training=training), tf.float32)


def with_maps(
    example: tf.Tensor, extra: Iterable[tf.Tensor | None]
) -> tf.Tensor:
    """Appends numbers to examples; to images as constant maps.

    Args:
      example: [B, ..., C].
      extra: numbers [B, n], or None.

    Returns:
      [B, ..., C + n ...].
    """
    for numbers in extra:
        if numbers is None:
            continue
        middle = example.shape[1:-1]
        shape = [-1, *[1] * len(middle), numbers.shape[-1]]
        maps = tf.tile(tf.reshape(numbers, shape), [1, *middle, 1])
        example = tf.concat([example, tf.cast(maps, example.dtype)], axis=-1)
    return example


@keras.saving.register_keras_serializable('tfgen')
class Dropout(keras.layers.Layer):
    """Dropout whose mask comes from the step's noise.

    The masks do not depend on the number of replicas, and a resumed run draws
    the masks of an uninterrupted run. If an example has several rows, as in a
    decoder with importance_samples, each row has its own mask. Outside of
    training the layer does nothing.

    Args:
      rate: share of the values that become 0, in [0, 1).
      key: name of the layer's noise. Two layers with equal keys and shapes draw
        equal masks, so give each layer of a model its own key.
    """

    def __init__(self, rate: float, key: str = 'dropout', **options):
        super().__init__(**options)
        self.rate, self.key = rate, key

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        noise = _noise.get()
        if noise is None or training is False:
            return x
        name = f'own/{self.key}'
        rows, examples = x.shape[0], noise.uniform(name, []).shape[0]
        if rows == examples:
            return dropout(x, self.rate, noise, name)
        # The rows of an example are adjacent.
        each = tf.reshape(x, [examples, rows // examples, *x.shape[1:]])
        return tf.reshape(dropout(each, self.rate, noise, name), tf.shape(x))

    def get_config(self) -> dict:
        return super().get_config() | {'rate': self.rate, 'key': self.key}
