"""Facts about a distribution that its examples alone do not tell.

A data set that was made by a known rule states the rule as its `truth`. Metrics
compare samples with it. The truth of toy points is their distribution; see
embedded.points.
"""

import dataclasses
from collections.abc import Callable

import numpy as np


@dataclasses.dataclass(frozen=True)
class Rendered:
    """Examples that are a function of one number.

    Attributes:
      render: numbers [N] -> examples float32 [N, *shape].
      largest: the numbers lie between 0 and this one.
    """

    render: Callable[[np.ndarray], np.ndarray]
    largest: float

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        return self.render(numbers)


@dataclasses.dataclass(frozen=True)
class ValidLines:
    """Lines of text of which all valid ones are known."""

    lines: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Stacks:
    """Stacks of three grey images, each of one of `classes` classes."""

    classes: int
