"""SavedModels for TensorFlow Serving, verified before they are published.

    MODEL_DIR/<version>/          read by tensorflow_model_server
      saved_model.pb, variables/
      assets.extra/tf_serving_warmup_requests
      assets.extra/tfgen.json     preset, step, data spec
      assets.extra/explorer.json  see surroundings.py

A version is written to a hidden folder, loaded again, and compared with the
live model on real inputs. Then it is renamed into place, so a server that
watches MODEL_DIR never sees an incomplete version.
"""

import contextlib
import json
import math
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfgen import storage
from tfgen.data import Data, without_folders
from tfgen.errors import UserError
from tfgen.export import signatures, surroundings
from tfgen.models.contracts.model import Model
from tfgen.training import checkpoints
from tfgen.training.workdir import INFO, Config

WARMUP_ROWS = 4  # rows of the inputs that verify a model and warm a server


def export(
    model: Model,
    config: Config,
    step: int,
    examples: Data,
    model_dir: pathlib.Path,
) -> pathlib.Path:
    """Publishes `model` as the next version in `model_dir`.

    Args:
      model: trained.
      config, step: of its run; both are stored in the export.
      examples: the run's data, for real inputs.
      model_dir: the folder that a server watches, one per model.

    Returns:
      The folder of the new version.

    Raises:
      UserError: `model_dir` cannot be written; nothing was published.
      RuntimeError: the saved model differs from the live one.
    """
    model_dir = storage.place(model_dir)
    functions = signatures.functions(model)
    with _staged(model_dir) as staging:
        _save(model, functions, staging)
        requests = example_requests(model, functions, examples)
        _verify(functions, staging, requests)
        (staging / INFO).parent.mkdir()
        storage.write_json(staging / INFO, public(config) | {'step': step})
        found = surroundings.measured(functions, examples, model)
        storage.write_json(staging / surroundings.FILE, found)
        _write_warmup(staging, model_dir.name, requests)
        os.chmod(staging, 0o755)
        version = model_dir / str(_next_version(model_dir))
        if storage.is_remote(model_dir):
            _upload(staging, version)
        else:
            staging.rename(version)
    return version


def _upload(staging, version):
    """Copies a version into object storage, `saved_model.pb` last.

    Without that file a server cannot load the version, and tries again later.
    Renaming a folder there would move `saved_model.pb` before `variables/`.
    """
    files = [f for f in staging.rglob('*') if f.is_file()]
    try:
        for file in sorted(files, key=lambda f: f.name == 'saved_model.pb'):
            name = file.relative_to(staging).as_posix()
            (version / name).write_bytes(file.read_bytes())
    except BaseException:
        storage.remove_tree(version)
        raise


@contextlib.contextmanager
def _staged(model_dir):
    """A hidden folder in `model_dir`; it is removed if anything fails.

    For a `model_dir` in object storage it is a temporary folder of this
    machine, which is always removed.
    """
    if storage.is_remote(model_dir):
        with tempfile.TemporaryDirectory(prefix='tfgen-export-') as scratch:
            yield pathlib.Path(scratch)
        return
    new = not model_dir.exists()
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
        staging = pathlib.Path(
            tempfile.mkdtemp(prefix='.exporting-', dir=model_dir)
        )
    except OSError as error:
        raise UserError(
            f'model_dir {str(model_dir)!r} cannot be written '
            f'({error.strerror}): name another folder with --model_dir'
        ) from None
    try:
        yield staging
    except BaseException as error:
        shutil.rmtree(staging, ignore_errors=True)
        if new:
            with contextlib.suppress(OSError):  # no longer empty
                model_dir.rmdir()
        if storage.is_disk_error(error):
            raise UserError(
                f'model_dir {str(model_dir)!r} cannot be written '
                f'({storage.reason(error)}): free some space, or name another '
                'folder, and export again; nothing was published'
            ) from None
        raise


def public(config: Config) -> dict:
    """The config as it is stored in an export: no paths of this machine."""
    content = config.as_dict()
    del content['data_dir'], content['data_path']
    if content['init_from']:
        content['init_from'] = pathlib.Path(content['init_from']).name
    name = without_folders(config.preset.dataset)
    if name:
        content['fields'] = content['fields'] | {'dataset': name}
        content['spec'] = content['spec'] | {'name': name}
    return content


def versions(model_dir: pathlib.Path) -> list[pathlib.Path]:
    """Folders of the complete versions in `model_dir`, newest first.

    If `model_dir` is itself the folder of a version, only that. A version in
    object storage is complete when it has its last file, see `_upload`.
    """
    if _is_complete(model_dir):
        return [model_dir]
    return [v for v in storage.versions(model_dir).values() if _is_complete(v)]


def _is_complete(version):
    """Whether a folder has the file that is uploaded last."""
    return (version / 'saved_model.pb').exists()


