"""A data set by name: its spec, and its batches in an order that is a formula.

A batch is `{'image': float32 [B, H, W, C] in [0, 1], 'label': int32 [B]}`, or
`{'audio': float32 [B, T] in [-1, 1], 'label': ...}`; `label` only where the set
has one.

The example at position p of the training stream is a pure function of
(seed, p): every epoch is its own pseudo-random permutation of the indices.
Nothing of the pipeline needs saving, a run resumes at any step at no cost,
and the order is the same for 1 or 8 replicas.
"""

import abc
import dataclasses
import math
import os

import numpy as np
import tensorflow as tf

from tfgen import probability
from tfgen.data import readers
from tfgen.data.readers.audio import open_audio
from tfgen.data.readers.base import EDITION, Source
from tfgen.errors import UserError
from tfgen.noise import BatchNoise, RowNoise

# Third word of the seed, so that no other draw shares the order's numbers.
_ORDER = 0x07DE7

_MOST_PIXELS = 1 << 24  # of an image
_SHOWN = 12  # so many classes are named in a line
BINARIZATIONS = ('none', 'static', 'dynamic', 'threshold')


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """What a model may know about a set of images.

    Attributes:
      name: as given to `load`.
      height, width, channels: of an image.
      levels: grey values per channel after binarization; a value k is stored
        as k / (levels - 1).
      num_classes: 0 where the set has no label.
      binarization: one of BINARIZATIONS.
      split_sizes: examples in 'train' and 'test'.
      palette: RGB bytes of each level, where levels are names of colours.
      class_names: by label; empty without labels.
      fingerprint: see readers.base.Source; empty in the records of runs that
        began before there was one.
    """

    name: str
    height: int
    width: int
    channels: int
    levels: int
    num_classes: int
    binarization: str
    split_sizes: dict[str, int]
    palette: tuple[tuple[int, int, int], ...] | None = None
    class_names: tuple[str, ...] = ()
    fingerprint: str = ''

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return (self.height, self.width, self.channels)

    @property
    def dimensions(self) -> int:
        """Values per image: H * W * C."""
        return math.prod(self.shape)

    def rates(self, nats: float) -> dict[str, float]:
        """Nats per image in the units that papers compare."""
        return {'bits_per_dim': probability.bits_per_dim(nats, self.shape)}


@dataclasses.dataclass(frozen=True)
class AudioSpec:
    """What a model may know about a set of sounds.

    Attributes:
      name: as given to `load_audio`.
      length: T, samples; a shorter sound ends in silence.
      sample_rate: samples per second.
      num_classes, split_sizes, class_names, fingerprint: see DataSpec.
    """

    name: str
    length: int
    sample_rate: int
    num_classes: int
    split_sizes: dict[str, int]
    class_names: tuple[str, ...] = ()
    fingerprint: str = ''

    @property
    def shape(self) -> tuple[int]:
        """(T,)."""
        return (self.length,)

    def rates(self, nats: float) -> dict[str, float]:
        """Nats per sound in the units that papers compare."""
        return {
            'bits_per_sample': probability.bits_per_dim(nats, self.shape),
            'nats_per_second': nats * self.sample_rate / self.length,
        }


def spec_from_dict(fields: dict) -> DataSpec | AudioSpec:
    """The inverse of dataclasses.asdict, also after a way through JSON."""
    fields = fields | {'class_names': tuple(fields.get('class_names', ()))}
    if 'sample_rate' in fields:
        return AudioSpec(**fields)
    if fields.get('palette'):
        palette = tuple(tuple(colour) for colour in fields['palette'])
        fields = fields | {'palette': palette}
    return DataSpec(**fields)


