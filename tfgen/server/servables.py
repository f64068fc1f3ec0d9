"""The models of a folder, each in its newest version, as TensorFlow loads them.

    FOLDER/<model>/<version>/saved_model.pb

As TensorFlow Serving does: a version counts when its name is a number, the
newest that can be loaded is served, and the old one goes when the new one
answers. Labels keep other versions beside it.
"""

import contextlib
import dataclasses
import errno
import gc
import json
import os
import pathlib
import threading
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import ops

from tfgen import storage
from tfgen.errors import UserError
from tfgen.server.merging import Arrays, Merger


@dataclasses.dataclass(frozen=True)
class Served:
    """One signature of a loaded version.

    Attributes:
      dtypes: input -> type.
      call: merges what it is asked; see merging.Merger.
    """

    dtypes: Mapping[str, np.dtype]
    call: Merger


@dataclasses.dataclass(frozen=True)
class Version:
    """A loaded version of a model.

    Attributes:
      number: of its folder.
      signatures: name -> what it serves.
      metadata: its signatures as the REST API describes them.
      info: what the export says of itself, see export.public; {} of others'.
    """

    number: int
    signatures: Mapping[str, Served]
    metadata: dict
    info: dict


@dataclasses.dataclass(frozen=True)
class State:
    """Where a version stands: `name` is TensorFlow Serving's word for it."""

    name: str
    code: str = 'OK'
    message: str = ''


class Model:
    """The versions of one model.

    Attributes:
      folder: that holds the versions.
      labels: label -> number of a version that is kept for it.
      loaded: number -> Version.
      states: number -> State, of what was seen in the folder.
    """

    def __init__(self, folder: pathlib.Path, labels: Mapping[str, int]):
        self.folder, self.labels = folder, dict(labels)
        self.loaded: dict[int, Version] = {}
        self.states: dict[int, State] = {}
        self._failed: dict[int, float] = {}

    def version(self, number: int | None = None) -> Version | None:
        """A loaded version, by number, or the newest."""
        # (As it is now: it may change while this is asked.)
        loaded = dict(self.loaded)
        if number is None:
            number = max(loaded, default=-1)
        return loaded.get(number)

    def refresh(self, load: Callable[[pathlib.Path, int], Version]) -> None:
        """Loads what has come, and drops what is replaced or gone.

        What a request still uses lives until that is answered.
        """
        found = storage.versions(self.folder)
        kept = {n for n in self.labels.values() if n in found}
        # The newest that can be loaded, and until it is, the one that was.
        for number in found:
            if self._load(found[number], number, load):
                kept.add(number)
                break
        for number in sorted(kept):
            self._load(found[number], number, load)
        for number in [n for n in self.loaded if n not in kept]:
            del self.loaded[number]
            gc.collect()  # a loaded model is full of circles
        self.states = {
            n: s
            for n, s in self.states.items()
            if n in self.loaded or (s.code != 'OK' and n in found)
        }

    def _load(self, folder, number, load):
        """Whether version `number` is loaded, now."""
        if number in self.loaded:
            return True
        changed = _changed(folder)
        if self._failed.get(number) == changed:
            return False
        self.states[number] = State('LOADING')
        try:
            version = load(folder, number)
        # Whatever is wrong with it, the others go on.
        except Exception as error:
            if not _is_transient(error):  # else it is tried again
                self._failed[number] = changed
            missing = not os.path.exists(folder / 'saved_model.pb')
            self.states[number] = State(
                'END',
                'NOT_FOUND' if missing else 'INVALID_ARGUMENT',
                f'{str(folder)!r} cannot be loaded: {storage.reason(error)}',
            )
            return False
        self._failed.pop(number, None)
        self.loaded[number] = version
        self.states[number] = State('AVAILABLE')
        return True


