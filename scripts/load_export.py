"""Loads exported models with TensorFlow alone and draws from each.

    python scripts/load_export.py exports/cvae_digits exports/dcgan_digits

This process blocks the imports of tfgen and keras. TensorFlow Serving has
neither, so an export that works here does not depend on them.
"""

import contextlib
import json
import os
import sys

sys.modules['tfgen'] = None
sys.modules['keras'] = None
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

tf.get_logger().setLevel('ERROR')


def main() -> None:
    if len(sys.argv) == 1 or sys.argv[1].startswith('-'):
        _fail('usage: load_export.py MODEL_DIR ...')
    for given in sys.argv[1:]:
        folder = given.rstrip('/')
        version, served, num_classes = _load(folder)
        if 'sample' not in served:
            print(f'{folder} version {version}: draws nothing')
            continue
        # The signature that returns files, or else the one of numbers.
        name = next((n for n in served if n.startswith('sample_')), 'sample')
        ending = name.partition('_')[2] or 'json'
        sample = served[name]
        inputs = {'seed': tf.range(10, dtype=tf.int64)}
        if 'label' in sample.structured_input_signature[1]:
            inputs['label'] = tf.range(10) % num_classes
        files = _only(sample(**inputs))
        repeats = _repeats(served, inputs)
        file = f'{folder}/first_sample.{ending}'
        whole = f'{folder}/.first_sample.{ending}'
        try:
            with tf.io.gfile.GFile(whole, 'wb') as stream:
                stream.write(_content(files[0]))
            tf.io.gfile.rename(whole, file, overwrite=True)
        except tf.errors.OpError as error:
            with contextlib.suppress(tf.errors.OpError):
                tf.io.gfile.remove(whole)
            reason = error.message.rpartition('; ')[2]
            _fail(
                f'{file} cannot be written ({reason[:80]}): fix this, or copy '
                'the export'
            )
        line = f'{folder} version {version}: {len(files)} samples, '
        line += f'{"same" if repeats else "DIFFERENT"} in another batch'
        if 'complete' in served:
            kept = _completes(served, inputs)
            line += f', {"known half kept" if kept else "KNOWN HALF LOST"}'
            repeats = repeats and kept
        print(f'{line}, first one in {file}')
        if not repeats:
            sys.exit(1)


def _load(folder):
    """Loads the newest version: its number, signatures, number of classes."""
    try:
        names = tf.io.gfile.listdir(folder)
    except (tf.errors.OpError, UnicodeError):
        names = []
    # In object storage the names of folders end in a slash.
    names = [name.rstrip('/') for name in names]
    numbers = [int(n) for n in names if n.isascii() and n.isdecimal()]
    if not numbers:
        _fail(f'{folder} holds no exported model: export one to it')
    if not set('*?[]\\').isdisjoint(folder):
        _fail(
            f'TensorFlow reads {folder} as a pattern: rename it, without '
            '* ? [ ] and backslash'
        )
    # In object storage, a version is complete when it has its last file.
    complete = [n for n in numbers if _is_complete(f'{folder}/{n}')]
    version = max(complete or numbers)
    path = f'{folder}/{version}'
    try:
        loaded = tf.saved_model.load(path)
        with tf.io.gfile.GFile(f'{path}/assets.extra/tfgen.json') as stream:
            info = json.loads(stream.read())
        return version, loaded.signatures, info['spec']['num_classes']
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        tf.errors.OpError,
    ) as error:
        reason = ' '.join(str(error).split())[:120]
        _fail(f'{path} cannot be loaded ({reason}): export it again')


def _is_complete(version):
    return tf.io.gfile.exists(f'{version}/saved_model.pb')


def _fail(line):
    print(f'error: {line}', file=sys.stderr)
    sys.exit(2)


def _content(sample):
    """Returns the content of a sample's file: its bytes, or JSON."""
    if isinstance(sample, bytes):
        return sample
    return json.dumps(sample.tolist()).encode()


def _repeats(served, inputs):
    """Whether a sample depends on its own seed alone, not on its batch.

    Values that are drawn from a few levels must be equal bit for bit. Results
    of convolutions may differ by up to 1e-6 between batch sizes.
    """
    sample = served['sample']
    whole = _only(sample(**inputs))
    for rows in (1, 3):
        again = _only(sample(**{k: v[:rows] for k, v in inputs.items()}))
        bound = 0.0 if {'complete', 'log_prob'} <= {*served} else 1e-6
        if np.abs(again - whole[:rows]).max() > bound:
            return False
    return True


def _completes(served, inputs):
    """Whether completion keeps the given first half bit for bit."""
    complete = served['complete']
    (kind,) = complete.structured_outputs
    examples = _only(served['sample'](**inputs))
    spec = complete.structured_input_signature[1]['mask']
    mask = np.ones([len(examples), *spec.shape[1:]], np.float32)
    half = examples.shape[1] // 2
    mask[:, half:] = 0.0
    inputs = inputs | {kind: tf.constant(examples), 'mask': tf.constant(mask)}
    completed = _only(complete(**inputs))
    return np.array_equal(completed[:, :half], examples[:, :half])


def _only(outputs):
    """Returns the single output as an array."""
    (value,) = outputs.values()
    return value.numpy()


if __name__ == '__main__':
    main()
