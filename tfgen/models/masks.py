"""Masks of images for training: float32 [B, H, W, 1], 1 visible, 0 hidden."""

import tensorflow as tf

from tfgen.noise import Noise


def random_mask(height: int, width: int, noise: Noise) -> tf.Tensor:
    """Draws one of four types of masks for each row.

    Half of the rows hide everything. One sixth shows only a rectangle, one
    sixth hides only a rectangle, and one sixth hides single pixels. A rectangle
    may contain no pixel, so 54 % of 8x8 images are wholly hidden.
    """
    u = noise.uniform('mask', [6])

    def within(size, a, b):
        """1 for positions between a [B] and b [B]: [B, size]."""
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
    # The first three of six equal parts hide everything.
    kind = tf.maximum(tf.cast(u[:, 5] * 6.0, tf.int32) - 2, 0)
    chosen = tf.one_hot(kind, 4, axis=0)
    return tf.reduce_sum(kinds * chosen[..., None, None, None], axis=0)


def random_quadrants(height: int, width: int, noise: Noise) -> tf.Tensor:
    """Shows one to three random quadrants of each image."""
    u = noise.uniform('quadrants', [5])
    known = 1.0 + tf.floor(3.0 * u[:, 4:])
    place = u[:, :4]
    before = place[:, None, :] < place[:, :, None]
    visible = tf.reduce_sum(tf.cast(before, tf.float32), axis=2) < known
    return _spread(height, width, tf.cast(visible, tf.float32))


def quadrants(height: int, width: int, known: tf.Tensor) -> tf.Tensor:
    """Masks by the number of visible quadrants: int [B], 0 to 3.

    The visible quadrants are those of Sohn et al. 2015: the lower left; the
    left half; all but the upper right.
    """
    visible = tf.constant(
        [[0, 0, 0, 0], [0, 0, 1, 0], [1, 0, 1, 0], [1, 0, 1, 1]], tf.float32
    )
    return _spread(height, width, tf.gather(visible, known))


def _spread(height, width, visible):
    """Enlarges quadrants [B, 4], row by row, to masks [B, H, W, 1]."""
    mask = tf.reshape(visible, [-1, 2, 2, 1])
    for axis, size in ((1, height), (2, width)):
        half = tf.cast(tf.range(size) >= size // 2, tf.int32)
        mask = tf.gather(mask, half, axis=axis)
    return mask
