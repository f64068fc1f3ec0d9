"""Priors of z: a normal, a uniform, and a mixture of normals."""

import numpy as np
import tensorflow as tf

from tfgen.noise import Noise

PRIORS = ('normal', 'uniform', 'mixture')
# Standard deviation of each component of the mixture.
_DEVIATION = 0.15


def draw(prior: str, size: int, noise: Noise) -> tf.Tensor:
    """Draws z: float32 [B, K].

    Args:
      prior: 'normal', N(0, 1); 'uniform' in (-1, 1); 'mixture', ten equally
        probable normals of deviation 0.15, whose means lie in (-1, 1)
        (Ben-Yosef and Weinshall 2018).
      size: K.
      noise: one row per z.
    """
    if prior == 'uniform':
        return 2.0 * noise.uniform('z', [size]) - 1.0
    z = noise.normal('z', [size])
    if prior == 'normal':
        return z
    means = _means(size)
    component = tf.cast(noise.uniform('place', []) * len(means), tf.int32)
    return tf.gather(means, component) + _DEVIATION * z


def quantiles(prior: str, uniform: np.ndarray) -> np.ndarray:
    """Maps probabilities in (0, 1), [..., K], to values of z, [..., K].

    In a mixture the first number also chooses the component.
    """
    if prior == 'uniform':
        return 2.0 * uniform - 1.0
    if prior == 'normal':
        return tf.math.ndtri(uniform).numpy()
    means = _means(uniform.shape[-1])
    uniform = uniform.copy()
    rest, component = np.modf(uniform[..., 0] * len(means))
    uniform[..., 0] = np.clip(rest, 1e-6, 1 - 1e-6)
    return (
        means[component.astype(int)]
        + _DEVIATION * tf.math.ndtri(uniform).numpy()
    )


def _means(size: int, count: int = 10) -> np.ndarray:
    """The means of the mixture, always the same: [count, K]."""
    random = np.random.RandomState(1812)
    return random.uniform(-1.0, 1.0, [count, size]).astype(np.float32)
