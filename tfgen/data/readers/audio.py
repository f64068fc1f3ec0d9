"""Reads sounds of TFDS sets, and the embedded tones."""

import numpy as np
import tensorflow_datasets as tfds

from tfgen.data.readers.base import (
    MEMORY_LIMIT,
    PATHS,
    Fingerprint,
    Source,
)
from tfgen.data.readers.prepared import (
    class_names,
    example_keys,
    label_key,
    num_used,
    open_builder,
    prepare,
    read,
    read_splits,
)
from tfgen.errors import UserError

_LEVELS = 1 << 16  # 16 bits
# Converts each stored type to 16 bits: (number to add, then factor). By
# default, TFDS stores 16-bit sounds as int64.
_SCALES = {
    'int16': (0, 1),
    'int64': (0, 1),
    'int8': (0, 256),
    'uint8': (-128, 256),  # as in WAV files, 128 is silence
}
# Sets that do not state their rate.
_SAMPLE_RATES = {'spoken_digit': 8000}


def open_audio(
    name: str,
    data_dir: str | None,
    length: int,
    memory_limit: int = MEMORY_LIMIT,
) -> Source:
    """Opens 'tones' or a TFDS set of 8- or 16-bit sounds, in memory.

    Every sound is cut after `length` samples or padded with silence. Sounds
    without samples are left out. The scale of the values follows from the type
    of the set's feature, never from the values themselves.
    """
    if name.partition(':')[0] in PATHS:
        raise UserError(
            f'data set {name!r} is one of images: use tones, or a TFDS audio '
            'set such as spoken_digit'
        )
    builder = open_builder(name, data_dir)
    info = builder.info
    key, notes = _audio_key(name, info)
    label, note = label_key(dict(info.features), info.supervised_keys)
    notes += [note] if note else []
    builder = prepare(name, builder, data_dir)
    _, rate = _format(name, builder, key)
    total = num_used(builder)
    if 2 * length * total > memory_limit:
        raise UserError(
            f'data set {name!r} takes {2 * length * total >> 20} MiB at '
            f'audio_length={length}: set a smaller audio_length'
        )
    fingerprint, empty = Fingerprint(), {}
    fields = read_splits(
        builder,
        class_names(builder, label),
        lambda split: _decode(
            name, builder, split, (key, label), length, fingerprint, empty
        ),
    )
    notes += [
        f'left out: {count} of {split} that have no samples'
        for split, count in empty.items()
    ]
    fields['notes'] = (*notes, *fields['notes'])
    return Source(
        shape=(length,),
        levels=_LEVELS,
        fingerprint=str(fingerprint),
        sample_rate=rate,
        **fields,
    )


def _format(name, builder, key):
    """The stored type of a sample, and the samples per second."""
    feature = builder.info.features[key]
    dtype = np.dtype(feature.np_dtype).name
    if dtype not in _SCALES or len(feature.shape) > 1:
        raise UserError(
            f'data set {name!r} has {dtype} sounds of shape {feature.shape}: '
            'convert it to mono sounds of 8 bits (uint8, int8) or 16 bits '
            "(int16, or TFDS's int64)"
        )
    rate = _SAMPLE_RATES.get(builder.name) or feature.sample_rate
    if not rate or rate < 0:
        raise UserError(
            f'data set {name!r} does not state its sample rate: use one that '
            'does, such as tones or spoken_digit'
        )
    return dtype, int(rate)


def _audio_key(name, info):
    """The key of the sound to read, and notes."""
    own = info.supervised_keys[0] if info.supervised_keys else None
    keys = example_keys(info, tfds.features.Audio, (own, 'audio'))
    if not keys:
        raise UserError(
            f'data set {name!r} has no audio: use tones, or a TFDS audio set '
            'such as spoken_digit'
        )
    key, *others = keys
    left = f'left out: sounds {", ".join(others)} of each example'
    return key, [left] if others else []


def _decode(name, builder, split, keys, length, fingerprint, empty):
    """Reads a stored split: sounds int16 [N, length], labels int64 [N].

    Adds to `fingerprint`, and counts sounds without samples in `empty`.
    """
    key, label = keys
    dtype = np.dtype(builder.info.features[key].np_dtype)
    added, factor = _SCALES[dtype.name]
    lowest, highest = -_LEVELS // 2, _LEVELS // 2 - 1
    sounds, labels = [], []
    for batch in read(name, builder, split, 1):
        sound = batch[key][0]
        fingerprint.add(sound)
        if not len(sound):
            empty[split] = empty.get(split, 0) + 1
            continue
        if (
            dtype == np.int64
            and not lowest <= sound.min() <= sound.max() <= highest
        ):
            raise UserError(
                f'data set {name!r} has sounds of more than 16 bits: only '
                '16-bit sounds are supported'
            )
        sound = (sound[:length].astype(np.int64) + added) * factor
        sounds.append(np.pad(sound, [0, length - len(sound)]))
        labels.append(batch[label][0] if label else 0)
    if not sounds:
        raise UserError(
            f'data set {name!r} has no sound with samples in {split}: prepare '
            'it again with tfds build'
        )
    labels = np.asarray(labels, np.int64)
    fingerprint.add(labels)
    return np.stack(sounds).astype(np.int16), labels
