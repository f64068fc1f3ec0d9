"""Reproducible noise that models receive as an argument.

A model asks for noise by name, `noise.normal('eps', [K])`, and receives one
row per example. The name is folded into the seed, so the same request always
gives the same numbers: in eager mode, in a graph, under XLA and on another
device. The caller decides how the rows are seeded:

  BatchNoise  One draw for the global batch, for training. Each replica takes
              its rows of the draw, so training is the same with 1, 2 or 8
              replicas.
  RowNoise    One integer seed per row, for serving and evaluation. A row's
              numbers do not depend on its neighbours in the batch.
  IndexNoise  One integer index per row, for examples that are computed from
              their index. It is fast for many rows.

Floats are made here from integer bits. TensorFlow's own stateless floats differ
between XLA and other kernels, but the bits do not. Uniforms are therefore equal
bit for bit, and normals to within 2e-6.
"""

import math
import zlib
from collections.abc import Sequence

import tensorflow as tf

# Philox is the only generator that every device and XLA implement.
_ALGORITHM = 'philox'


class Noise:
    """Named random numbers, one row per example: the base class."""

    def __init__(self, prefix: str = ''):
        self._prefix = prefix

    def scope(self, name: str) -> 'Noise':
        """The same rows under another name: `scope('real').normal('eps', s)`.

        Use it for a network that runs twice in one loss, which must not see the
        same dropout mask twice.
        """
        raise NotImplementedError

    def bits(self, name: str, shape: Sequence[int]) -> tf.Tensor:
        """Random bits: uint32 [B, *shape], every value equally likely."""
        raise NotImplementedError

    def uniform(self, name: str, shape: Sequence[int]) -> tf.Tensor:
        """Uniform float32 [B, *shape] in the open interval (0, 1).

        There are 2^23 different values. 0 and 1 never occur, so log(u) and
        log(1 - u) are finite.
        """
        mantissa = tf.bitwise.right_shift(self.bits(name, shape), 9)
        return (tf.cast(mantissa, tf.float32) + 0.5) * 2.0**-23

    def normal(self, name: str, shape: Sequence[int]) -> tf.Tensor:
        """Standard normal float32 [B, *shape], within +-5.8.

        Source: Box and Muller 1958, from two uniforms. Inverting the
        distribution function would need only one, but the inverses of XLA and
        TensorFlow differ by 1e-5 in the tails.
        """
        u = self.uniform(name, [2, *shape])
        radius = tf.sqrt(-2.0 * tf.math.log(u[:, 0]))
        return radius * tf.cos(2.0 * math.pi * u[:, 1])

    def _tag(self, name: str) -> int:
        """The number that stands for a name: 31 bits."""
        return zlib.crc32((self._prefix + name).encode()) & 0x7FFFFFFF


class BatchNoise(Noise):
    """Noise for rows `start : start + count` of a global batch.

    Args:
      seed: integer [2], for example (seed of the run, step).
      size: rows in the global batch.
      start: first row of this replica; an int or an integer tensor.
      count: rows of this replica; None for all.
      prefix: put before every name; see `scope`.
    """

    def __init__(
        self,
        seed: tf.Tensor,
        size: int,
        start: int | tf.Tensor = 0,
        count: int | None = None,
        prefix: str = '',
    ):
        super().__init__(prefix)
        self._seed = tf.cast(seed, tf.int64)
        self._size = size
        self._start = start
        self._count = count

    def scope(self, name: str) -> 'BatchNoise':
        return BatchNoise(
            self._seed,
            self._size,
            self._start,
            self._count,
            f'{self._prefix}{name}/',
        )

    def bits(self, name: str, shape: Sequence[int]) -> tf.Tensor:
        shape = list(shape)
        rows = tf.random.stateless_uniform(
            [self._size, *shape],
            # Without `alg` a TPU would use another generator.
            tf.random.experimental.stateless_fold_in(
                self._seed, self._tag(name), alg=_ALGORITHM
            ),
            minval=None,
            maxval=None,
            dtype=tf.uint32,
            alg=_ALGORITHM,
        )
        return self.own(rows)

    def own(self, values: tf.Tensor) -> tf.Tensor:
        """This replica's rows of `values`, which has all rows of the batch.

        [global batch, ...] -> [rows, ...].
        """
        values = tf.convert_to_tensor(values)
        if self._count is None:
            return values
        begin = [self._start] + [0] * (values.shape.rank - 1)
        return tf.slice(values, begin, [self._count, *values.shape[1:]])

    def placed(self, values: tf.Tensor) -> tf.Tensor:
        """The inverse of `own`, with 0 in the rows of other replicas.

        [rows, ...] -> [global batch, ...]. The sum over replicas has all rows.
        """
        if self._count is None:
            return values
        after = self._size - self._start - self._count
        rest = [[0, 0]] * (values.shape.rank - 1)
        whole = tf.pad(values, [[self._start, after], *rest])
        return tf.ensure_shape(whole, [self._size, *values.shape[1:]])


class RowNoise(Noise):
    """Noise whose row b is a function of `seeds[b]` and the name alone.

    Args:
      seeds: integer [B]. Equal seeds give equal rows.
      prefix: put before every name; see `scope`.

    Attributes:
      seeds: the same as int64.
    """

    def __init__(self, seeds: tf.Tensor, prefix: str = ''):
        super().__init__(prefix)
        self.seeds = tf.cast(seeds, tf.int64)

    def scope(self, name: str) -> 'RowNoise':
        return RowNoise(self.seeds, f'{self._prefix}{name}/')

    def bits(self, name: str, shape: Sequence[int]) -> tf.Tensor:
        tag = tf.constant(self._tag(name), tf.int64)

        def row(seed):
            """One row of bits: uint32 [*shape]."""
            return tf.random.stateless_uniform(
                list(shape),
                tf.stack([seed, tag]),
                minval=None,
                maxval=None,
                dtype=tf.uint32,
                alg=_ALGORITHM,
            )

        # The map costs about 15 us per row. With one seed for all rows, a
        # sample would depend on its place in the batch.
        return tf.map_fn(
            row,
            self.seeds,
            fn_output_signature=tf.TensorSpec(list(shape), tf.uint32),
        )


class IndexNoise(Noise):
    """Noise whose row b is a function of `indices[b]` and the name alone.

    Source: SplitMix64 (Steele et al. 2014) of a counter. RowNoise would do the
    same, but it takes 15 us per row, which is too slow for batches of points.

    Args:
      indices: integer [B]. Equal indices give equal rows.
      prefix: put before every name.
    """

    def __init__(self, indices: tf.Tensor, prefix: str = ''):
        super().__init__(prefix)
        self._indices = tf.cast(indices, tf.uint64)

    def bits(self, name: str, shape: Sequence[int]) -> tf.Tensor:
        count = math.prod(shape)
        counter = self._indices[:, None] * count + tf.cast(
            tf.range(count, dtype=tf.int64), tf.uint64
        )
        tag = _mixed(tf.constant(self._tag(name), tf.uint64))
        bits = _mixed(counter * 0x9E3779B97F4A7C15 + tag)
        bits = tf.cast(tf.bitwise.right_shift(bits, 32), tf.uint32)
        return tf.reshape(bits, [-1, *shape])


def _mixed(z):
    """The finaliser of SplitMix64: uint64 -> uint64."""
    for shift, factor in (
        (30, 0xBF58476D1CE4E5B9),
        (27, 0x94D049BB133111EB),
        (31, 1),
    ):
        z = tf.bitwise.bitwise_xor(z, tf.bitwise.right_shift(z, shift))
        z = z * tf.constant(factor, tf.uint64)
    return z
