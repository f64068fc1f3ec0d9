"""Sets of the TFDS catalog, and the embedded one."""

import contextlib
import io
import sys
import urllib.error
import urllib.request

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tfgen import digits
from tfgen.errors import UserError
from tfgen.readers.base import (
    InMemory,
    RandomAccess,
    Source,
    fit,
    hold_out,
    stack,
    take,
)

# Sets whose images do not use the 256 values of a byte.
_LEVELS = {'digits': digits.LEVELS, 'binarized_mnist': 2}


def open_tfds(
    name: str,
    data_dir: str | None,
    size: tuple[int, int] | None,
    memory_limit: int,
) -> Source:
    """Opens 'digits' or a TFDS set, preparing it if need be.

    More than `memory_limit` bytes of images are read by random access.
    """
    builder = _builder(name, data_dir)
    image_key, label_key = _keys(name, builder.info.features)
    builder = _prepared(name, builder, data_dir)
    levels = _LEVELS.get(builder.name, 256)
    channels = builder.info.features[image_key].shape[-1]
    shape = (*(size or builder.info.features[image_key].shape[:2]), channels)
    rows = _split_rows(builder)
    total = sum(len(r) for _, r in rows.values())
    if None not in shape and total * np.prod(shape) > memory_limit:
        splits = {
            split: RandomAccess(
                _data_source(name, builder, stored),
                r,
                (image_key, label_key),
                size,
                shape,
            )
            for split, (stored, r) in rows.items()
        }
    else:
        decoded = {
            stored: _decode(name, builder, stored, image_key, label_key, size)
            for stored in {stored for stored, _ in rows.values()}
        }
        splits = {
            split: InMemory(
                take(decoded[stored][0], r),
                None if label_key is None else take(decoded[stored][1], r),
            )
            for split, (stored, r) in rows.items()
        }
        shape = next(iter(decoded.values()))[0].shape[1:]
        largest = max(images.max() for images, _ in decoded.values())
        if largest >= levels:
            raise UserError(
                f'data set {name!r} has a pixel of {largest} where {levels} '
                'levels are expected: prepare it again with tfds build'
            )
    classes = 0
    if label_key is not None:
        classes = builder.info.features[label_key].num_classes
    return Source(tuple(shape), levels, classes, splits)


def _builder(name, data_dir):
    try:
        if name == 'digits':
            return digits.Digits(data_dir=data_dir)
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        raise UserError(
            f'unknown data set {name!r}: use digits, folder:PATH, or a TFDS '
            'name such as mnist, fashion_mnist, cifar10'
        ) from None
    except (
        ValueError,
        KeyError,
        OSError,
        ImportError,
        AssertionError,
    ) as error:
        raise UserError(
            f'data set {name!r} in {data_dir or "the TFDS default folder"} '
            f'cannot be opened: {_one_line(error)}'
        ) from None


def _keys(name, features):
    features = dict(features) if hasattr(features, 'keys') else {}
    images = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.Image)
    ]
    if not images:
        raise UserError(f'data set {name!r} has no image: use a TFDS image set')
    key = 'image' if 'image' in images else images[0]
    if features[key].np_dtype != np.uint8:
        raise UserError(
            f'data set {name!r} has {features[key].np_dtype.__name__} images:'
            ' only 8-bit images are supported'
        )
    label = features.get('label')
    has_label = isinstance(label, tfds.features.ClassLabel)
    return key, 'label' if has_label else None


def _prepared(name, builder, data_dir):
    info = builder.data_path / 'dataset_info.json'
    if info.exists():
        return builder
    for url in getattr(builder, 'url_infos', None) or ():
        # TFDS itself retries for minutes before it gives up.
        if not _reachable(url):
            raise UserError(
                f'data set {name!r} is not prepared in {builder.data_dir} and '
                'its source cannot be reached: run `tfds build '
                f'{name}` where there is a network and pass --data_dir, or '
                'use the embedded set digits'
            )
        break
    # Nothing worth reporting happens while the embedded set is written.
    quiet = io.StringIO() if name == 'digits' else sys.stdout
    try:
        with contextlib.redirect_stdout(quiet):
            builder.download_and_prepare()
    except Exception as error:  # TFDS raises all kinds
        # Another process, say another worker, may have been faster.
        if not info.exists():
            raise UserError(
                f'data set {name!r} cannot be prepared in {builder.data_dir}: '
                f'{_one_line(error)}'
            ) from None
    return _builder(name, data_dir)


def _reachable(url):
    request = urllib.request.Request(url, method='HEAD')
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except urllib.error.HTTPError:
        return True  # a server answered; TFDS will say what it thinks of it
    except OSError:  # URLError and time-outs among them
        return False
    return True


def _split_rows(builder):
    """'train', 'test' -> (name of the stored split, its row numbers)."""
    sizes = {k: v.num_examples for k, v in builder.info.splits.items()}
    train = 'train' if 'train' in sizes else next(iter(sizes), None)
    if train is None or sizes[train] == 0:
        raise UserError(
            f'data set {builder.name!r} in {builder.data_dir} has no '
            'examples: prepare it again with tfds build'
        )
    for test in ('test', 'validation'):
        if sizes.get(test) and test != train:
            return {
                'train': (train, np.arange(sizes[train])),
                'test': (test, np.arange(sizes[test])),
            }
    return {k: (train, rows) for k, rows in hold_out(sizes[train]).items()}


def _decode(name, builder, split, image_key, label_key, size):
    shape = builder.info.features[image_key].shape
    images, labels = [], []
    try:
        for batch in _batches(builder, split, None not in shape[:2]):
            images.extend(fit(batch[image_key], size))
            if images[-1].shape != images[0].shape:
                break  # stack will say so
            if label_key:
                labels.extend(batch[label_key])
    except tf.errors.OpError as error:
        raise UserError(
            f'data set {name!r} in {builder.data_dir} cannot be read: '
            f'{_one_line(error)}'
        ) from None
    return stack(name, images), np.asarray(labels, np.int32)


def _batches(builder, split, same_shape):
    """Examples of a stored split in order, stacked along a first axis."""
    if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
        source = builder.as_data_source(split=split)
        for index in range(len(source)):
            yield {k: np.asarray(v)[None] for k, v in source[index].items()}
        return
    # Batches decode twice as fast, but only images of one shape make a batch.
    examples = builder.as_dataset(
        split=split, batch_size=1000 if same_shape else 1
    )
    yield from tfds.as_numpy(examples)


def _data_source(name, builder, split):
    try:
        return builder.as_data_source(split=split)
    except NotImplementedError:
        raise UserError(
            f'data set {name!r} is too large for memory and its files have no '
            f'random access: run `tfds build {name} '
            '--file_format=array_record --data_dir=OTHER` and pass '
            '--data_dir=OTHER, or set a smaller image_size'
        ) from None


def _one_line(error):
    return ' '.join(str(error).split())[:300] or type(error).__name__
