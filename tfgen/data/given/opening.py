"""Opens data that are passed in Python: arrays, tf.data, random access."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen.data.given import checks, random_access, streams
from tfgen.data.readers.base import Fingerprint, InMemory, Source, hold_out
from tfgen.data.sets import ARRAYS, of_source
from tfgen.data.specs import (
    ImageSpec,
    PointSpec,
    SoundSpec,
    Spec,
    SymbolSpec,
)
from tfgen.data.stream import Data
from tfgen.errors import UserError

_SPLITS = ('train', 'test')


def from_examples(
    data: Any,
    labels: Any = None,
    spec_types: Sequence[type[Spec]] | None = None,
    class_names: Sequence[str] | None = None,
    name: str = ARRAYS,
    held_out: bool = True,
    **settings: Any,
) -> Data:
    """Opens arrays, a tf.data.Dataset, or a random-access source.

    Args:
      data: one of
        - an array of examples; see checks.examples;
        - a pair (examples, labels); a pair (train, test) of arrays or
          sources; or ((examples, labels), (examples, labels)) as from
          keras.datasets;
        - a dict with 'train' and 'test'; or with examples under any one key,
          and perhaps 'label';
        - a tf.data.Dataset of examples, of (example, label), or of dicts,
          batched or not; see streams;
        - a random-access source; see random_access.
        Without a test split, a tenth is held out by a fixed seed.
      labels: of the examples, [N]; of a pair, a pair.
      spec_types: the specs that the model accepts; None takes images, points
        and symbols, or sounds if `sample_rate` is given.
      class_names: by label; None takes numbers, or the strings that labels are.
      name: of the data set, in messages.
      held_out: whether arrays without a test split hold out a tenth. If not,
        each split has all examples. (Sources always hold out a tenth.)
      settings: see data.sets.of_source: binarization, num_labels, sample_rate.

    Raises:
      UserError: the data are wrong; the message states the remedy.
    """
    if spec_types is None:
        spec_types = (ImageSpec, PointSpec, SymbolSpec)
        spec_types = (SoundSpec,) if 'sample_rate' in settings else spec_types
    if isinstance(data, tf.data.Dataset):
        _no_more_labels(labels)
        found = streams.open_dataset(data, spec_types, class_names, settings)
        if isinstance(found, Data):
            return found
        data, labels = found
    parts = {
        split: _read(x, y) for split, (x, y) in _parts(data, labels).items()
    }
    if any(random_access.is_source(x) for x, _ in parts.values()):
        if any(y is not None for _, y in parts.values()):
            raise UserError(
                'labels of a random-access source come from the source: let '
                'its items be (example, label), and leave labels out'
            )
        source, kind = random_access.open_source(
            {split: x for split, (x, _) in parts.items()},
            spec_types,
            class_names,
        )
        return of_source(name, source, kind, **settings)
    source, kind = _arrays(parts, spec_types, class_names, held_out)
    return of_source(name, source, kind, **settings)


def _read(x, y):
    """The arrays of a split that is a tf.data.Dataset."""
    if not isinstance(x, tf.data.Dataset):
        return x, y
    _no_more_labels(y)
    return streams.read(x)


def _parts(data, labels):
    """{split: (examples, labels or None)}; 'test' may be missing."""
    if isinstance(data, Mapping):
        return _of_mapping(data, labels)
    if not (isinstance(data, tuple) and len(data) == 2):
        return {'train': (data, labels)}
    first, second = data
    if all(isinstance(part, tuple) and len(part) == 2 for part in data):
        _no_more_labels(labels)
        return dict(zip(_SPLITS, data, strict=True))
    if labels is None and _are_labels(first, second):
        return {'train': data}
    if labels is None:
        return {'train': (first, None), 'test': (second, None)}
    if not (isinstance(labels, (tuple, list)) and len(labels) == 2):
        raise UserError(
            'data is a pair (train, test) and labels is no pair: pass '
            'labels=(train_labels, test_labels)'
        )
    pairs = zip(data, labels, strict=True)
    return dict(zip(_SPLITS, pairs, strict=True))


def _of_mapping(data, labels):
    """`_parts` of a dict."""
    _no_more_labels(labels)
    if 'train' in data:
        unknown = data.keys() - set(_SPLITS)
        if unknown:
            raise UserError(
                f'data has the splits {sorted(data)}: use train and test'
            )
        parts = {}
        for split in _SPLITS:
            if split in data:
                found = _parts(data[split], None)
                if 'test' in found:
                    raise UserError(
                        f'the split {split!r} is a pair without labels [N]: '
                        'pass (examples, labels)'
                    )
                parts[split] = found['train']
        return parts
    keys = [k for k in data if k != 'label']
    if len(keys) != 1:
        raise UserError(
            f'data has the keys {sorted(map(str, data))}: pass one key for the '
            "examples and 'label' for the labels; or 'train' and 'test'"
        )
    return {'train': (data[keys[0]], data.get('label'))}


def _no_more_labels(labels):
    if labels is not None:
        raise UserError('data contains labels already: leave labels out')


def _are_labels(first, second):
    """Whether the second array of a pair holds the labels of the first."""
    if random_access.is_source(first) or random_access.is_source(second):
        return False
    rows, labels = np.shape(first), np.shape(second)
    flat = len(labels) == 1 or (len(labels) == 2 and labels[1] == 1)
    if not flat or not rows or rows[0] != labels[0]:
        return False
    # Two lists of strings are two splits.
    return len(rows) > len(labels) or (
        _strings([first]) and np.asarray(second).dtype.kind in 'iub'
    )


def _arrays(parts, spec_types, class_names, held_out):
    """The Source of arrays, and the kind of its examples."""
    named = {s: x for s, (x, _) in parts.items()}
    found = _checked(named, spec_types)
    kind = found['train'].kind
    if all(y is None for _, y in parts.values()) and not held_out:
        class_names = None  # those of a model, and the data have no labels
    elif class_names is None:
        class_names = _texts([y for _, y in parts.values()])
    given = {
        split: checks.labels(y, len(found[split].values), class_names)
        for split, (_, y) in parts.items()
    }
    names = max((n for _, n in given.values()), key=len)
    if len({y is None for y, _ in given.values()}) > 1:
        raise UserError(
            'one of train and test has labels and the other has none: pass '
            'labels for both, or for neither'
        )
    arrays = {s: (found[s].values, given[s][0]) for s in parts}
    origin = 'the one that was given'
    if not held_out:
        arrays = {'test': arrays['train']} | arrays
    if 'test' not in arrays:
        values, y = arrays['train']
        held = hold_out(ARRAYS, len(values), y)
        arrays = {
            s: (values[rows], None if y is None else y[rows])
            for s, rows in held.items()
        }
        origin = ''
    fingerprint = Fingerprint()
    for split, (values, y) in arrays.items():
        fingerprint.add(split, values, *([] if y is None else [y]))
    first = found['train']
    return Source(
        shape=first.values.shape[1:],
        levels=max(part.levels for part in found.values()),
        class_names=names,
        splits={s: InMemory(values, y) for s, (values, y) in arrays.items()},
        fingerprint=str(fingerprint),
        origin=origin,
        notes=tuple(dict.fromkeys(n for p in found.values() for n in p.notes)),
        alphabet=max((p.alphabet for p in found.values()), key=len),
    ), kind


def _texts(labels):
    """The class names of labels that are strings, over all splits, or None."""
    try:
        arrays = [np.asarray(y) for y in labels if y is not None]
    except ValueError:  # rows of unequal length; checks.labels refuses them
        return None
    if not arrays or any(a.dtype.kind not in 'US' for a in arrays):
        return None
    return sorted({str(t) for a in arrays for t in a.astype(str).ravel()})


def _checked(arrays, spec_types):
    """{split: checks.Examples}, of one kind and shape."""
    if _strings(arrays.values()):  # they share one alphabet
        lines = {s: list(x) for s, x in arrays.items()}
        together = checks.examples(
            [t for x in lines.values() for t in x], spec_types
        )
        first, parts = 0, {}
        for split, x in lines.items():
            rows = together.values[first : first + len(x)]
            parts[split] = dataclasses.replace(together, values=rows)
            first += len(x)
        return parts
    parts = {s: checks.examples(x, spec_types) for s, x in arrays.items()}
    shapes = {split: part.values.shape[1:] for split, part in parts.items()}
    if len(set(shapes.values())) > 1:
        raise UserError(
            f'examples of train have shape {list(shapes["train"])} and those '
            f'of test {list(shapes["test"])}: bring them to one shape'
        )
    levels = {part.levels for part in parts.values()}
    if parts['train'].kind is ImageSpec and len(levels) > 1:
        # One split happens to have no other values than 0 and 1.
        parts = {
            s: checks.examples(x, spec_types, max(levels))
            for s, x in arrays.items()
        }
    return parts


def _strings(arrays):
    """Whether the first of `arrays` holds strings."""
    first = next(iter(arrays))
    return isinstance(first, (list, tuple, np.ndarray)) and (
        len(first) > 0 and isinstance(first[0], (str, np.str_))
    )
