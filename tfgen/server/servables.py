"""Loads and watches the exported models of a folder.

    FOLDER/<model>/<version>/saved_model.pb

The rules are TensorFlow Serving's. The name of a version is a number. The
newest version that loads is served, and the old one is unloaded when the new
one is ready. Labels keep other versions loaded.
"""

import contextlib
import dataclasses
import errno
import gc
import json
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
      call: computes the signature and merges concurrent requests; see
        merging.Merger.
    """

    dtypes: Mapping[str, np.dtype]
    call: Merger


@dataclasses.dataclass(frozen=True)
class Version:
    """A loaded version of a model.

    Attributes:
      number: the version number, the name of its folder.
      signatures: name -> Served.
      metadata: the signatures in the REST API's format.
      info: the facts that tfgen's export stores, see export.public; {} for
        models of other programs.
    """

    number: int
    signatures: Mapping[str, Served]
    metadata: dict
    info: dict


@dataclasses.dataclass(frozen=True)
class State:
    """The state of a version; `name` is TensorFlow Serving's state name."""

    name: str
    code: str = 'OK'
    message: str = ''


class Model:
    """The versions of one model.

    Attributes:
      folder: contains the versions.
      labels: label -> version number; these versions stay loaded.
      loaded: number -> Version.
      states: number -> State, for the versions loaded or tried.
    """

    def __init__(self, folder: pathlib.Path, labels: Mapping[str, int]):
        self.folder, self.labels = folder, dict(labels)
        self.loaded: dict[int, Version] = {}
        self.states: dict[int, State] = {}
        self._failed: dict[int, float] = {}

    def version(self, number: int | None = None) -> Version | None:
        """Returns the loaded version of a number, or the newest."""
        # A copy, because `refresh` runs in another thread.
        loaded = dict(self.loaded)
        if number is None:
            number = max(loaded, default=-1)
        return loaded.get(number)

    def refresh(self, load: Callable[[pathlib.Path, int], Version]) -> None:
        """Loads new versions and drops replaced or deleted ones.

        A dropped version stays in memory until its requests are answered.
        """
        found = storage.versions(self.folder)
        kept = {n for n in self.labels.values() if n in found}
        # The newest version that loads. Older ones stay until it has loaded.
        for number in found:
            if self._load(found[number], number, load):
                kept.add(number)
                break
        for number in sorted(kept):
            self._load(found[number], number, load)
        for number in [n for n in self.loaded if n not in kept]:
            del self.loaded[number]
            gc.collect()  # loaded models contain reference cycles
        self.states = {
            n: s
            for n, s in self.states.items()
            if n in self.loaded or (s.code != 'OK' and n in found)
        }

    def _load(self, folder, number, load):
        """Loads version `number` if necessary; returns whether it is loaded."""
        if number in self.loaded:
            return True
        changed = _changed(folder)
        if self._failed.get(number) == changed:
            return False
        self.states[number] = State('LOADING')
        try:
            version = load(folder, number)
        # A broken version must not stop the others.
        except Exception as error:
            if not _is_transient(error):  # do not try these files again
                self._failed[number] = changed
            missing = not (folder / 'saved_model.pb').exists()
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
    """All models of a folder, which may change while they are served.

    Args:
      folder: contains models, or is one model; None serves none.
      labels: model -> label -> version number.
      executor, max_rows: see merging.Merger.

    Raises:
      UserError: the folder does not exist.
    """

    def __init__(self, folder, labels, executor, max_rows: int):
        if folder and not folder.is_dir():
            raise UserError(
                f'model_dir {str(folder)!r} is no folder: pass one that holds '
                'exports, as tfgen export makes them'
            )
        self._folder, self._labels = folder and folder.resolve(), labels
        self._executor, self._max_rows = executor, max_rows
        self._models: dict[str, Model] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Model | None:
        """Returns a model of the folder, even if no version is loaded."""
        return self._models.get(name)

    def names(self) -> list[str]:
        """Returns the sorted names of models with a loaded version."""
        return sorted(n for n, m in dict(self._models).items() if m.loaded)

    def refresh(self, say: Callable[[str], None] = lambda _: None) -> list[str]:
        """Checks the folder once. A model answers as soon as it is loaded.

        Args:
          say: receives a line of text for each change, when it happens, and for
            each new model before it is loaded.

        Returns:
          The changes, one line each.
        """
        changes = []
        with self._lock:
            for name, folder in self._found().items():
                if name not in self._models:
                    labels = self._labels.get(name, {})
                    self._models[name] = Model(folder, labels)
            new = [n for n, m in self._models.items() if not m.states]
            for name, model in self._models.items():
                if name in new and storage.versions(model.folder):
                    say(f'loading {new.index(name) + 1} of {len(new)}: {name}')
                before = dict(model.states)
                # If the folder cannot be read now, the model stays unchanged.
                with contextlib.suppress(OSError):
                    model.refresh(self._load)
                for line in _changes({name: before}, {name: model.states}):
                    changes.append(line)
                    say(line)
        return changes

    def _found(self):
        """Returns name -> folder of the models."""
        if not self._folder:
            return {}
        one = bool(storage.versions(self._folder))
        models = [self._folder] if one else _folders(self._folder)
        return {f.name: f for f in models if not f.name.startswith('.')}

    def _load(self, folder, number):
        return _load(folder, number, self._executor, self._max_rows)


def _is_transient(error):
    """Whether an error may come from the machine and not from the files."""
    if isinstance(error, OSError):
        # TensorFlow's OSError for files that it cannot read has no errno.
        return error.errno not in (None, errno.ENOENT, errno.ENOTDIR)
    return isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError))


@contextlib.contextmanager
def _without_gradients():
    """Removes the gradient functions that a load registers.

    TensorFlow never removes them, and each keeps the graph of its version in
    memory. A server needs no gradients. This uses a private attribute, since
    there is no public way. Without that attribute, memory grows by one graph
    per version.
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
    """Loads a version with TensorFlow and warms its signatures."""
    content = (folder / 'saved_model.pb').read_bytes()
    loaded = tf.saved_model.load(str(folder))
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
    """Returns a signature as a function of NumPy arrays."""

    def call(inputs: Arrays) -> Arrays:
        # The reference to `loaded` keeps the variables alive.
        function = loaded.signatures[name]
        outputs = function(**{k: tf.constant(v) for k, v in inputs.items()})
        return {k: v.numpy() for k, v in outputs.items()}

    return call


def _warm(call, specs):
    """Calls a signature once, so that the first request need not wait."""
    # The signature is served even if it rejects zeros or has unknown shapes.
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
    """Returns the signatures of a saved_model.pb as GET .../metadata does."""
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
    """Returns the facts that tfgen's export stores, or {}."""
    try:
        return json.loads((folder / 'assets.extra/tfgen.json').read_text())
    except UserError:  # the storage does not answer; it is tried again
        raise
    except (OSError, ValueError):
        return {}


def _changes(before, after):
    """Describes the changes between two states, one line each."""
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
    """Returns the folders in `path`, sorted."""
    try:
        return sorted(f for f in path.iterdir() if f.is_dir())
    except (FileNotFoundError, NotADirectoryError):  # deleted meanwhile
        return []


def _changed(folder):
    """Returns the time of the last change to a version's files."""
    try:
        files = (
            folder.walk()
            if storage.is_remote(folder)
            else (
                folder,
                *folder.rglob('*'),
            )
        )
        stats = [file.stat() for file in files]
    except OSError:
        return 0.0
    return max((s.st_mtime for s in stats), default=0.0)