class Models:
    """All models of a folder, followed while they change.

    Args:
      folder: holds models, or is one.
      labels: model -> label -> number.
      executor, max_rows: see merging.Merger.

    Raises:
      UserError: there is no such folder.
    """

    def __init__(self, folder, labels, executor, max_rows: int):
        if not folder.is_dir():
            raise UserError(
                f'model_dir {str(folder)!r} is no folder: pass one that holds '
                'exports, as scripts/export.py makes them'
            )
        self._folder, self._labels = folder.resolve(), labels
        self._executor, self._max_rows = executor, max_rows
        self._models: dict[str, Model] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Model | None:
        """A model of the folder, whether it can answer or not."""
        return self._models.get(name)

    def names(self) -> list[str]:
        """Of the models that can answer."""
        return sorted(n for n, m in dict(self._models).items() if m.loaded)

    def refresh(self) -> list[str]:
        """Looks at the folder once; returns a line for each change."""
        with self._lock:
            before = {n: dict(m.states) for n, m in self._models.items()}
            for name, folder in self._found().items():
                if name not in self._models:
                    labels = self._labels.get(name, {})
                    self._models[name] = Model(folder, labels)
            for model in self._models.values():
                # What cannot be read now stays as it is.
                with contextlib.suppress(OSError):
                    model.refresh(self._load)
            after = {n: dict(m.states) for n, m in self._models.items()}
        return _changes(before, after)

    def _found(self):
        one = bool(storage.versions(self._folder))
        models = [self._folder] if one else _folders(self._folder)
        return {f.name: f for f in models if not f.name.startswith('.')}

    def _load(self, folder, number):
        return _load(folder, number, self._executor, self._max_rows)


def _is_transient(error):
    """Whether it may be the machine that failed, and not the files."""
    if isinstance(error, OSError):
        # (TensorFlow's own, of files that it cannot read, has no number.)
        return error.errno not in (None, errno.ENOENT, errno.ENOTDIR)
    return isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError))


@contextlib.contextmanager
def _without_gradients():
    """Takes back what a load registers so that gradients can be taken.

    TensorFlow keeps that for good, and with it the whole graph of every
    version that ever was. A server takes no gradients. (There is no public
    way; where this one is gone, memory grows by a graph for each version.)
    """
    registry = getattr(ops.gradient_registry, '_registry', {})
    before = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - before:
            del registry[name]


@_without_gradients()
def _load(folder, number, executor, max_rows):
    with storage.plain(folder) as place:
        content = (place / 'saved_model.pb').read_bytes()
        loaded = tf.saved_model.load(str(place))
    signatures = {}
    for name, function in loaded.signatures.items():
        specs = function.structured_input_signature[1]
        call = _caller(loaded, name)
        _warm(call, specs)
        signatures[name] = Served(
            {k: np.dtype(s.dtype.as_numpy_dtype) for k, s in specs.items()},
            Merger(call, executor, max_rows),
        )
    return Version(number, signatures, _metadata(content), _info(folder))


def _caller(loaded, name):
    def call(inputs: Arrays) -> Arrays:
        # Through `loaded`, which keeps the variables alive.
        function = loaded.signatures[name]
        outputs = function(**{k: tf.constant(v) for k, v in inputs.items()})
        return {k: v.numpy() for k, v in outputs.items()}

    return call


def _warm(call, specs):
    """Lets TensorFlow prepare a signature before anyone waits for it."""
    # Zeros may be refused, or have no shape: it is served all the same.
    refused = (tf.errors.InvalidArgumentError, ValueError, TypeError)
    with contextlib.suppress(*refused):
        row = {
            name: np.full([1, *spec.shape[1:]], b'', object)
            if spec.dtype == tf.string
            else np.zeros([1, *spec.shape[1:]], spec.dtype.as_numpy_dtype)
            for name, spec in specs.items()
        }
        call(row)


def _metadata(content):
    """What GET .../metadata answers of a saved_model.pb."""
    saved = saved_model_pb2.SavedModel.FromString(content)
    signatures = {
        name: json_format.MessageToDict(
            signature,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
        for name, signature in saved.meta_graphs[0].signature_def.items()
    }
    return {'signature_def': {'signature_def': signatures}}


def _info(folder):
    try:
        return json.loads((folder / 'assets.extra/tfgen.json').read_text())
    except (OSError, ValueError):
        return {}


def _changes(before, after):
    lines = []
    for name, states in after.items():
        for number, state in states.items():
            if before.get(name, {}).get(number) != state:
                told = f' ({state.message})' if state.message else ''
                lines.append(f'{name} version {number}: {state.name}{told}')
        gone = before.get(name, {}).keys() - states.keys()
        lines += [f'{name} version {number}: unloaded' for number in gone]
    return lines


def _folders(path):
    try:
        return sorted(f for f in path.iterdir() if f.is_dir())
    except (FileNotFoundError, NotADirectoryError):  # has just gone
        return []


def _changed(folder):
    """When a version's files were last changed."""
    try:
        stats = [folder.stat(), *(f.stat() for f in folder.rglob('*'))]
    except OSError:
        return 0.0
    return max(s.st_mtime for s in stats)
