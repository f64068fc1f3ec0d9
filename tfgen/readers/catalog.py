"""Images of the TFDS catalog, and the embedded digits."""

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tfgen import digits
from tfgen.errors import UserError
from tfgen.readers.base import (
    RandomAccess,
    Source,
    fit,
    stack,
)
from tfgen.readers.prepared import (
    class_label,
    in_memory,
    num_classes,
    one_line,
    open_builder,
    prepare,
    split_rows,
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
    builder = open_builder(name, data_dir)
    image_key, label_key = _keys(name, builder.info.features)
    builder = prepare(name, builder, data_dir)
    levels = _LEVELS.get(builder.name, 256)
    channels = builder.info.features[image_key].shape[-1]
    shape = (*(size or builder.info.features[image_key].shape[:2]), channels)
    rows = split_rows(builder)
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
        splits = in_memory(rows, decoded, label_key)
        shape = next(iter(decoded.values()))[0].shape[1:]
        largest = max(images.max() for images, _ in decoded.values())
        if largest >= levels:
            raise UserError(
                f'data set {name!r} has a pixel of {largest} where {levels} '
                'levels are expected: prepare it again with tfds build'
            )
    classes = num_classes(builder, label_key)
    return Source(tuple(shape), levels, classes, splits)


def _keys(name, features):
    features = dict(features) if hasattr(features, 'keys') else {}
    images = [
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.Image)
    ]
    if not images:
        raise UserError(
            f'data set {name!r} has no image: use a TFDS image set, or a model '
            'of sounds'
        )
    key = 'image' if 'image' in images else images[0]
    if features[key].np_dtype != np.uint8:
        raise UserError(
            f'data set {name!r} has {features[key].np_dtype.__name__} images:'
            ' only 8-bit images are supported'
        )
    return key, class_label(features)


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
            f'{one_line(error)}'
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
