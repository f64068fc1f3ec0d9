"""What every kind of example must say of itself."""

import abc
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfgen.noise import Noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spec(abc.ABC):
    """A kind of example, and what a model may know of one set of them.

    Attributes:
      name: of the set, as given to data.load; '' if there is none.
      num_classes: 0 where the set has no label.
      class_names: by label; empty without labels.
      split_sizes: examples in 'train' and 'test'.
      fingerprint: see readers.base.Source; empty in the records of runs that
        began before there was one.

    A kind that has a file format also has `encode(examples)`, [B, *shape] ->
    string [B], a file each. One whose values are levels has `to_levels(example,
    levels)`, -> int32 in 0 .. levels - 1, and its inverse `to_example`.

    Class attributes:
      noun: what the examples are called.
      key: the name of an example in a batch and in a request.
      dtype: of an example.
      ending: of the file that `encode` makes of one; '' where there is none.
      shown: examples in a picture of samples of a running training.
      one_file_each: whether a picture of several says less than a file of
        each, so that scripts/sample.py writes these as well.
    """

    name: str = ''
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    split_sizes: dict[str, int] = dataclasses.field(default_factory=dict)
    fingerprint: str = ''

    noun: ClassVar[str]
    key: ClassVar[str]
    dtype: ClassVar[tf.DType] = tf.float32
    ending: ClassVar[str] = ''
    shown: ClassVar[int] = 64
    one_file_each: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of an example, without the batch."""

    @property
    def mask_shape(self) -> tuple[int, ...]:
        """Of what says which values are known: float32, 1 known, 0 hidden."""
        return self.shape

    @property
    def dimensions(self) -> int:
        """Values per example."""
        return math.prod(self.shape)

    @abc.abstractmethod
    def words(self) -> str:
        """Size and kind of the examples, for a line of text."""

    @abc.abstractmethod
    def rates(self, nats: float) -> dict[str, float]:
        """Nats per example in the units that papers compare."""

    def level_width(self) -> float | None:
        """log of the width of a level, in nats per example; see `rates`.

        What turns a density into a probability of levels; None where values
        have none.
        """
        return None

    @abc.abstractmethod
    def scale(
        self, stored: tf.Tensor, levels: int, noise: Noise | None
    ) -> tf.Tensor:
        """Stored values -> [B, *shape] in the range that models expect.

        Args:
          stored: integers of a reader, or points.
          levels: of the stored values; see readers.base.Source.
          noise: one row per example, for draws that belong to the data.
        """

    def clip(self, values: tf.Tensor) -> tf.Tensor:
        """The nearest that may be an example: [B, *shape] -> the same."""
        return values

    @abc.abstractmethod
    def valid(self, example: tf.Tensor) -> tuple[tf.Tensor, str]:
        """Whether a request may hold this, and what it must be, in words.

        [B, *shape] -> a boolean scalar, 'must have ...'. A NaN is not valid.
        """

    @abc.abstractmethod
    def draw(
        self,
        examples: np.ndarray,
        columns: int,
        titles: Sequence[str] | None = None,
        density: Callable | None = None,
        score: Callable | None = None,
    ) -> np.ndarray:
        """A picture of examples: [N, *shape] -> uint8 [height, width, C].

        Args:
          examples: values may be `hidden`.
          columns: examples per row, where they stand in a grid.
          titles: one per example; see plots.grid.
          density: [N, *shape] -> log p of each [N], where it is known and the
            kind can show it.
          score: the same of what a discriminator says of each.
        """

    def hide(self, examples: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """`examples` with what `mask` hides blank, as `draw` shows it."""
        return np.where(mask == 1, examples, np.zeros([], examples.dtype))

    def as_dict(self) -> dict:
        """For JSON; `kinds.spec_from_dict` is the inverse."""
        return dataclasses.asdict(self)
