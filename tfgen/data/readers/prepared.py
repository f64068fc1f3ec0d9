"""Opens TFDS builders, prepares them if needed, and splits them."""

import contextlib
import functools
import io
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging
from tensorflow_datasets.core import constants

from tfgen import storage
from tfgen.data.embedded import digits, moons, tones
from tfgen.data.readers.base import TEST, TRAIN, VALIDATION, InMemory, hold_out
from tfgen.errors import UserError

EMBEDDED = {
    'digits': digits.Digits,
    'moon_phases': moons.MoonPhases,
    'tones': tones.Tones,
}


def refuse_address(name: str) -> None:
    """Raises UserError for an address in place of the name of a data set."""
    if '://' in name:
        raise UserError(
            f'data set {name!r} is an address: write folder:{name} for a '
            'folder of pictures, or give the folder of prepared sets as '
            '--data_dir and a name'
        )


def open_builder(name, data_dir):
    """The builder of an embedded data set or of one that TFDS knows.

    Raises:
      UserError: the name is unknown, or the set is damaged.
    """
    refuse_address(name)
    try:
        place = data_dir or constants.DATA_DIR
        place = storage.place(place, remedy='pass --data_dir')
        data_dir = data_dir and str(place)
    except UserError:
        if data_dir or name not in EMBEDDED:
            raise
        data_dir = _scratch().name
    try:
        if name in EMBEDDED:
            return EMBEDDED[name](data_dir=data_dir)
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        if data_dir and (storage.place(data_dir) / name).is_dir():
            raise UserError(
                f'data set {name!r} in {data_dir} lacks features.json or '
                'dataset_info.json: prepare it again with tfds build'
            ) from None
        raise UserError(
            f'unknown data set {name!r}: use digits, tones, folder:PATH, '
            'palette:PATH, or a TFDS name such as mnist, cifar10, spoken_digit'
        ) from None
    except Exception as error:  # a damaged set raises anything in TFDS
        raise UserError(
            f'data set {name!r} in {data_dir or "the TFDS default folder"} '
            f'cannot be opened: {one_line(error)}'
        ) from None


def prepare(name, builder, data_dir):
    """Downloads and prepares a data set if needed; returns its builder.

    Raises:
      UserError: the set cannot be downloaded or prepared.
    """
    info = builder.data_path / 'dataset_info.json'
    with contextlib.suppress(OSError):  # not readable
        if info.exists():
            return builder
    if name in EMBEDDED:
        return _prepared(name, builder)
    for url in getattr(builder, 'url_infos', None) or ():
        # Tried here first, because TFDS retries for minutes before it gives up.
        if not _reachable(url):
            raise UserError(
                f'data set {name!r} is not prepared in {builder.data_dir} and '
                'its source cannot be reached: run `tfds build '
                f'{name}` where there is a network and pass --data_dir, or '
                'use an embedded set: digits or tones'
            )
        break
    try:
        builder.download_and_prepare()
    except Exception as error:  # TFDS raises anything
        # Another process, such as another worker, may have been faster.
        if not info.exists():
            raise _unprepared(name, builder, error) from None
    return open_builder(name, data_dir)


def _prepared(name, builder):
    """Prepares an embedded set, in a temporary folder if need be."""
    info = builder.data_path / 'dataset_info.json'
    try:
        with _quiet():
            builder.download_and_prepare()
    except Exception as error:  # TFDS raises anything
        # Another process may have been faster.
        if not info.exists():
            try:
                builder = EMBEDDED[name](data_dir=_scratch().name)
                with _quiet():
                    builder.download_and_prepare()
            except Exception:
                raise _unprepared(name, builder, error) from None
    return EMBEDDED[name](data_dir=builder.data_dir_root)


@functools.cache
def _scratch():
    """A temporary folder that is deleted when the process ends."""
    return tempfile.TemporaryDirectory(prefix='tfgen-')


def _unprepared(name, builder, error):
    """The UserError for a data set that cannot be prepared."""
    return UserError(
        f'data set {name!r} cannot be prepared in {builder.data_dir}: '
        f'{one_line(error)}: mend that, or pass another --data_dir'
    )


