"""WaveNet: an exact autoregressive model of sound, sample by sample.

p(x) = product over t of p(x_t | x_1 .. x_(t-1)), where x_t is one of 256
levels of the mu-law scale. Causal convolutions see far back, because their
dilation doubles from layer to layer. Drawing a sample costs one step of each
layer, because every layer keeps its past inputs in a queue as long as its
dilation.

Source: van den Oord et al. 2016, "WaveNet: a generative model for raw audio";
Le Paine et al. 2016, "Fast WaveNet generation algorithm", for the queues.
Departure: the first layer is a table of vectors, one per level. It equals a
causal convolution of width 1 over one-hot samples.
"""

import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfgen import probability
from tfgen.arguments import Size
from tfgen.data.specs import SoundSpec
from tfgen.layers.linear import LabelEmbedding, Linear, gated
from tfgen.models.contracts.likelihood import Autoregressive

LEVELS = 256
_MU = LEVELS - 1


def mu_law_levels(audio: tf.Tensor) -> tf.Tensor:
    """Audio in [-1, 1] -> int32 levels 0 .. 255.

    f(x) = sign(x) log(1 + mu |x|) / log(1 + mu), rounded to 256 steps.

    Source: ITU-T G.711, mu = 255; the paper, section 2.2.
    """
    magnitude = tf.math.log1p(_MU * tf.abs(audio)) / math.log1p(_MU)
    return tf.cast(
        tf.round((tf.sign(audio) * magnitude + 1.0) * (_MU / 2.0)), tf.int32
    )


def mu_law_audio(levels: tf.Tensor) -> tf.Tensor:
    """int32 levels 0 .. 255 -> [-1, 1], the inverse of `mu_law_levels`."""
    # A table, because the last bit of a computed power depends on its place in
    # a vector, and so on the number of rows.
    value = np.arange(LEVELS) * (2.0 / _MU) - 1.0
    magnitude = np.expm1(np.abs(value) * math.log1p(_MU)) / _MU
    return tf.gather((np.sign(value) * magnitude).astype(np.float32), levels)


class WaveNet(Autoregressive):
    """Dilated causal convolutions over mu-law samples.

    Layer i of a stack has dilation 2^i and computes

      z = tanh(W_f * x + V_f y) . sigmoid(W_g * x + V_g y)

    (equations 2 and 3; * is a causal convolution of width 2, y the label). It
    adds a 1x1 convolution of z to its input, and another to the skip
    connections. Two 1x1 convolutions map the sum of the skip connections to
    logits (section 2.4).

    Args:
      spec: of sounds.
      units: K, residual channels.
      skip_units: channels of the skip connections.
      num_stacks: stacks of layers; in each, the dilations start again at 1.
      layers_per_stack: layers of a stack; the last one has dilation
        2^(layers_per_stack - 1).
      conditional: see Model.
    """

    spec_types = (SoundSpec,)
    draws = 'samples'
    levels = LEVELS

    def __init__(
        self,
        spec: SoundSpec,
        units: Size = 32,
        skip_units: Size = 64,
        num_stacks: Size = 2,
        layers_per_stack: Size = 9,
        conditional: bool = False,
    ):
        super().__init__(spec, conditional)
        self.units = units
        self.dilations = [
            2**i for _ in range(num_stacks) for i in range(layers_per_stack)
        ]
        self.levels_table = self.add_weight(
            shape=[LEVELS, units],
            name='levels_table',
            initializer='random_normal',
            dtype='float32',
        )
        last = len(self.dilations) - 1
        self.blocks = [
            Block(d, units, skip_units, self.num_classes, last=number == last)
            for number, d in enumerate(self.dilations)
        ]
        self.hidden = Linear(skip_units, skip_units)
        self.readout = Linear(skip_units, LEVELS)

    @classmethod
    def jit_on_cpu(cls, settings: Mapping[str, Any]) -> bool:
        return True

    @property
    def receptive_field(self) -> int:
        """The number of past samples on which a sample depends."""
        return sum(self.dilations) + 1

    def to_levels(self, example: tf.Tensor) -> tf.Tensor:
        return mu_law_levels(example)

    def to_example(self, levels: tf.Tensor) -> tf.Tensor:
        return mu_law_audio(levels)

    def _logits(self, levels, label, noise):
        one_hot = self.one_hot(label)
        # Sample t is predicted from earlier samples, and the first from zeros.
        # The table is multiplied by one-hot samples, because the gradient of a
        # gather adds rows in no fixed order.
        x = tf.one_hot(levels[:, :-1], LEVELS)
        x = tf.tensordot(x, self.levels_table, 1)
        x = tf.pad(x, [[0, 0], [1, 0], [0, 0]])
        skip = 0.0
        for block in self.blocks:
            x, more = block(x, condition=block.condition(one_hot))
            skip += more
        return self.readout(tf.nn.relu(self.hidden(tf.nn.relu(skip))))

    def _generate(self, noise, label, given):
        """The loop over samples: int32 [B, T]; see Autoregressive."""
        uniforms = tf.transpose(self.uniforms(noise))
        length = self.spec.length
        batch = tf.shape(uniforms)[1]
        if given is not None:
            given = tf.transpose(given)
        one_hot = self.one_hot(label)
        step_weights = [
            # One row per example: see Linear.step_weights.
            (
                block.condition(one_hot) + tf.zeros([batch, 1]),
                *block.step_weights(batch),
            )
            for block in self.blocks
        ]
        hidden = self.hidden.step_weights(batch)
        readout = self.readout.step_weights(batch)
        table = tf.convert_to_tensor(self.levels_table)

        def step(t, x, queues, drawn):
            """Draws sample t of all rows; x [B, K] is the input of block 1."""
            skip, after = 0.0, []
            for block, queue, weights in zip(
                self.blocks, queues, step_weights, strict=True
            ):
                # The slot holds the input of `dilation` steps ago. A queue is
                # no longer than the sound; before the sound, inputs are 0.
                slot = t % queue.size()
                past = queue.read(slot)
                after.append(queue.write(slot, x))
                x, more = block.step(x, past, *weights)
                skip += more
            x = tf.nn.relu(tf.nn.relu(skip) @ hidden[0] + hidden[1])
            logits = x @ readout[0] + readout[1]
            level = probability.categorical(logits, uniforms[t])
            if given is not None:
                level = tf.where(given[t] < 0, level, given[t])
            return t + 1, tf.gather(table, level), after, drawn.write(t, level)

        zeros = tf.zeros([batch, self.units])
        queues = [
            tf.TensorArray(tf.float32, d, clear_after_read=False).unstack(
                tf.tile(zeros[None], [d, 1, 1])
            )
            for d in (min(d, length) for d in self.dilations)
        ]
        *_, drawn = tf.while_loop(
            lambda t, *_: t < length,
            step,
            (0, zeros, queues, tf.TensorArray(tf.int32, length)),
            maximum_iterations=length,
        )
        return tf.transpose(drawn.stack())


