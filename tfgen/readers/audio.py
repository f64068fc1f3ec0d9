"""Sounds of the TFDS catalog, and the embedded tones."""

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tfgen.errors import UserError
from tfgen.readers.base import MEMORY_LIMIT, Source
from tfgen.readers.prepared import (
    class_label,
    in_memory,
    num_classes,
    one_line,
    open_builder,
    prepare,
    split_rows,
)

_LEVELS = 1 << 16  # 16 bits
# Sets that do not state their rate.
_SAMPLE_RATES = {'spoken_digit': 8000}


def open_audio(
    name: str,
    data_dir: str | None,
    length: int,
    memory_limit: int = MEMORY_LIMIT,
) -> Source:
    """Opens 'tones' or a TFDS set of 16-bit sounds, in memory.

    Every sound is cut after `length` samples, or filled up with silence.
    """
    if ':' in name:
        raise UserError(
            f'data set {name!r} is one of images: use tones, or a TFDS audio '
            'set such as spoken_digit'
        )
    builder = open_builder(name, data_dir)
    key = _audio_key(name, builder.info.features)
    label_key = class_label(dict(builder.info.features))
    builder = prepare(name, builder, data_dir)
    feature = builder.info.features[key]
    dtype = np.dtype(feature.np_dtype)
    if np.issubdtype(dtype, np.floating) or len(feature.shape) > 1:
        raise UserError(
            f'data set {name!r} has {dtype} sounds of shape {feature.shape}: '
            'only 16-bit mono ones are supported'
        )
    rate = _SAMPLE_RATES.get(builder.name) or feature.sample_rate
    if not rate:
        raise UserError(
            f'data set {name!r} does not state its sample rate: use one that '
            'does, such as tones or spoken_digit'
        )
    rows = split_rows(builder)
    size = 2 * length * sum(len(r) for _, r in rows.values())
    if size > memory_limit:
        raise UserError(
            f'data set {name!r} takes {size >> 20} MiB at audio_length='
            f'{length}: set a smaller audio_length'
        )
    decoded = {
        stored: _decode(name, builder, stored, key, label_key, length)
        for stored in {stored for stored, _ in rows.values()}
    }
    splits = in_memory(rows, decoded, label_key)
    classes = num_classes(builder, label_key)
    return Source((length,), _LEVELS, classes, splits, sample_rate=int(rate))


def _audio_key(name, features):
    features = dict(features) if hasattr(features, 'keys') else {}
    for key, feature in features.items():
        if isinstance(feature, tfds.features.Audio):
            return key
    raise UserError(
        f'data set {name!r} has no audio: use tones, or a TFDS audio set such '
        'as spoken_digit'
    )


def _decode(name, builder, split, key, label_key, length):
    sounds, labels = [], []
    try:
        for example in tfds.as_numpy(builder.as_dataset(split=split)):
            sound = example[key][:length]
            if np.abs(sound).max(initial=0) > _LEVELS // 2:
                raise UserError(
                    f'data set {name!r} has sounds of more than 16 bits: only '
                    '16-bit sounds are supported'
                )
            sound = np.clip(sound, -_LEVELS // 2, _LEVELS // 2 - 1)
            sounds.append(np.pad(sound, [0, length - len(sound)]))
            labels.append(example[label_key] if label_key else 0)
    except tf.errors.OpError as error:
        raise UserError(
            f'data set {name!r} in {builder.data_dir} cannot be read: '
            f'{one_line(error)}'
        ) from None
    return np.stack(sounds).astype(np.int16), np.asarray(labels, np.int32)
