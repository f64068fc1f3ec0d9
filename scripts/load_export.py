"""Loads exported models with TensorFlow alone and draws from each.

    python scripts/load_export.py exports/cvae_digits exports/dcgan_digits

Neither tfgen nor keras can be imported in this process: what works here works
in TensorFlow Serving, which has neither.
"""

import json
import os
import pathlib
import sys

sys.modules['tfgen'] = None
sys.modules['keras'] = None
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import tensorflow as tf  # noqa: E402

tf.get_logger().setLevel('ERROR')


def main() -> None:
    if len(sys.argv) == 1:
        sys.exit('usage: load_export.py MODEL_DIR ...')
    for folder in map(pathlib.Path, sys.argv[1:]):
        versions = [f for f in folder.glob('*') if f.name.isdigit()]
        if not versions:
            sys.exit(f'error: {folder} holds no exported model')
        version = max(versions, key=lambda f: int(f.name))
        loaded = tf.saved_model.load(str(version))
        info = json.loads((version / 'assets.extra/tfgen.json').read_text())
        sample = loaded.signatures['sample_png']
        inputs = {'seed': tf.range(10, dtype=tf.int64)}
        if 'label' in sample.structured_input_signature[1]:
            inputs['label'] = tf.range(10) % info['spec']['num_classes']
        pictures = sample(**inputs)['image_bytes'].numpy()
        again = sample(**{k: v[:3] for k, v in inputs.items()})
        # A row depends on its own seed, not on its neighbours.
        repeats = list(again['image_bytes'].numpy()) == list(pictures[:3])
        file = folder / 'first_sample.png'
        file.write_bytes(pictures[0])
        print(
            f'{folder} version {version.name}: {len(pictures)} samples, '
            f'{"same" if repeats else "DIFFERENT"} in another batch, '
            f'first one in {file}'
        )
        if not repeats:
            sys.exit(1)


if __name__ == '__main__':
    main()
