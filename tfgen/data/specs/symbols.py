"""Rows of symbols, such as letters."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import tensorflow as tf

from tfgen import plots, probability
from tfgen.data.specs.base import Spec
from tfgen.noise import Noise

_HIDDEN = -1
_BLANK = '\N{LOW LINE}'


@dataclasses.dataclass(frozen=True, kw_only=True)
class SymbolSpec(Spec):
    """Rows of symbols: 'symbols', int32 [B, T], each in 0 .. N - 1.

    Attributes:
      length: T.
      alphabet: the text of each of the N symbols.
    """

    length: int
    alphabet: tuple[str, ...]

    noun: ClassVar[str] = 'rows of symbols'
    key: ClassVar[str] = 'symbols'
    dtype: ClassVar[tf.DType] = tf.int32
    ending: ClassVar[str] = 'txt'
    shown: ClassVar[int] = 16
    one_file_each: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int]:
        return (self.length,)

    @property
    def levels(self) -> int:
        """N, the number of symbols."""
        return len(self.alphabet)

    def words(self) -> str:
        return f'rows of {self.length} symbols, {self.levels} different ones'

    def rates(self, nats: float) -> dict[str, float]:
        return {'bits_per_symbol': probability.bits_per_dim(nats, self.shape)}

    def scale(
        self, stored: tf.Tensor, levels: int, noise: Noise | None
    ) -> tf.Tensor:
        return tf.cast(stored, tf.int32)

    def to_levels(self, example: tf.Tensor, levels: int) -> tf.Tensor:
        """A symbol is its own level."""
        return tf.identity(example)

    def to_example(self, values: tf.Tensor, levels: int) -> tf.Tensor:
        return tf.identity(values)

    def valid(self, example: tf.Tensor) -> tuple[tf.Tensor, str]:
        inside = (example >= 0) & (example < self.levels)
        return tf.reduce_all(inside), f'must be in 0..{self.levels - 1}'

    def encode(self, examples: tf.Tensor) -> tf.Tensor:
        """UTF-8 text; a hidden symbol becomes a low line."""
        texts = tf.gather(tf.constant([_BLANK, *self.alphabet]), examples + 1)
        return tf.strings.reduce_join(texts, axis=-1)

    def draw(
        self,
        examples: np.ndarray,
        columns: int,
        titles: Sequence[str] | None = None,
        density: Callable | None = None,
        score: Callable | None = None,
    ) -> np.ndarray:
        """One line of text per example; a hidden symbol is a low line."""
        lines = [
            ''.join(_BLANK if i < 0 else self.alphabet[i] for i in row)
            for row in examples
        ]
        return plots.text(lines, titles)

    def hide(self, examples: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return np.where(mask == 1, examples, np.int32(_HIDDEN))
