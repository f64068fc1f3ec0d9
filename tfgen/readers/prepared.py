"""TFDS builders: opened, prepared if need be, and split."""

import contextlib
import io
import urllib.error
import urllib.request

import numpy as np
import tensorflow_datasets as tfds
from absl import logging

from tfgen import digits, tones
from tfgen.errors import UserError
from tfgen.readers.base import InMemory, hold_out, take

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


def split_rows(builder):
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


def class_label(features) -> str | None:
    """The key of the label, if there is one."""
    label = features.get('label')
    return 'label' if isinstance(label, tfds.features.ClassLabel) else None


def num_classes(builder, label_key: str | None) -> int:
    """0 without a label."""
    return builder.info.features[label_key].num_classes if label_key else 0


def in_memory(rows, decoded, label_key: str | None) -> dict[str, InMemory]:
    """The splits of `split_rows`, of (examples, labels) by stored split."""
    return {
        split: InMemory(
            take(decoded[stored][0], r),
            take(decoded[stored][1], r) if label_key else None,
        )
        for split, (stored, r) in rows.items()
    }


def one_line(error):
    return ' '.join(str(error).split())[:300] or type(error).__name__