def load(
    name: str,
    data_dir: str | None = None,
    binarization: str = 'none',
    image_size: tuple[int, int] | None = None,
    edition: int = EDITION,
) -> 'ImageData':
    """Opens a data set.

    Args:
      name: 'digits' (embedded), any TFDS image set ('mnist',
        'cifar10', 'cats_vs_dogs', 'builder/config'), 'folder:PATH', or
        'palette:PATH' (see data/readers/palette.py).
      data_dir: where TFDS keeps prepared sets; its own default if None.
      binarization: 'none' leaves the values as they are;
        'static' requires a set that is binary already (binarized_mnist);
        'dynamic' draws each value as Bernoulli(value), afresh every time in
        training and once and for all in evaluation;
        'threshold' is 1 where the value is above 0.5.
        Likelihoods under different binarizations cannot be compared.
      image_size: (H, W) to which images are resized, after the largest
        centred crop of that shape. Required where a set's images differ.
      edition: see readers.base.EDITION; only old runs want another.

    Raises:
      UserError: unknown name, set not prepared and not downloadable, images
        that cannot be read, an impossible binarization.
    """
    if binarization not in BINARIZATIONS:
        raise UserError(
            f'unknown binarization {binarization!r}: use one of '
            f'{", ".join(BINARIZATIONS)}'
        )
    if image_size and math.prod(image_size) > _MOST_PIXELS:
        raise UserError(
            f'image_size {image_size[0]},{image_size[1]} has more than '
            f'{_MOST_PIXELS:,} pixels: set a smaller one'
        )
    source = readers.open_images(name, data_dir, image_size, edition=edition)
    _require_meaning(name, binarization, source)
    height, width, channels = source.shape
    spec = DataSpec(
        name=name,
        height=height,
        width=width,
        channels=channels,
        levels=source.levels if binarization == 'none' else 2,
        binarization=binarization,
        palette=source.palette,
        **_common(source),
    )
    return ImageData(spec, source)


def _require_meaning(name, binarization, source):
    """Refuses a binarization that means nothing for the values of a set."""
    if source.palette and binarization != 'none':
        raise UserError(
            f'binarization={binarization} of a palette has no meaning: use none'
        )
    if binarization == 'static' and source.levels != 2:
        raise UserError(
            f'binarization=static needs a set of zeros and ones, {name!r} has '
            f'{source.levels} levels: use dynamic or threshold, or '
            'the set binarized_mnist'
        )


def load_audio(
    name: str,
    data_dir: str | None = None,
    audio_length: int = 4096,
    edition: int = EDITION,
) -> 'AudioData':
    """Opens a set of sounds.

    Args:
      name: 'tones' (embedded) or any TFDS set of 8- or 16-bit sounds
        ('spoken_digit').
      data_dir, edition: see `load`.
      audio_length: T; a longer sound is cut, a shorter one ends in silence.

    Raises:
      UserError: see `load`.
    """
    source = open_audio(name, data_dir, audio_length, edition=edition)
    spec = AudioSpec(
        name=name,
        length=audio_length,
        sample_rate=source.sample_rate,
        **_common(source),
    )
    return AudioData(spec, source)


def _common(source):
    """What the spec of every kind takes from its source."""
    return {
        'num_classes': len(source.class_names),
        'split_sizes': {k: len(v) for k, v in source.splits.items()},
        'class_names': source.class_names,
        'fingerprint': source.fingerprint,
    }


def absolute(name: str) -> str | None:
    """The name of a set with its path from the root; None without a path."""
    kind, _, path = name.partition(':')
    if kind not in readers.PATHS:
        return None
    return f'{kind}:{os.path.abspath(os.path.expanduser(path))}'


