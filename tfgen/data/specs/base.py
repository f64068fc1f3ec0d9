"""The base class of specs: everything that a kind of example must define."""

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
    """A kind of example, and the facts of one data set that models may use.

    Attributes:
      name: name of the data set, as given to data.load; '' if it has none.
      num_classes: number of classes; 0 without labels.
      class_names: by label; empty without labels.
      split_sizes: numbers of examples in 'train' and 'test'.
      fingerprint: see readers.base.Source; empty in records of runs that began
        before fingerprints existed.

    A kind with a file format also has `encode(examples)`: [B, *shape] -> string
    [B], one file per example. A kind whose values are levels has
    `to_levels(example, levels)` -> int32 in 0 .. levels - 1, and the inverse,
    `to_example`.

    Class attributes:
      noun: the word for the examples.
      key: the key of an example in a batch and in a request.
      dtype: type of an example.
      ending: ending of a file that `encode` makes; '' without `encode`.
      shown: number of examples in a picture of samples during training.
      one_file_each: whether scripts/sample.py also writes one file per example,
        because one picture of several examples does not show enough.
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
        """Shape of an example, without the batch."""

    @property
    def mask_shape(self) -> tuple[int, ...]:
        """Shape of a mask of known values: float32, 1 known, 0 hidden."""
        return self.shape

    @property
    def dimensions(self) -> int:
        """Number of values per example."""
        return math.prod(self.shape)

    @abc.abstractmethod
    def words(self) -> str:
        """Describes size and kind of the examples, for a line of text."""

    @abc.abstractmethod
    def rates(self, nats: float) -> dict[str, float]:
        """Converts nats per example to the units that papers compare."""

    def level_width(self) -> float | None:
        """-log of the width of a level, in nats per example.

        -log of a density plus this number gives -log of the probability of the
        levels, which `rates` expects. None if values have no levels.
        """
        return None

    @abc.abstractmethod
    def scale(
        self, stored: tf.Tensor, levels: int, noise: Noise | None
    ) -> tf.Tensor:
        """Scales stored values to the range that models expect: [B, *shape].

        Args:
          stored: integers from a reader, or points.
          levels: number of stored values; see readers.base.Source.
          noise: one row per example, for draws that belong to the data.
        """

    def clip(self, values: tf.Tensor) -> tf.Tensor:
        """The nearest valid examples: [B, *shape] -> [B, *shape]."""
        return values

    @abc.abstractmethod
    def valid(self, example: tf.Tensor) -> tuple[tf.Tensor, str]:
        """Whether examples of a request are valid, and the rule in words.

        [B, *shape] -> a boolean scalar and 'must have ...'. NaN is not valid.
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
        """Draws a picture of examples: [N, *shape] -> uint8 [height, width, C].

        Args:
          examples: some values may be blank; see `hide`.
          columns: examples per row, if they stand in a grid.
          titles: one per example; see plots.grid.
          density: [N, *shape] -> log p, [N]; None if it is unknown. Only some
            kinds can show it.
          score: the same for the scores of a discriminator.
        """

    def hide(self, examples: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Blanks the values that `mask` hides, in a form that `draw` shows."""
        return np.where(mask == 1, examples, np.zeros([], examples.dtype))

    def as_dict(self) -> dict:
        """The fields, for JSON; `specs.spec_from_dict` is the inverse."""
        return dataclasses.asdict(self)