def load(model_dir: pathlib.Path) -> tuple[dict[str, Callable], dict]:
    """The signatures of the newest version in `model_dir`, and its info.

    `model_dir` may also be the folder of one version.

    Raises:
      UserError: there is no exported model.
    """
    model_dir = storage.place(model_dir)
    found = versions(model_dir)
    if not found:
        raise UserError(
            f'{str(model_dir)!r} holds no exported model: pass the '
            '--model_dir of tfgen export'
        )
    try:
        loaded = tf.saved_model.load(str(found[0]))
        info = json.loads((found[0] / INFO).read_text())
    except UserError:
        raise
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise UserError(
            f'{str(found[0])!r} cannot be loaded '
            f'({" ".join(str(error).split())[:120]}): export it again'
        ) from None

    def function(name):
        def call(**inputs):
            # The reference to `loaded` keeps the variables alive.
            return loaded.signatures[name](**inputs)

        # Functions of a live model state their inputs in the same way.
        stated = loaded.signatures[name].structured_input_signature
        call.structured_input_signature = stated
        return call

    names = set(loaded.signatures) - {'serving_default'}
    return {name: function(name) for name in names}, info


def example_requests(
    model: Model, functions: dict[str, Callable], examples: Data
) -> dict[str, dict[str, np.ndarray]]:
    """One small request per signature: name -> inputs, from test examples."""
    batch = next(iter(examples.evaluation('test', WARMUP_ROWS)))
    values = {k: v.numpy() for k, v in batch.items()}
    rows = len(values[model.spec.key])
    values['seed'] = np.arange(rows, dtype=np.int64)
    # The first half is known: the upper half of an image, or the beginning of a
    # sound.
    values['mask'] = np.ones([rows, *model.spec.mask_shape], np.float32)
    values['mask'][:, values['mask'].shape[1] // 2 :] = 0.0
    # Inputs of an interpolation; `spherical` takes both of its values.
    values['weight'] = np.linspace(0, 1, rows, dtype=np.float32)
    values['spherical'] = np.arange(rows, dtype=np.int32) % 2

    def value(spec):
        """The value of an input, from `values` or made up."""
        if spec.name in values:
            return values[spec.name]
        # Any numbers do for inputs without bounds, such as z.
        count = rows * math.prod(spec.shape[1:])
        spread = np.linspace(-1, 1, count).reshape(rows, *spec.shape[1:])
        return spread.astype(spec.dtype.as_numpy_dtype)

    return {
        name: {
            spec.name: value(spec)
            for spec in function.structured_input_signature[1].values()
        }
        for name, function in functions.items()
    }


def _save(model, functions, folder):
    """Writes the signatures `functions` of `model` as a SavedModel."""
    module = tf.Module()
    # Only the weights that the signatures use are saved. Like a checkpoint, the
    # export numbers them by their index in the model, so that a run can start
    # from it.
    used = {id(v) for f in functions.values() for v in f.variables}
    weights = {
        str(number): v.value
        for number, v in enumerate(model.variables)
        if id(v.value) in used
    }
    if len(weights) < len(used):
        raise RuntimeError('a signature uses a variable not of the model')
    setattr(module, checkpoints.MODEL, weights)
    tf.saved_model.save(
        module,
        str(folder),
        signatures=functions
        | {'serving_default': next(iter(functions.values()))},
    )


def _verify(functions, folder, requests):
    """Raises RuntimeError if the saved signatures differ from `functions`."""
    loaded = tf.saved_model.load(str(folder))
    for name, function in functions.items():
        inputs = {k: tf.constant(v) for k, v in requests[name].items()}
        expected = function(**inputs)
        served = loaded.signatures[name](**inputs)
        for key, value in expected.items():
            ours, theirs = value.numpy(), served[key].numpy()
            if ours.dtype == object:
                same = np.array_equal(ours, theirs)
            else:
                same = np.allclose(ours, theirs, rtol=1e-5, atol=1e-5)
            if not same:
                raise RuntimeError(
                    f'the saved signature {name} differs from the live model '
                    f'in {key}: nothing was published'
                )


def _write_warmup(folder, model_name, requests):
    """Writes requests that a server runs before it takes traffic."""
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        print(
            'no warm-up requests were written: '
            'pip install tensorflow-serving-api'
        )
        return
    file = folder / 'assets.extra' / 'tf_serving_warmup_requests'
    with tf.io.TFRecordWriter(str(file)) as writer:
        for name, inputs in requests.items():
            request = predict_pb2.PredictRequest()
            request.model_spec.name = model_name
            request.model_spec.signature_name = name
            for key, value in inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictionLog(
                predict_log=prediction_log_pb2.PredictLog(request=request)
            )
            writer.write(log.SerializeToString())


def _next_version(model_dir):
    """One more than the largest version number in `model_dir`."""
    # Files count too: the new folder cannot have the name of one.
    names = (f.name for f in storage.entries(model_dir))
    return max((int(n) for n in names if storage.is_number(n)), default=0) + 1
