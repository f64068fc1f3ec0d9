"""Images, and images whose values are indices of colours."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import numpy as np
import tensorflow as tf

from tfgen import plots, probability
from tfgen.data.specs.base import Spec
from tfgen.noise import Noise

_HIDDEN = 128  # the grey of hidden pixels
Binarization = Literal['none', 'static', 'dynamic', 'threshold']


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSpec(Spec):
    """Images: 'image', float32 [B, H, W, C] in [0, 1].

    Attributes:
      height, width, channels: H, W, C; C is 1 (grey) or 3 (RGB).
      levels: N, values per channel after binarization; level k is stored as
        k / (N - 1).
      binarization: see data.load.
    """

    height: int
    width: int
    channels: int = 1
    levels: int = 256
    binarization: Binarization = 'none'

    noun: ClassVar[str] = 'images'
    key: ClassVar[str] = 'image'
    ending: ClassVar[str] = 'png'

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.height, self.width, self.channels)

    @property
    def mask_shape(self) -> tuple[int, int, int]:
        """(H, W, 1): all channels of a pixel are known, or none."""
        return (self.height, self.width, 1)

    def words(self) -> str:
        return f'images of {self.height}x{self.width}, {self._colours()}'

    def _colours(self):
        return {1: 'grey', 3: 'colour'}[self.channels]

    def rates(self, nats: float) -> dict[str, float]:
        return {'bits_per_dim': probability.bits_per_dim(nats, self.shape)}

    def level_width(self) -> float:
        return self.dimensions * math.log(self.levels - 1)

    def scale(
        self, stored: tf.Tensor, levels: int, noise: Noise | None
    ) -> tf.Tensor:
        image = tf.cast(stored, tf.float32) * (1.0 / (levels - 1))
        if self.binarization == 'dynamic':
            drawn = noise.uniform('binarize', self.shape) < image
            return tf.cast(drawn, tf.float32)
        if self.binarization == 'threshold':
            return tf.cast(image > 0.5, tf.float32)
        return image

    def to_levels(self, example: tf.Tensor, levels: int) -> tf.Tensor:
        """Value v becomes level round(v (N - 1))."""
        return tf.cast(tf.round(example * (levels - 1)), tf.int32)

    def to_example(self, values: tf.Tensor, levels: int) -> tf.Tensor:
        return tf.cast(values, tf.float32) / (levels - 1)

    def clip(self, values: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(values, 0.0, 1.0)

    def valid(self, example: tf.Tensor) -> tuple[tf.Tensor, str]:
        # A comparison with NaN is false, so NaN fails as well.
        inside = (example >= 0.0) & (example <= 1.0)
        return tf.reduce_all(inside), 'must have values in [0, 1]'

    def pixels(self, images: tf.Tensor) -> tf.Tensor:
        """Converts [N, H, W, C] in [0, 1] to uint8 [N, H, W, 1 or 3].

        Value v becomes byte round(255 v).
        """
        return tf.cast(tf.round(images * 255.0), tf.uint8)

    def encode(self, examples: tf.Tensor) -> tf.Tensor:
        """PNG files."""
        return tf.map_fn(
            tf.io.encode_png,
            self.pixels(examples),
            fn_output_signature=tf.TensorSpec([], tf.string),
        )

    def draw(
        self,
        examples: np.ndarray,
        columns: int,
        titles: Sequence[str] | None = None,
        density: Callable | None = None,
        score: Callable | None = None,
    ) -> np.ndarray:
        """A grid of images; values outside [0, 1] are clipped, NaN is grey."""
        hidden = np.isnan(examples)
        shown = np.clip(np.where(hidden, 0.0, examples), 0.0, 1.0)
        pixels = self.pixels(tf.constant(shown, tf.float32)).numpy()
        pixels = np.where(hidden, np.uint8(_HIDDEN), pixels)
        return plots.grid(pixels, columns, titles)

    def hide(self, examples: np.ndarray, mask: np.ndarray) -> np.ndarray:
        # NaN is drawn as a grey that need not be in a palette.
        return np.where(mask == 1, examples, np.float32(np.nan))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PaletteSpec(ImageSpec):
    """Images whose values are indices of colours: k is stored as k / (N - 1).

    Attributes:
      palette: RGB bytes of each of the N levels.
    """

    palette: tuple[tuple[int, int, int], ...]

    noun: ClassVar[str] = 'images whose values name colours by index'

    def _colours(self):
        return f'{len(self.palette)} colours by index'

    def pixels(self, images: tf.Tensor) -> tf.Tensor:
        """Value v becomes colour round((N - 1) v)."""
        indices = tf.round(images[..., 0] * (len(self.palette) - 1))
        return tf.gather(
            tf.constant(self.palette, tf.uint8), tf.cast(indices, tf.int32)
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartlyLabelledSpec(ImageSpec):
    """Images of which only a few have a label in training.

    A training batch has 'image' without labels. It also has equally many rows
    of 'labelled_image' and 'labelled_label', drawn from the labelled images.

    Attributes:
      num_labels: number of labelled images, equally many of each class.
    """

    num_labels: int

    noun: ClassVar[str] = 'images of which few have a label'
