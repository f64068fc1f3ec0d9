"""Small runs that several test files train."""

import pathlib
import subprocess
import sys

import numpy as np
import tensorflow as tf

from tfgen import presets, workdir

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Every preset at a size that trains in a second.
SETTINGS = {
    'cvae': ['filters=4,6', 'latent_size=3', 'kl=monte_carlo'],
    'pixelrnn': ['units=8', 'num_layers=2', 'dropout=0.2'],
    'dcgan': [
        'generator_filters=8,6',
        'discriminator_filters=6,8',
        'latent_size=5',
        'dropout=0.2',
        'discriminator_updates=2',
    ],
}
COMMON = [
    'batch_size=16',
    'steps=30',
    'log_every=5',
    'checkpoint_every=10',
    'schedule=cosine',
]
MODELS = tuple(SETTINGS)


def settings(model: str) -> list[str]:
    return SETTINGS[model] + COMMON


def load(model: str, data_dir: str, *extra: str, precision='float32'):
    """The Config and data of a small run of '<model>_digits'."""
    name = f'{model}_digits'
    preset = presets.get(name, [*settings(model), *extra])
    images = preset.load_data(data_dir)
    return workdir.Config(name, preset, 0, precision, images.spec), images


def train_command(model: str, directory, data_dir, *extra: str) -> list[str]:
    """The command line of the same run; `extra` are more flags."""
    command = [sys.executable, str(ROOT / 'scripts' / 'train.py')]
    command += [f'--preset={model}_digits', f'--workdir={directory}']
    command += [f'--data_dir={data_dir}']
    command += [f'--set={setting}' for setting in settings(model)]
    return command + list(extra)


def run(command, **options) -> subprocess.CompletedProcess:
    """Runs a command to its end; fails with its output."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def weights(directory, step: int) -> dict[str, np.ndarray]:
    """All that a checkpoint holds, by name."""
    reader = tf.train.load_checkpoint(
        str(pathlib.Path(directory) / 'checkpoints' / f'checkpoint-{step}')
    )
    names = sorted(reader.get_variable_to_shape_map())
    return {
        name: reader.get_tensor(name)
        for name in names
        if name != '_CHECKPOINTABLE_OBJECT_GRAPH' and 'save_counter' not in name
    }


def assert_equal_weights(a: dict, b: dict) -> None:
    """Bit for bit."""
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name], err_msg=name)
