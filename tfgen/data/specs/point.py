"""Points of a plane, or of a space of any dimension."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfgen import plots
from tfgen.data.specs.base import Spec
from tfgen.noise import Noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class PointSpec(Spec):
    """Points: 'point', float32 [B, D], unbounded.

    Attributes:
      size: D.
      extent: half the side of the square around 0 that a picture shows.
      modes: the means of a mixture of normals, if the points are from one.
      deviation: the standard deviation of these normals.
    """

    size: int
    extent: float = 2.0
    modes: tuple[tuple[float, ...], ...] = ()
    deviation: float = 0.0

    noun: ClassVar[str] = 'points'
    key: ClassVar[str] = 'point'
    shown: ClassVar[int] = 2500

    @property
    def shape(self) -> tuple[int]:
        return (self.size,)

    def words(self) -> str:
        return f'points of {self.size} numbers'

    def rates(self, nats: float) -> dict[str, float]:
        """No rates: nats of a density depend on the scale of the points."""
        return {}

    def scale(
        self, stored: tf.Tensor, levels: int, noise: Noise | None
    ) -> tf.Tensor:
        return stored

    def valid(self, example: tf.Tensor) -> tuple[tf.Tensor, str]:
        return tf.reduce_all(tf.math.is_finite(example)), 'must be finite'

    def draw(
        self,
        examples: np.ndarray,
        columns: int,
        titles: Sequence[str] | None = None,
        density: Callable | None = None,
        score: Callable | None = None,
    ) -> np.ndarray:
        """A scatter plot of the first two numbers, beside density and score.

        `titles` colour the points; `columns` has no effect. For a mixture,
        rings surround the modes at a distance of 3 deviations. Points of one
        number are drawn as a histogram.
        """
        if self.size == 1:
            return plots.histogram(examples[:, 0], self.extent)
        rings = (
            (np.array(self.modes), 3 * self.deviation) if self.modes else None
        )
        drawn = [plots.scatter(examples[:, :2], self.extent, titles, rings)]
        places = plots.plane(self.extent)
        for field, shaded in (
            (density, plots.density),
            (score, plots.surface),
        ):
            if field and self.size == 2:
                values = field(places.reshape(-1, 2)).reshape(places.shape[:2])
                drawn.append(shaded(values))
        return np.concatenate(drawn, axis=1)