@contextlib.contextmanager
def _quiet():
    """Hides the messages of TFDS while it writes an embedded set."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    nowhere = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            yield
    finally:
        logging.set_verbosity(verbosity)


def _reachable(url):
    """Whether a server answers at `url`."""
    request = urllib.request.Request(url, method='HEAD')
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except urllib.error.HTTPError:
        return True  # a server answered; TFDS will report the error
    except OSError:  # includes URLError and time-outs
        return False
    return True


def example_keys(info, kind: type, usual: Sequence[str | None]) -> list[str]:
    """Keys of the features of type `kind`: the one to read, then the others.

    The one to read is the first key in `usual` that exists, else the first by
    name.
    """
    features = dict(info.features) if hasattr(info.features, 'keys') else {}
    # Sorted, because a stored set gives its features in any order.
    keys = sorted(k for k, f in features.items() if isinstance(f, kind))
    own = next((k for k in usual if k in keys), None)
    return sorted(keys, key=lambda k: k != own)


def label_key(features: Mapping, supervised_keys) -> tuple[str | None, str]:
    """The key of the label or None, and a note for the user or ''.

    The label is the set's own supervised key, else 'label', else its only
    ClassLabel.
    """
    # Sorted, because a stored set gives its features in any order.
    labels = sorted(
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.ClassLabel) and feature.num_classes
    )
    # Some sets have a third key, a weight.
    own = supervised_keys[1] if supervised_keys else None
    for key in (own, 'label'):
        if isinstance(key, str) and key in labels:
            return key, ''
    if len(labels) == 1:
        return labels[0], ''
    if labels:
        return None, f'opened without labels: {", ".join(labels)} are several'
    for key in (own, 'label', 'labels'):
        if isinstance(key, str) and isinstance(
            features.get(key), tfds.features.Scalar | tfds.features.Sequence
        ):
            return None, f'opened without labels: {key} is no ClassLabel'
    return None, ''


def class_names(builder, key: str | None) -> tuple[str, ...]:
    """Class names by label; empty without a key."""
    return tuple(builder.info.features[key].names) if key else ()


def stored_splits(builder) -> tuple[str, str | None, list[str]]:
    """Names of the stored splits for training and testing, and notes.

    The test split is None if a part of the training split must be held out.
    """
    sizes = {k: v.num_examples for k, v in builder.info.splits.items()}
    others = [k for k in sizes if k.lower() not in TEST + VALIDATION]
    train = _first(TRAIN, sizes) or next(iter([*others, *sizes]), None)
    if train is None or sizes[train] == 0:
        raise UserError(
            f'data set {builder.name!r} in {builder.data_dir} has no '
            'examples: prepare it again with tfds build'
        )
    filled = [k for k in sizes if sizes[k] and k != train]
    test = _first(TEST + VALIDATION, filled)
    notes = [] if train == 'train' else [f'the training split is {train}']
    rest = [
        f'split {name} ({sizes[name]} examples)'
        for name in filled
        if name != test
    ]
    notes += [f'left out: {"; ".join(rest)}'] if rest else []
    return train, test, notes


def _first(wanted, names):
    """The first of `wanted` that is in `names`, ignoring case, or None."""
    return next((n for w in wanted for n in names if n.lower() == w), None)


def num_used(builder) -> int:
    """Number of examples that are read."""
    used = stored_splits(builder)[:2]
    return sum(builder.info.splits[k].num_examples for k in used if k)


@contextlib.contextmanager
def _reading(name, builder):
    """Turns any error of reading files into a UserError of one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f'data set {name!r} in {builder.data_dir} cannot be read: '
            f'{one_line(error)}'
        ) from None


def read(
    name: str, builder, split: str, batch_size: int
) -> Iterator[dict[str, np.ndarray]]:
    """Yields the batches of a stored split in order: key -> [batch, ...]."""
    with _reading(name, builder):
        if builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD:
            source = ByIndex(builder, split)
            for index in range(len(source)):
                (example,) = source.__getitems__([index])
                yield {k: np.asarray(v)[None] for k, v in example.items()}
        else:
            yield from tfds.as_numpy(
                builder.as_dataset(split=split, batch_size=batch_size)
            )


