"""Reads images of TFDS sets, and the embedded digits."""

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tfgen.data.embedded import digits
from tfgen.data.readers.base import (
    Fingerprint,
    RandomAccess,
    Source,
    fit,
    hold_out,
    sample_rows,
    stack,
    to_bytes,
)
from tfgen.data.readers.prepared import (
    ByIndex,
    class_names,
    example_keys,
    label_key,
    num_used,
    open_builder,
    prepare,
    read,
    read_splits,
    stored_splits,
    usable_labels,
)
from tfgen.errors import UserError

# Sets whose images do not use all 256 values of a byte.
_LEVELS = {'digits': digits.LEVELS, 'binarized_mnist': 2}


def open_tfds(
    name: str,
    data_dir: str | None,
    size: tuple[int, int] | None,
    memory_limit: int,
) -> Source:
    """Opens 'digits' or a TFDS set, and prepares it if needed.

    16-bit images are scaled to 8 bits. Transparent pixels are laid on black. A
    set of more than `memory_limit` bytes of images is read by random access.
    """
    builder = open_builder(name, data_dir)
    keys, notes = _keys(name, builder.info)
    builder = prepare(name, builder, data_dir)
    names = class_names(builder, keys[1])
    *stored, channels = builder.info.features[keys[0]].shape
    shape = (*(size or stored), 1 if channels == 1 else 3)
    total = num_used(builder)
    if None not in shape and total * np.prod(shape) > memory_limit:
        fields = _by_access(name, builder, keys, size, shape, names)
    else:
        fingerprint = Fingerprint()
        fields = read_splits(
            builder,
            names,
            lambda split: _decode(
                name, builder, split, keys, size, fingerprint
            ),
        )
        fields['fingerprint'] = str(fingerprint)
        train = fields['splits']['train'].gather(tf.constant([0]))[0]
        shape = tuple(train.shape[1:])
    fields['notes'] = (*notes, *fields['notes'])
    levels = _LEVELS.get(builder.name, 256)
    # The truth of an embedded set holds only for images of the original size.
    truth = None if size else getattr(builder, 'truth', None)
    return Source(shape=shape, levels=levels, truth=truth, **fields)


def _keys(name, info):
    """The keys (image, label or None), and notes."""
    own = info.supervised_keys[0] if info.supervised_keys else None
    images = example_keys(info, tfds.features.Image, (own, 'image'))
    if not images:
        raise UserError(
            f'data set {name!r} has no image: use a TFDS image set, or a model '
            'of sounds'
        )
    key, *others = images
    features = dict(info.features)
    dtype = np.dtype(features[key].np_dtype)
    if dtype not in (np.uint8, np.uint16):
        raise UserError(
            f'data set {name!r} has {dtype.name} images: only those of 8 and '
            '16 bits can be read, convert it'
        )
    channels = features[key].shape[-1]
    if channels not in (1, 3, 4):
        raise UserError(
            f'data set {name!r} has images of {channels} channels: only grey '
            '(1), colour (3) and colour with transparency (4) can be read'
        )
    label, note = label_key(features, info.supervised_keys)
    notes = [note] if note else []
    if others:
        notes.append(f'left out: images {", ".join(others)} of each example')
    return (key, label), notes


def _by_access(name, builder, keys, size, shape, names):
    """Fields of the Source of a data set that does not fit into memory."""
    train, test, notes = stored_splits(builder)
    used = [split for split in (train, test) if split]
    sizes = {k: builder.info.splits[k].num_examples for k in used}
    if keys[1]:
        labels = {
            split: _sampled(name, builder, split, keys[1]) for split in used
        }
        names, test, said = usable_labels(builder, names, labels)
        notes += said
    if test:
        rows = {'train': range(sizes[train]), 'test': range(sizes[test])}
    else:
        rows = hold_out(name, sizes[train], None)
    keys = (keys[0], keys[1] if names else None)
    fingerprint = Fingerprint()
    fingerprint.add(builder.info.full_name, *sizes.items(), *names)
    splits = {}
    for split in rows:
        stored = train if split == 'train' else test or train
        source = _by_index(name, builder, stored)
        for example in source.__getitems__(
            [int(rows[split][i]) for i in sample_rows(len(rows[split]))]
        ):
            fingerprint.add(np.asarray(example[keys[0]]))
            fingerprint.add(example[keys[1]] if keys[1] else 0)
        splits[split] = RandomAccess(source, rows[split], keys, size, shape)
    return {
        'class_names': names,
        'splits': splits,
        'fingerprint': str(fingerprint),
        'origin': f'stored split {test}' if test else '',
        'notes': tuple(notes),
    }


def _sampled(name, builder, split, label_key):
    """Labels of at most 10,000 examples, for a split too large to read."""
    source = _by_index(name, builder, split, images=False)
    rows = sample_rows(len(source), 10_000)
    return np.array([e[label_key] for e in source.__getitems__(rows)])


def _decode(name, builder, split, keys, size, fingerprint):
    """Reads a stored split: images uint8 [N, H, W, C], labels int64 [N]."""
    image_key, label_key = keys
    shape = builder.info.features[image_key].shape
    levels = _LEVELS.get(builder.name, 256)
    images, labels = [], []
    # Batches decode twice as fast, but need images of one shape.
    batch_size = 1 if None in shape[:2] else 1000
    for batch in read(name, builder, split, batch_size):
        found = batch[image_key]
        fingerprint.add(found)
        found = to_bytes(found)
        if found.max(initial=0) >= levels:
            raise UserError(
                f'data set {name!r} has a pixel of {found.max()} where '
                f'{levels} levels are expected: prepare it again with '
                'tfds build'
            )
        images.extend(fit(found, size))
        if images[-1].shape != images[0].shape:
            break  # `stack` raises the error
        labels.extend(batch[label_key] if label_key else [0] * len(found))
    images, labels = stack(name, images), np.asarray(labels, np.int64)
    fingerprint.add(labels)
    return images, labels


def _by_index(name, builder, split, images=True):
    """Opens a stored split for random access."""
    try:
        return ByIndex(builder, split, images)
    except NotImplementedError:
        raise UserError(
            f'data set {name!r} is too large for memory and its files have no '
            f'random access: run `tfds build {name} '
            '--file_format=array_record --data_dir=OTHER` and pass '
            '--data_dir=OTHER, or set a smaller image_size'
        ) from None
