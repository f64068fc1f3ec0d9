"""Masks to train on: float32 [B, H, W, 1], 1 visible, 0 hidden."""

import tensorflow as tf

from tfgen.noise import Noise


def random_mask(height: int, width: int, noise: Noise) -> tf.Tensor:
    """All hidden with probability 1/2; else but for a rectangle, or in one, or
    in single pixels."""
    u = noise.uniform('mask', [6])

    def within(size, a, b):
        middle = (tf.range(size, dtype=tf.float32) + 0.5) / size
        first, last = tf.minimum(a, b), tf.maximum(a, b)
        inside = (middle >= first[:, None]) & (middle <= last[:, None])
        return tf.cast(inside, tf.float32)

    rows = within(height, u[:, 0], u[:, 1])
    columns = within(width, u[:, 2], u[:, 3])
    inside = (rows[:, :, None] * columns[:, None, :])[..., None]
    single = noise.uniform('pixels', [height, width, 1])
    share = u[:, 4, None, None, None]
    kinds = tf.stack(
        [
            tf.zeros_like(inside),
            inside,
            1.0 - inside,
            tf.cast(single < share, tf.float32),
        ]
    )
    # Of six equal parts the first three hide all.
    kind = tf.maximum(tf.cast(u[:, 5] * 6.0, tf.int32) - 2, 0)
    chosen = tf.one_hot(kind, 4, axis=0)
    return tf.reduce_sum(kinds * chosen[..., None, None, None], axis=0)


def quadrants(height: int, width: int, known: tf.Tensor) -> tf.Tensor:
    """Masks by how many quadrants are visible: int [B], 0 to 3.

    As Sohn et al. 2015 show them: the lower left; the left half; all but the
    upper right.
    """
    lower = tf.cast(tf.range(height) >= height // 2, tf.float32)[:, None]
    left = tf.cast(tf.range(width) < width // 2, tf.float32)[None]
    nothing = tf.zeros([height, width])
    masks = tf.stack(
        [
            nothing,
            lower * left,
            nothing + left,
            1.0 - (1.0 - lower) * (1.0 - left),
        ]
    )
    return tf.gather(masks, known)[..., None]