class ByIndex:
    """The examples of a stored split by index; needs array_record files.

    Args:
      builder: of TFDS.
      split: name of the stored split.
      images: whether to decode images; otherwise they stay bytes.

    Raises:
      NotImplementedError: the files have no random access.
      UserError: an example cannot be read.
    """

    def __init__(self, builder, split: str, images: bool = True):
        self._builder = builder
        features = dict(builder.info.features)
        pictures = {
            key: feature
            for key, feature in features.items()
            if isinstance(feature, tfds.features.Image)
        }
        # Decoded here, because TFDS uses Pillow, which cannot read 16 bits.
        self._wide = {
            key: feature.shape[-1]
            for key, feature in pictures.items()
            if images and feature.np_dtype == np.uint16
        }
        skipped = self._wide if images else pictures
        skip = tfds.decode.SkipDecoding()
        self._source = builder.as_data_source(
            split=split, decoders=dict.fromkeys(skipped, skip) or None
        )

    def __len__(self):
        return len(self._source)

    def __getitems__(self, rows: Sequence[int]) -> list[dict]:
        with _reading(self._builder.name, self._builder):
            examples = self._source.__getitems__(rows)
            for example in examples:
                for key, channels in self._wide.items():
                    example[key] = tf.io.decode_png(
                        example[key], channels, tf.uint16
                    ).numpy()
        return examples


def read_splits(
    builder,
    names: tuple[str, ...],
    decode: Callable[[str], tuple[np.ndarray, np.ndarray]],
) -> dict:
    """Reads a set into memory; returns fields of a Source by name.

    Args:
      builder: prepared.
      names: class names.
      decode: reads a stored split: its name -> its examples and labels.
    """
    train, test, notes = stored_splits(builder)
    stored = {split: decode(split) for split in (train, test) if split}
    names, test, said = usable_labels(
        builder, names, {k: found for k, (_, found) in stored.items()}
    )
    examples, labels = stored[train]
    if test:
        parts = {'train': stored[train], 'test': stored[test]}
    else:
        rows = hold_out(builder.name, len(examples), labels if names else None)
        parts = {k: (examples[r], labels[r]) for k, r in rows.items()}
    return {
        'class_names': names,
        'splits': {
            split: InMemory(values, found if names else None)
            for split, (values, found) in parts.items()
        },
        'origin': f'stored split {test}' if test else '',
        'notes': (*notes, *said),
    }


def usable_labels(
    builder, names: tuple[str, ...], labels: Mapping[str, np.ndarray]
) -> tuple[tuple[str, ...], str | None, list[str]]:
    """Checks labels; decides which class names and test split can be used.

    Args:
      builder: of the set.
      names: class names.
      labels: stored split -> its labels, training first. A sample of the labels
        is enough.

    Returns:
      names: the class names; empty if some label belongs to no class.
      test: the test split; None if all of its labels belong to no class.
      notes: for the user.
    """
    notes = []
    (train, _), *rest = labels.items()
    test = rest[0][0] if rest else None
    if test and names and _outside(labels[test], names).all():
        count = builder.info.splits[test].num_examples
        notes.append(
            f'split {test} ({count} examples) has no labels (they are '
            f'{labels[test][0]}, not 0 to {len(names) - 1}): a tenth of '
            f'{train} is held out in its place'
        )
        test = None
    for split in filter(None, (train, test)):
        found = labels.get(split, np.zeros(0, int))
        outside = _outside(found, names)
        if outside.any():
            notes.append(
                f'opened without labels: {outside.sum()} of {len(found)} in '
                f'{split} are not 0 to {len(names) - 1}, such as '
                f'{found[outside][0]}; mend them, or use --set '
                'conditional=false'
            )
            return (), test, notes
    return names, test, notes


def _outside(labels, names):
    """Which labels belong to no class: bool [N]."""
    return (labels < 0) | (labels >= len(names) if names else False)


def one_line(error):
    """The message of an error in one line, at most 300 letters."""
    return ' '.join(str(error).split())[:300] or type(error).__name__
