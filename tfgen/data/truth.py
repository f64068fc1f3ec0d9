"""Facts about a distribution that cannot be read from its examples.

If the rule that made a data set is known, the rule is its `truth`. Metrics
compare samples with the truth. The truth of toy points is their distribution;
see embedded.points.
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
    """The set of all valid lines of text."""

    lines: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Stacks:
    """Stacks of three grey images, each of one of `classes` classes."""

    classes: int