class Block(keras.layers.Layer):
    """One layer: [B, T, K] -> the next layer's input, and a skip term.

    The last layer has no next one, so it has no residual convolution.
    """

    def __init__(
        self,
        dilation: int,
        units: int,
        skip_units: int,
        num_classes: int,
        last: bool = False,
    ):
        super().__init__(dtype='float32')
        self.built = True  # the weights below need no input shape
        self.dilation = dilation
        # The taps are the sample `dilation` ago and the current one. The
        # outputs are filter and gate.
        self.gates = Linear(units, 2 * units, leading=[2])
        self.residual = None if last else Linear(units, units)
        self.skip = Linear(units, skip_units)
        if num_classes:
            self.label = LabelEmbedding(num_classes, 2 * units)

    def condition(self, one_hot: tf.Tensor | None) -> tf.Tensor:
        """The label's term of the gates, plus the bias: [B or 1, 2K]."""
        bias = tf.convert_to_tensor(self.gates.bias)[None]
        return bias if one_hot is None else self.label(one_hot) + bias

    def call(self, x: tf.Tensor, condition: tf.Tensor) -> tuple:
        """[B, T, K], [B or 1, 2K] -> [B, T, K] and [B, T, skip_units]."""
        ago = min(self.dilation, x.shape[1])
        past = tf.pad(x[:, : x.shape[1] - ago], [[0, 0], [ago, 0], [0, 0]])
        of_past, of_now = tf.unstack(self.gates.kernel)
        gates = tf.tensordot(past, of_past, 1) + tf.tensordot(x, of_now, 1)
        z = gated(gates + condition[:, None])
        if self.residual is not None:
            x += self.residual(z)
        return x, self.skip(z)

    def step_weights(self, batch: int | tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The weights of `step`, concatenated, as plain tensors."""
        gates = tf.reshape(self.gates.kernel, [-1, self.gates.kernel.shape[-1]])
        outputs = [self.skip.step_weights(batch)]
        if self.residual is not None:
            outputs.insert(0, self.residual.step_weights(batch))
        kernels, biases = zip(*outputs, strict=True)
        return gates, tf.concat(kernels, axis=1), tf.concat(biases, axis=1)

    def step(
        self,
        x: tf.Tensor,
        past: tf.Tensor,
        condition: tf.Tensor,
        gates: tf.Tensor,
        outputs: tf.Tensor,
        bias: tf.Tensor,
    ) -> tuple:
        """One sample: x and the input `dilation` samples ago, each [B, K].

        Returns:
          The next layer's input, and a skip term.
        """
        z = gated(tf.concat([past, x], axis=1) @ gates + condition)
        y = z @ outputs + bias
        if self.residual is None:
            return x, y
        residual, skip = tf.split(y, [x.shape[1], -1], axis=1)
        return x + residual, skip
