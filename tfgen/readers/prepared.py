"""TFDS builders: opened, prepared if need be, and split."""

import contextlib
import io
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from tfgen import digits, tones
from tfgen.errors import UserError
from tfgen.readers.base import InMemory, hold_out

# Stored splits that serve as the test split, the best first.
_TESTS = ('test', 'validation', 'testing', 'val', 'valid', 'dev')
EMBEDDED = {'digits': digits.Digits, 'tones': tones.Tones}


def open_builder(name, data_dir):
    try:
        if name in EMBEDDED:
            return EMBEDDED[name](data_dir=data_dir)
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError:
        raise UserError(
            f'unknown data set {name!r}: use digits, tones, folder:PATH, '
            'palette:PATH, or a TFDS name such as mnist, cifar10, spoken_digit'
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
            f'cannot be opened: {one_line(error)}'
        ) from None


def prepare(name, builder, data_dir):
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
                'use an embedded set: digits or tones'
            )
        break
    try:
        with _quiet() if name in EMBEDDED else contextlib.nullcontext():
            builder.download_and_prepare()
    except Exception as error:  # TFDS raises all kinds
        # Another process, say another worker, may have been faster.
        if not info.exists():
            raise UserError(
                f'data set {name!r} cannot be prepared in {builder.data_dir}: '
                f'{one_line(error)}'
            ) from None
    return open_builder(name, data_dir)


@contextlib.contextmanager
def _quiet():
    """Nothing worth reporting happens while an embedded set is written."""
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
    request = urllib.request.Request(url, method='HEAD')
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except urllib.error.HTTPError:
        return True  # a server answered; TFDS will say what it thinks of it
    except OSError:  # URLError and time-outs among them
        return False
    return True


def label_key(
    features: Mapping, supervised_keys, edition: int
) -> tuple[str | None, str]:
    """The key of the label, if there is one, and what is to be said of it.

    The set's own supervised key, else 'label', else its only ClassLabel.
    """
    # (Sorted, for a stored set gives its features in any order.)
    labels = sorted(
        key
        for key, feature in features.items()
        if isinstance(feature, tfds.features.ClassLabel) and feature.num_classes
    )
    if edition == 1:
        return ('label' if 'label' in labels else None), ''
    own = supervised_keys[-1] if supervised_keys else None
    for key in (own, 'label'):
        if isinstance(key, str) and key in labels:
            return key, ''
    if len(labels) == 1:
        return labels[0], ''
    note = f'opened without labels: {", ".join(labels)} are several'
    return None, note if labels else ''


def class_names(builder, key: str | None) -> tuple[str, ...]:
    """By label; empty without one."""
    return tuple(builder.info.features[key].names) if key else ()


def stored_splits(builder, edition: int) -> tuple[str, str | None, list[str]]:
    """Names of the stored splits for training and testing, and a note.

    The test split is None where a part must be held out.
    """
    sizes = {k: v.num_examples for k, v in builder.info.splits.items()}
    train = 'train' if 'train' in sizes else next(iter(sizes), None)
    if train is None or sizes[train] == 0:
        raise UserError(
            f'data set {builder.name!r} in {builder.data_dir} has no '
            'examples: prepare it again with tfds build'
        )
    names = _TESTS[:2] if edition == 1 else _TESTS
    test = next((t for t in names if sizes.get(t) and t != train), None)
    rest = [
        f'split {name} ({size} examples)'
        for name, size in sizes.items()
        if name not in (train, test) and size
    ]
    return train, test, [f'left out: {"; ".join(rest)}'] if rest else []


def num_used(builder, edition: int) -> int:
    """Examples that are read."""
    used = stored_splits(builder, edition)[:2]
    return sum(builder.info.splits[k].num_examples for k in used if k)


def read_splits(
    builder,
    edition: int,
    names: tuple[str, ...],
    decode: Callable[[str], tuple[np.ndarray, np.ndarray]],
) -> dict:
    """Reads a set into memory: fields of a Source, by name.

    Args:
      builder: prepared.
      edition: see readers.base.
      names: of the classes.
      decode: name of a stored split -> its examples and labels.
    """
    train, test, notes = stored_splits(builder, edition)
    examples, labels = decode(train)
    parts = {'train': (examples, labels)}
    if test:
        parts['test'] = decode(test)
        if names and _outside(parts['test'][1], names).all():
            notes.append(
                f'split {test} has no labels (they are '
                f'{parts["test"][1][0]}, not 0 to {len(names) - 1}): a tenth '
                f'of {train} is held out in its place'
            )
            test = None
            del parts['test']
    for split, (_, found) in parts.items():
        outside = _outside(found, names)
        if outside.any():
            notes.append(
                f'opened without labels: {outside.sum()} of {len(found)} in '
                f'{split} are not 0 to {len(names) - 1}, such as '
                f'{found[outside][0]}; mend them, or use --set '
                'conditional=false'
            )
            names = ()
            break
    if not test:
        rows = hold_out(
            builder.name, len(examples), labels if names else None, edition
        )
        parts = {k: (examples[r], labels[r]) for k, r in rows.items()}
    return {
        'class_names': names,
        'splits': {
            split: InMemory(values, found if names else None)
            for split, (values, found) in parts.items()
        },
        'origin': f'stored split {test}' if test else '',
        'notes': tuple(notes),
    }


def _outside(labels, names):
    """Which labels are of no class; none in a set without classes."""
    return (labels < 0) | (labels >= len(names) if names else False)


def one_line(error):
    return ' '.join(str(error).split())[:300] or type(error).__name__
