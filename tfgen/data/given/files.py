"""The data sets arrays:PATH: arrays in an .npz file.

A run that is trained on arrays keeps them in its workdir, so that it can be
resumed, evaluated and exported without them.
"""

import copy
import dataclasses
import io
import json
import pathlib
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen import storage
from tfgen.data.given import checks
from tfgen.data.given.opening import from_examples
from tfgen.data.readers.base import InMemory, Source
from tfgen.data.sets import of_source
from tfgen.data.specs import Spec, spec_from_dict
from tfgen.data.stream import Data
from tfgen.errors import UserError
from tfgen.noise import RowNoise

# Names of arrays in a file that `save_arrays` has not written. The first pair
# is that of keras.datasets.
_TRAIN = (('x_train', 'y_train'), ('train', 'train_labels'), ('x', 'y'),
          ('images', 'labels'), ('image', 'label'))  # fmt: skip
_TEST = (('x_test', 'y_test'), ('test', 'test_labels'))
_SPEC = 'tfgen_spec'


def save_arrays(file: pathlib.Path, data: Data) -> None:
    """Writes Data that are in memory; `load_arrays` reads them again.

    Raises:
      UserError: the file cannot be written.
    """
    source, content = data.source, {}
    for split, part in source.splits.items():
        content[split] = part.examples.numpy()
        if part.labels is not None:
            content[f'{split}_labels'] = part.labels.numpy()
    about = {
        'levels': source.levels,
        'fingerprint': source.fingerprint,
        'origin': source.origin,
        'notes': source.notes,
        'spec': data.spec.as_dict(),
    }
    content[_SPEC] = np.array(json.dumps(about))
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    storage.write({file: buffer.getvalue()})


def load_arrays(
    name: str,
    file: pathlib.Path,
    spec_types: Sequence[type[Spec]],
    **settings: Any,
) -> Data:
    """Opens arrays:PATH.

    Args:
      name: of the data set, for messages.
      file: from `save_arrays`, or an .npz file with the arrays x_train and
        y_train, or images and labels, and perhaps x_test and y_test.
      spec_types, settings: see from_examples.

    Raises:
      UserError: the file cannot be read, or holds no such arrays.
    """
    try:
        content = io.BytesIO(file.read_bytes())
        with np.load(content, allow_pickle=False) as found:
            arrays = {key: found[key] for key in found.files}
    except UserError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f'data set {name!r} cannot be read '
            f'({" ".join(str(error).split())[:120]}): pass an .npz file that '
            'np.savez has written, with arrays of numbers or strings'
        ) from None
    if _SPEC in arrays:
        return _saved(name, arrays, settings)
    train, test = (_pair(arrays, names) for names in (_TRAIN, _TEST))
    if train is None:
        raise UserError(
            f'data set {name!r} holds the arrays {", ".join(arrays)}: name '
            'them x_train and y_train, x_test and y_test'
        )
    parts = {'train': train} | ({} if test is None else {'test': test})
    return from_examples(parts, None, spec_types, name=name, **settings)


def _pair(arrays, names):
    """Examples, or (examples, labels), under the first of `names`."""
    for examples, labels in names:
        if examples in arrays:
            if labels not in arrays:
                return arrays[examples]
            return arrays[examples], arrays[labels]
    return None


def _saved(name, arrays, settings):
    """The Data of a file from `save_arrays`."""
    about = json.loads(str(arrays[_SPEC]))
    spec = spec_from_dict(about['spec'])
    source = Source(
        shape=arrays['train'].shape[1:],
        levels=about['levels'],
        class_names=spec.class_names,
        splits={
            split: InMemory(arrays[split], arrays.get(f'{split}_labels'))
            for split in ('train', 'test')
        },
        fingerprint=about['fingerprint'],
        origin=about['origin'],
        notes=tuple(about['notes']),
        alphabet=getattr(spec, 'alphabet', ()),
    )
    if hasattr(spec, 'sample_rate'):
        settings = settings | {'sample_rate': spec.sample_rate}
    return of_source(name, source, type(spec), **settings)


