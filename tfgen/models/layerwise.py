"""Layer-wise training of a deep auto-encoder, before all layers are trained.

Source: Hinton and Salakhutdinov 2006. A layer of the encoder and the decoder
layer that mirrors it form a Boltzmann machine (models/rbm.py). It is trained by
contrastive divergence on the outputs of the layers below. The machines are
trained one after the other, each for some steps. Then gradient descent trains
the whole network.

Departures: Adam replaces gradient descent with momentum. The two kernels of a
machine start as transposes of each other and get the same gradient, but they
are two variables.
"""

import functools
from collections.abc import Sequence

import keras
import tensorflow as tf

from tfgen.models.contracts.updates import Batch, GradientUpdate, Mean, Terms
from tfgen.noise import Noise


def machines(
    encoder: keras.Sequential, decoder: keras.Sequential
) -> list[tuple[keras.layers.Dense, keras.layers.Dense]]:
    """The encoder layer and decoder layer of each machine, from the data up."""
    up, down = (
        [x for x in network.layers if isinstance(x, keras.layers.Dense)]
        for network in (encoder, decoder)
    )
    return list(zip(up, reversed(down), strict=True))


def initialize_from(
    encoder: keras.Sequential, decoder: keras.Sequential
) -> None:
    """Sets each decoder kernel to the transpose of the one that it mirrors."""
    for up, down in machines(encoder, decoder):
        down.kernel.assign(tf.transpose(up.kernel))


def updates(
    encoder: keras.Sequential, decoder: keras.Sequential, key: str, steps: int
) -> list['Machine']:
    """One update for each machine; each moves for `steps` steps in its turn.

    Args:
      encoder, decoder: of sigmoid layers; the last layer of each is linear.
      key: of the data in a batch, [B, ...] in [0, 1].
      steps: for which each machine is trained.
    """
    pairs = machines(encoder, decoder)
    return [
        Machine(
            f'layer_{number + 1}',
            functools.partial(_divergence, pairs, number, key),
            [up.kernel, up.bias, down.kernel, down.bias],
            window=(number * steps, (number + 1) * steps),
        )
        for number, (up, down) in enumerate(pairs)
    ]


class Machine(GradientUpdate):
    """The update of one machine. Outside its window it computes nothing."""

    def compute(
        self, batch: Batch, noise: Noise, mean: Mean
    ) -> tuple[Terms, list[tf.Tensor]]:
        first, last = self.window
        step = tf.convert_to_tensor(self.optimizer.iterations)
        descent = super().compute

        def learned():
            terms, slopes = descent(batch, noise, mean)
            return terms['divergence'], slopes

        divergence, slopes = tf.cond(
            (step >= first) & (step < last),
            learned,
            lambda: (0.0, [tf.zeros(v.shape) for v in self.variables]),
        )
        return {'divergence': divergence}, slopes


def _divergence(
    pairs: Sequence, number: int, key: str, batch: Batch, noise: Noise
) -> Terms:
    """Energy of data minus the energy of their CD-1 reconstructions: [B].

    Its value means little; its gradient is that of contrastive divergence. The
    data of a machine are the probabilities that the layers below compute. The
    hidden units of the last machine are normal, with deviation 1.
    """
    visible = tf.reshape(batch[key], [-1, pairs[0][0].kernel.shape[0]])
    for below, _ in pairs[:number]:
        visible = below(visible)
    up, down = pairs[number]
    hidden = up(visible)
    size = [hidden.shape[1]]
    if number == len(pairs) - 1:
        state = hidden + noise.normal('hidden', size)
    else:
        drawn = noise.uniform('hidden', size) < hidden
        state = tf.cast(drawn, tf.float32)
    confabulated = tf.sigmoid(
        tf.matmul(state, tf.convert_to_tensor(down.kernel)) + down.bias
    )
    data = _energy(up, down, visible, hidden)
    return {
        'divergence': data - _energy(up, down, confabulated, up(confabulated))
    }


def _energy(up, down, visible, hidden):
    """The energy, with the product of visible and hidden units twice: [B].

    The product is computed once with each kernel, so each kernel gets the whole
    gradient.
    """
    visible, hidden = tf.stop_gradient(visible), tf.stop_gradient(hidden)
    by_up = tf.matmul(visible, tf.convert_to_tensor(up.kernel)) + up.bias
    by_down = tf.matmul(hidden, tf.convert_to_tensor(down.kernel)) + down.bias
    return -tf.reduce_sum(by_up * hidden, axis=1) - tf.reduce_sum(
        by_down * visible, axis=1
    )
