"""Worlds of points, in the plane or on a line, whose truth is known.

Points are made on the fly: point i of a split is a function of i alone, so that
nothing is stored and every replica and machine sees the same ones.

  ring, grid                  Gaussians around 8 places of a circle of radius
                              1 (sd 0.01), around 25 of a square, -4 to 4 by
                              2 (sd 0.05): the scale of PacGAN (Lin et al.
                              2018), VEEGAN and Unrolled GAN.
  ring/wgan_gp, grid/wgan_gp  the same figures at the scale of WGAN-GP's toy
                              problems (Gulrajani et al. 2017): radius 2,
                              sd 0.02, divided by 1.414; spacing 2, sd 0.05,
                              divided by 2.828.
  bells                       on a line: Gaussians at -1 and 1, sd 0.3, for
                              the figure of the game in one dimension.
  two_moons                   two half circles that interlock, sd 0.1, as
                              scikit-learn's make_moons has them.
  two_lines                   the notes' example of supports that do not
                              overlap: the lines x = 0 and x = 1, y uniform in
                              (0, 1). A line has no density in the plane.

The label is the place, the moon, or the line.
"""

import abc
import math

import numpy as np
import tensorflow as tf

from tfgen import probability
from tfgen.data.readers.base import Source
from tfgen.noise import IndexNoise, Noise

SIZES = {'train': 1_000_000, 'test': 10_000}
_ARC = 400  # places that stand for a half circle in the density of a moon


class ToyDistribution(abc.ABC):
    """A distribution of labelled points.

    Attributes:
      class_names: of the labels.
      extent: half the side of a square about 0 that holds it.
      size: D, numbers of a point.
    """

    class_names: tuple[str, ...]
    extent: float
    size: int = 2

    @abc.abstractmethod
    def draw(self, noise: Noise) -> tuple[tf.Tensor, tf.Tensor]:
        """Points float32 [B, D] and labels int32 [B]; B is the noise's."""

    def log_prob(self, point: tf.Tensor) -> tf.Tensor | None:
        """log p(point) in nats: [B, D] -> [B]; None without a density."""
        del point

    def _label(self, noise):
        u = noise.uniform('label', [])
        return tf.cast(u * len(self.class_names), tf.int32)


class Mixture(ToyDistribution):
    """Equally probable Gaussians around places, [M, D], of one width."""

    def __init__(self, places: np.ndarray, deviation: float):
        self.places = np.asarray(places, np.float32)
        self.size = self.places.shape[1]
        self.deviation = deviation
        self.class_names = tuple(str(i) for i in range(len(self.places)))
        self.extent = 1.25 * float(np.abs(self.places).max())

    def draw(self, noise: Noise) -> tuple[tf.Tensor, tf.Tensor]:
        label = self._label(noise)
        centre = tf.gather(self.places, label)
        return centre + self.deviation * noise.normal(
            'offset', [self.size]
        ), label

    def log_prob(self, point: tf.Tensor) -> tf.Tensor:
        return _log_mixture(point, self.places, self.deviation)


class TwoMoons(ToyDistribution):
    """Half circles of radius 1 about (0, 0) and (1, 1/2), centred here."""

    deviation = 0.1
    class_names = ('upper', 'lower')
    extent = 2.0

    def draw(self, noise: Noise) -> tuple[tf.Tensor, tf.Tensor]:
        label = self._label(noise)
        arc = self._arc(noise.uniform('angle', []), label)
        return arc + self.deviation * noise.normal('offset', [2]), label

    def log_prob(self, point: tf.Tensor) -> tf.Tensor:
        """By quadrature over the arcs, exact to float32."""
        u = tf.tile((tf.range(_ARC, dtype=tf.float32) + 0.5) / _ARC, [2])
        arcs = self._arc(u, tf.repeat([0, 1], _ARC))
        return _log_mixture(point, arcs, self.deviation)

    @staticmethod
    def _arc(u, label):
        angle = math.pi * u
        x, y = tf.cos(angle), tf.sin(angle)
        lower = label == 1
        x, y = tf.where(lower, 1.0 - x, x), tf.where(lower, 0.5 - y, y)
        return tf.stack([x - 0.5, y - 0.25], axis=-1)


class TwoLines(ToyDistribution):
    """x = 0 and x = 1."""

    class_names = ('left', 'right')
    extent = 1.5

    def draw(self, noise: Noise) -> tuple[tf.Tensor, tf.Tensor]:
        label = self._label(noise)
        x = tf.cast(label, tf.float32)
        return tf.stack([x, noise.uniform('height', [])], axis=-1), label


def _ring(radius, deviation):
    angles = 2.0 * math.pi * np.arange(8) / 8
    places = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Mixture(places, deviation)


def _grid(spacing, deviation):
    line = spacing * np.arange(-2, 3)
    return Mixture([(x, y) for x in line for y in line], deviation)


TOY_DISTRIBUTIONS = {
    'ring': _ring(1.0, 0.01),
    'ring/wgan_gp': _ring(2.0 / 1.414, 0.02 / 1.414),
    'grid': _grid(2.0, 0.05),
    'grid/wgan_gp': _grid(2.0 / 2.828, 0.05 / 2.828),
    'bells': Mixture([[-1.0], [1.0]], 0.3),
    'two_moons': TwoMoons(),
    'two_lines': TwoLines(),
}


class _Points:
    """A split of a world, by index."""

    def __init__(self, world, split):
        self._world, self._split = world, split

    def __len__(self):
        return SIZES[self._split]

    def gather(self, indices):
        return self._world.draw(IndexNoise(indices, f'{self._split}/'))

    def class_sizes(self, num_classes: int) -> None:
        """Not counted: each is drawn with equal probability."""


def open_toy_distribution(name: str) -> Source:
    """One of TOY_DISTRIBUTIONS, as the readers give a set."""
    world = TOY_DISTRIBUTIONS[name]
    return Source(
        shape=(world.size,),
        levels=0,
        class_names=world.class_names,
        splits={split: _Points(world, split) for split in SIZES},
        fingerprint=f'points/{name}/1',
        origin='drawn like the training points, of other seeds',
    )


def _log_mixture(point, places, deviation):
    """Equal shares of N(place, deviation^2): [B, D] -> [B]."""
    offset = (point[:, None] - places) / deviation
    logs = -0.5 * tf.reduce_sum(tf.square(offset), axis=-1)
    size = point.shape[1]
    constant = 0.5 * size * math.log(2.0 * math.pi * deviation**2)
    return probability.log_mean_exp(logs, axis=1) - constant
