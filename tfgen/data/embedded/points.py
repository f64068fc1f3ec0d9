"""Toy distributions of points in the plane or on a line, known exactly.

Points are computed when they are needed. Point i of a split is a function of i
alone, so nothing is stored, and every replica and machine sees the same points.

  ring, grid                  Gaussians around 8 places on a circle of radius
                              1 (sd 0.01), and around 25 places in a square,
                              -4 to 4 in steps of 2 (sd 0.05). The scale is
                              that of PacGAN (Lin et al. 2018), VEEGAN and
                              Unrolled GAN.
  ring/wgan_gp, grid/wgan_gp  The same shapes at the scale of WGAN-GP's toy
                              problems (Gulrajani et al. 2017): radius 2,
                              sd 0.02, divided by 1.414; spacing 2, sd 0.05,
                              divided by 2.828.
  bells                       Gaussians on a line at -1 and 1, sd 0.3, for the
                              figure of a GAN's training in one dimension.
  two_moons                   Two interlocking half circles, sd 0.1, as in
                              scikit-learn's make_moons.
  two_lines                   The notes' example of supports that do not
                              overlap: the lines x = 0 and x = 1, y uniform in
                              (0, 1). A line has no density in the plane.

The label is the place, the moon, or the line.
"""

import abc
import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfgen import probability
from tfgen.data.readers.base import Source
from tfgen.noise import IndexNoise, Noise

SIZES = {'train': 1_000_000, 'test': 10_000}
_ARC = 400  # quadrature points on each half circle of two_moons


class ToyDistribution(abc.ABC):
    """A distribution of labelled points.

    Attributes:
      class_names: by label.
      extent: half the side of a square around 0 that holds the points.
      size: D, the dimension of a point.
    """

    class_names: tuple[str, ...]
    extent: float
    size: int = 2

    @abc.abstractmethod
    def draw(self, noise: Noise) -> tuple[tf.Tensor, tf.Tensor]:
        """Draws points float32 [B, D] and labels int32 [B].

        B is the number of rows of `noise`.
        """

    def log_prob(self, point: tf.Tensor) -> tf.Tensor | None:
        """log p(point) in nats: [B, D] -> [B]; None without a density."""
        return None

    def _label(self, noise):
        """Labels of equal probability: int32 [B]."""
        u = noise.uniform('label', [])
        return tf.cast(u * len(self.class_names), tf.int32)


class Mixture(ToyDistribution):
    """A mixture of M equally probable Gaussians of the same width.

    `places`, [M, D], are their means.
    """

    def __init__(self, places: npt.ArrayLike, deviation: float):
        self.places = np.asarray(places, np.float32)
        self.size = self.places.shape[1]
        self.deviation = deviation
        self.class_names = tuple(str(i) for i in range(len(self.places)))
        self.extent = 1.25 * float(np.abs(self.places).max())

    @property
    def modes(self) -> tuple[tuple[float, ...], ...]:
        """The places as a nest of numbers."""
        return tuple(tuple(map(float, place)) for place in self.places)

    def draw(self, noise: Noise) -> tuple[tf.Tensor, tf.Tensor]:
        label = self._label(noise)
        centre = tf.gather(self.places, label)
        return centre + self.deviation * noise.normal(
            'offset', [self.size]
        ), label

    def log_prob(self, point: tf.Tensor) -> tf.Tensor:
        return _log_mixture(point, self.places, self.deviation)


class TwoMoons(ToyDistribution):
    """Half circles of radius 1 around (0, 0) and (1, 1/2), then centred."""

    deviation = 0.1
    class_names = ('upper', 'lower')
    extent = 2.0

    def draw(self, noise: Noise) -> tuple[tf.Tensor, tf.Tensor]:
        label = self._label(noise)
        arc = self._arc(noise.uniform('angle', []), label)
        return arc + self.deviation * noise.normal('offset', [2]), label

    def log_prob(self, point: tf.Tensor) -> tf.Tensor:
        """log p(point) by quadrature over the arcs, exact to float32."""
        u = tf.tile((tf.range(_ARC, dtype=tf.float32) + 0.5) / _ARC, [2])
        arcs = self._arc(u, tf.repeat([0, 1], _ARC))
        return _log_mixture(point, arcs, self.deviation)

    @staticmethod
    def _arc(u, label):
        """The point at fraction u of a half circle: [B], [B] -> [B, 2]."""
        angle = math.pi * u
        x, y = tf.cos(angle), tf.sin(angle)
        lower = label == 1
        x, y = tf.where(lower, 1.0 - x, x), tf.where(lower, 0.5 - y, y)
        return tf.stack([x - 0.5, y - 0.25], axis=-1)


class TwoLines(ToyDistribution):
    """The lines x = 0 and x = 1, y uniform in (0, 1)."""

    class_names = ('left', 'right')
    extent = 1.5

    def draw(self, noise: Noise) -> tuple[tf.Tensor, tf.Tensor]:
        label = self._label(noise)
        x = tf.cast(label, tf.float32)
        return tf.stack([x, noise.uniform('height', [])], axis=-1), label


def _ring(radius, deviation):
    """Eight Gaussians on a circle."""
    angles = 2.0 * math.pi * np.arange(8) / 8
    places = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Mixture(places, deviation)


def _grid(spacing, deviation):
    """25 Gaussians on a square grid."""
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
    """A split of a toy distribution, by index."""

    def __init__(self, distribution, split):
        self._distribution, self._split = distribution, split

    def __len__(self):
        return SIZES[self._split]

    def gather(self, indices):
        return self._distribution.draw(IndexNoise(indices, f'{self._split}/'))

    def class_sizes(self, num_classes: int) -> None:
        """None: classes are not counted, but drawn with equal probability."""


def open_toy_distribution(name: str) -> Source:
    """Opens one of TOY_DISTRIBUTIONS as a Source, like a reader."""
    distribution = TOY_DISTRIBUTIONS[name]
    return Source(
        shape=(distribution.size,),
        levels=0,
        class_names=distribution.class_names,
        splits={split: _Points(distribution, split) for split in SIZES},
        fingerprint=f'points/{name}/1',
        origin='drawn like the training points, of other seeds',
        truth=distribution,
    )


def _log_mixture(point, places, deviation):
    """log p of an equal mixture of N(place, deviation^2): [B, D] -> [B]."""
    offset = (point[:, None] - places) / deviation
    logs = -0.5 * tf.reduce_sum(tf.square(offset), axis=-1)
    size = point.shape[1]
    constant = 0.5 * size * math.log(2.0 * math.pi * deviation**2)
    return probability.log_mean_exp(logs, axis=1) - constant
