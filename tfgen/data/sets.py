"""A data set by name: its spec, and its batches in an order that is a formula.

A batch is `{'image': float32 [B, H, W, C] in [0, 1], 'label': int32 [B]}`, or
has another kind of example under the key of its Spec (data.kinds); `label` is
there only where the set has one.

The example at position p of the training stream is a pure function of
(seed, p): every epoch is its own pseudo-random permutation of the indices.
Nothing of the pipeline needs saving, a run resumes at any step at no cost,
and the order is the same for 1 or 8 replicas.
"""

import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen import arguments
from tfgen.arguments import Size
from tfgen.data import points, readers
from tfgen.data.kinds import (
    Binarization,
    ImageSpec,
    PaletteSpec,
    PointSpec,
    SoundSpec,
    Spec,
    SymbolSpec,
)
from tfgen.data.readers.audio import open_audio
from tfgen.data.readers.base import EDITION, Source
from tfgen.data.readers.text import open_text
from tfgen.errors import UserError
from tfgen.noise import BatchNoise, RowNoise

# Third word of the seed, so that no other draw shares the order's numbers.
_ORDER = 0x07DE7

_MOST_PIXELS = 1 << 24  # of an image
_SHOWN = 12  # so many classes are named in a line


def load(
    name: str,
    data_dir: str | None = None,
    binarization: Binarization = 'none',
    image_size: tuple[Size, Size] | None = None,
    edition: int = EDITION,
) -> 'Data':
    """Opens a set of images.

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
    arguments.check_for(load, binarization=binarization, image_size=image_size)
    if image_size and math.prod(image_size) > _MOST_PIXELS:
        raise UserError(
            f'image_size {image_size[0]},{image_size[1]} has more than '
            f'{_MOST_PIXELS:,} pixels: set a smaller one'
        )
    source = readers.open_images(name, data_dir, image_size, edition=edition)
    _require_meaning(name, binarization, source)
    height, width, channels = source.shape
    fields = {
        'height': height,
        'width': width,
        'channels': channels,
        'levels': source.levels if binarization == 'none' else 2,
        'binarization': binarization,
        **_common(name, source),
    }
    if source.palette:
        return Data(PaletteSpec(palette=source.palette, **fields), source)
    return Data(ImageSpec(**fields), source)


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
    audio_length: Size = 4096,
    edition: int = EDITION,
) -> 'Data':
    """Opens a set of sounds.

    Args:
      name: 'tones' (embedded) or any TFDS set of 8- or 16-bit sounds
        ('spoken_digit').
      data_dir, edition: see `load`.
      audio_length: T; a longer sound is cut, a shorter one ends in silence.

    Raises:
      UserError: see `load`.
    """
    arguments.check_for(load_audio, audio_length=audio_length)
    source = open_audio(name, data_dir, audio_length, edition=edition)
    spec = SoundSpec(
        length=audio_length,
        sample_rate=source.sample_rate,
        **_common(name, source),
    )
    return Data(spec, source)


def load_points(
    name: str, data_dir: str | None = None, edition: int = EDITION
) -> 'Data':
    """Opens one of points.WORLDS; UserError if `name` is none of them."""
    if name not in points.WORLDS:
        raise UserError(
            f'{name!r} is no world of points: use one of '
            f'{", ".join(points.WORLDS)}'
        )
    world, source = points.WORLDS[name], points.open_world(name)
    spec = PointSpec(size=2, extent=world.extent, **_common(name, source))
    return Data(spec, source)


def load_text(
    name: str,
    data_dir: str | None = None,
    text_length: Size = 64,
    edition: int = EDITION,
) -> 'Data':
    """Opens text:PATH, a text file in rows of letters; see readers.text.

    Args:
      name: text:PATH.
      data_dir, edition: not used.
      text_length: T, letters of a row.

    Raises:
      UserError: see `load`.
    """
    arguments.check_for(load_text, text_length=text_length)
    prefix, _, path = name.partition(':')
    if prefix != 'text' or not path:
        raise UserError(
            f'data set {name!r} is no text: name a text file with text:PATH'
        )
    path = pathlib.Path(os.path.expanduser(path))
    source, alphabet = open_text(path, text_length)
    spec = SymbolSpec(
        length=text_length, alphabet=alphabet, **_common(name, source)
    )
    return Data(spec, source)


_LOADERS = {
    ImageSpec: load,
    PaletteSpec: load,
    SoundSpec: load_audio,
    PointSpec: load_points,
    SymbolSpec: load_text,
}


def arguments_of(kinds: Sequence[type[Spec]]) -> dict[str, tuple[Any, Any]]:
    """Name -> (type, default) of the settings of sets of these kinds."""
    return {
        name: argument
        for kind in kinds
        for name, argument in arguments.of(_LOADERS[kind]).items()
        if name not in ('data_dir', 'edition')
    }


def load_any(
    name: str,
    kinds: Sequence[type[Spec]],
    data_dir: str | None,
    edition: int,
    **settings: Any,
) -> 'Data':
    """Opens a set for a model of examples of `kinds`.

    A name that says what it is of (a world of points, text:PATH) is opened as
    that, and it is for the model to refuse it; any other is opened as the
    first of `kinds`.
    """
    if not name:
        raise UserError("data set '' has no name: use --dataset=NAME")
    loader = _LOADERS[kinds[0]]
    if name in points.WORLDS:
        loader = load_points
    elif name.startswith('text:'):
        loader = load_text
    own = arguments.of(loader)
    named = {k: v for k, v in settings.items() if k in own}
    return loader(name, data_dir, edition=edition, **named)


def _common(name, source):
    """What the spec of every kind takes from its source."""
    return {
        'name': name,
        'num_classes': len(source.class_names),
        'split_sizes': {k: len(v) for k, v in source.splits.items()},
        'class_names': source.class_names,
        'fingerprint': source.fingerprint,
    }


def absolute(name: str) -> str | None:
    """The name of a set with its path from the root; None without a path."""
    prefix, _, path = name.partition(':')
    if prefix not in (*readers.PATHS, 'text'):
        return None
    return f'{prefix}:{os.path.abspath(os.path.expanduser(path))}'


class Data:
    """The batches of one data set; made by the loaders above."""

    def __init__(self, spec: Spec, source: Source):
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
        line = f'data {spec.name}: {spec.words()}; {", ".join(parts)}'
        line += f'; the test split is {origin}'
        if spec.num_classes:
            line += f'; {spec.num_classes} classes'
            line += f': {_shortened(spec.class_names)}'
        else:
            line += '; no labels'
        return [line, *(f'data {spec.name}: {n}' for n in source.notes)]

    def _batch(self, split, indices, noise):
        stored, labels = self._source.gather(split, indices)
        example = self.spec.scale(stored, self._source.levels, noise)
        batch = {self.spec.key: example}
        return batch if labels is None else batch | {'label': labels}


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