class Data(abc.ABC):
    """The batches of one data set; made by `load` and `load_audio`."""

    def __init__(self, spec: DataSpec | AudioSpec, source: Source):
        self.spec = spec
        self._source = source

    def train(
        self,
        seed: int,
        batch_size: int,
        start: int = 0,
        context: tf.distribute.InputContext | None = None,
    ) -> tf.data.Dataset:
        """The endless training stream from batch number `start` on.

        Args:
          seed: decides the order and the draws of dynamic binarization.
          batch_size: rows of a global batch.
          start: number of the first global batch.
          context: of tf.distribute. With R replicas each element holds
            batch_size / R rows, dealt to the replicas in order.

        Returns:
          A data set of batches with static shapes.
        """
        context = context or tf.distribute.InputContext()
        rows = context.get_per_replica_batch_size(batch_size)
        local = context.num_replicas_in_sync // context.num_input_pipelines

        def element(index):
            number = index // local
            replica = context.input_pipeline_id * local + index % local
            first = replica * rows
            positions = (
                number * batch_size + first + tf.range(rows, dtype=tf.int64)
            )
            indices = shuffled(positions, self.spec.split_sizes['train'], seed)
            noise = BatchNoise(
                tf.stack([tf.constant(seed, tf.int64), number]),
                batch_size,
                start=tf.cast(first, tf.int32),
                count=rows,
            )
            return self._batch('train', indices, noise)

        stream = tf.data.Dataset.range(start * local, np.iinfo(np.int64).max)
        return stream.map(element).prefetch(2 * local)

    def evaluation(
        self,
        split: str,
        batch_size: int,
        limit: int | None = None,
    ) -> tf.data.Dataset:
        """Every example of a split once, in the set's own order.

        Args:
          split: 'train' or 'test'.
          batch_size: rows of a batch; the last may be smaller.
          limit: only the first `limit` examples.

        Dynamic binarization draws one fixed image per example here.
        """
        if split not in self.spec.split_sizes:
            raise UserError(
                f'data set {self.spec.name!r} has no split {split!r}: use '
                + ' or '.join(self.spec.split_sizes)
            )
        count = self.spec.split_sizes[split]
        if limit is not None:
            count = min(count, limit)

        def element(indices):
            return self._batch(split, indices, RowNoise(indices))

        indices = tf.data.Dataset.range(count).batch(batch_size)
        return indices.map(element).prefetch(2)

    def describe(self) -> list[str]:
        """What was found, in one line, and what is to be said of it, in more.

        Size and kind of the examples, how many each split holds of each
        class, where the test split comes from; then what was left out.
        """
        spec, source = self.spec, self._source
        parts = []
        for split, count in spec.split_sizes.items():
            sizes = source.splits[split].class_sizes(spec.num_classes)
            parts.append(f'{split} {count}')
            if sizes:
                parts[-1] += f' ({_class_sizes(spec.class_names, sizes)})'
        origin = source.origin or 'a tenth held out by a fixed seed'
        line = f'data {spec.name}: {self._kind()}; {", ".join(parts)}'
        line += f'; the test split is {origin}'
        if spec.num_classes:
            line += f'; {spec.num_classes} classes'
            line += f': {_shortened(spec.class_names)}'
        else:
            line += '; no labels'
        return [line, *(f'data {spec.name}: {n}' for n in source.notes)]

    @abc.abstractmethod
    def _kind(self) -> str:
        """Size and kind of an example, in words."""

    def _batch(self, split, indices, noise):
        examples, labels = self._source.gather(split, indices)
        batch = self._scaled(examples, noise)
        return batch if labels is None else batch | {'label': labels}

    @abc.abstractmethod
    def _scaled(self, examples, noise):
        """Integers of the source -> the batch without its labels."""


class ImageData(Data):
    """Batches of images."""

    def _kind(self):
        spec = self.spec
        colours = {1: 'grey', 3: 'colour'}[spec.channels]
        if spec.palette:
            colours = f'{len(spec.palette)} colours by index'
        return f'images of {spec.height}x{spec.width}, {colours}'

    def _scaled(self, examples, noise):
        scale = 1.0 / (self._source.levels - 1)
        image = tf.cast(examples, tf.float32) * scale
        if self.spec.binarization == 'dynamic':
            drawn = noise.uniform('binarize', self.spec.shape) < image
            image = tf.cast(drawn, tf.float32)
        elif self.spec.binarization == 'threshold':
            image = tf.cast(image > 0.5, tf.float32)
        return {'image': image}


class AudioData(Data):
    """Batches of sounds: sample k is k / 2^15, exactly."""

    def _kind(self):
        spec = self.spec
        return f'sounds of {spec.length} samples at {spec.sample_rate} Hz'

    def _scaled(self, examples, noise):
        scale = 2.0 / self._source.levels
        return {'audio': tf.cast(examples, tf.float32) * scale}


def _class_sizes(names, sizes):
    """'cat: 9, dog: 9', or what many classes have in common."""
    if len(names) > _SHOWN:
        return f'{min(sizes)} to {max(sizes)} of each class'
    each = zip(names, sizes, strict=True)
    text = ', '.join(f'{name}: {size}' for name, size in each)
    return ' '.join(text.split())


def _shortened(names):
    if len(names) > _SHOWN:
        names = [*names[: _SHOWN - 2], '...', names[-1]]
    return ' '.join(', '.join(names).split())


def shuffled(positions: tf.Tensor, size: int, seed: int) -> tf.Tensor:
    """Indices of the examples at `positions` of the training stream.

    Positions [e * size, (e + 1) * size) are epoch e: a permutation of
    0..size-1 that depends on (seed, e) alone.

    Args:
      positions: int64 [N].
      size: examples in the split.
      seed: integer in 0..2^31 - 1.

    Returns:
      int64 [N].
    """
    size = tf.constant(size, tf.int64)
    epochs = positions // size
    seeds = tf.stack(
        [tf.fill(tf.shape(epochs), x) for x in (seed, _ORDER)], axis=-1
    )
    seeds = tf.concat([seeds, tf.cast(epochs, tf.int32)[:, None]], axis=-1)
    # tf.random.experimental.index_shuffle takes one seed for all rows; a batch
    # that crosses the end of an epoch needs two.
    return tf.raw_ops.RandomIndexShuffle(
        index=positions % size, seed=seeds, max_index=size - 1, rounds=4
    )