def as_examples(spec: Spec, given: Any) -> np.ndarray:
    """Converts examples to the form that a model takes: [N, *spec.shape].

    Args:
      spec: of the model.
      given: an array or a list of strings; see checks.examples. Floats of the
        model's own shape and range are returned as they are.

    Raises:
      UserError: they are no examples of `spec`.
    """
    array = np.asarray(given)
    if array.dtype.kind == 'f' and array.shape[1:] == spec.shape:
        example = tf.constant(array, spec.dtype)
        valid, rule = spec.valid(example)
        if valid:
            return example.numpy()
        raise UserError(f'examples {rule}: check their scale')
    levels = getattr(spec, 'levels', 0)
    found = checks.examples(given, spec_types_of(spec), levels)
    values = _in_alphabet(spec, given, found)
    if values.shape[1:] != spec.shape:
        raise UserError(
            f'examples have shape {list(values.shape[1:])} and the model '
            f'takes {list(spec.shape)}: pass such examples'
        )
    noise = RowNoise(tf.range(len(values), dtype=tf.int64))
    return spec.scale(tf.constant(values), found.levels, noise).numpy()


def spec_types_of(spec: Spec) -> tuple[type[Spec], ...]:
    """The class in checks.KINDS to which a spec belongs, as a tuple."""
    return tuple(k for k in type(spec).__mro__ if k in checks.KINDS)


def _in_alphabet(spec, given, found):
    """Strings as rows of positions in the alphabet of the spec, padded."""
    alphabet = getattr(spec, 'alphabet', None)
    if alphabet is None or '' not in found.alphabet:
        return found.values
    place = {letter: number for number, letter in enumerate(alphabet)}
    rows = np.zeros([len(given), spec.length], np.int32)
    for row, line in zip(rows, given, strict=True):
        unknown = [letter for letter in line if letter not in place]
        if unknown or len(line) > spec.length:
            what = (
                f'the letter {unknown[0]!r}, which the model does not know'
                if unknown
                else f'{len(line)} letters, and the model takes {spec.length}'
            )
            raise UserError(f'the line {line!r:.60} has {what}: change it')
        row[: len(line)] = [place[letter] for letter in line]
    return rows


def like(spec: Spec, data: Any, labels: Any = None) -> Data:
    """Opens other examples of a spec.

    Each split of arrays has all examples; a source holds out a tenth.

    Args:
      spec: of a model.
      data, labels: see opening.from_examples. Labels are numbers or names of
        the classes of `spec`.

    Raises:
      UserError: the examples have another kind or shape.
    """
    if isinstance(data, Data):
        found = data
    else:
        settings = {'binarization': getattr(spec, 'binarization', 'none')}
        if hasattr(spec, 'sample_rate'):
            settings['sample_rate'] = spec.sample_rate
        if _is_text(spec, data):
            data = as_examples(spec, data)
        found = from_examples(
            data,
            labels,
            spec_types_of(spec),
            _names(spec, data, labels),
            held_out=False,
            **settings,
        )
    if found.spec.shape != spec.shape:
        raise UserError(
            f'data are {found.spec.words()}, and the model takes '
            f'{spec.words()}: pass such data'
        )
    sizes = found.spec.split_sizes
    classes = spec.num_classes if found.spec.num_classes else 0
    changed = copy.copy(found)
    changed.spec = dataclasses.replace(
        spec,
        split_sizes=sizes,
        num_classes=classes,
        class_names=spec.class_names if classes else (),
    )
    return changed


def _is_text(spec, data):
    """Whether data are strings for a model of symbols."""
    if not hasattr(spec, 'alphabet') or not isinstance(data, (list, tuple)):
        return False
    return all(isinstance(line, str) for line in data)


def _names(spec, data, labels):
    """The class names of the spec, if the data have labels."""
    alone = labels is None and isinstance(data, np.ndarray)
    return None if alone or not spec.class_names else list(spec.class_names)
