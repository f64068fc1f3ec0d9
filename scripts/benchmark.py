"""Measures speed as ratios within one run, so that machines can be compared.

    python scripts/benchmark.py [--output=results/benchmark.json]

Needs no data set: the examples are random. Stop other work on the machine.
Every section runs in a process of its own.
"""

import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

from absl import flags

from tfgen import cli
from tfgen.errors import UserError

flags.DEFINE_string('output', None, 'JSON file for the figures.')
flags.DEFINE_string('section', None, 'Only this one, as JSON.')
_SHAPE = (28, 28, 1)


def main() -> None:
    section = flags.FLAGS.section
    if section:
        if section not in SECTIONS:
            raise UserError(
                f'unknown section {section!r}: use {", ".join(SECTIONS)}'
            )
        print(json.dumps(SECTIONS[section]()))
        return
    figures = {}
    for name in SECTIONS:
        command = [sys.executable, __file__, f'--section={name}']
        output = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
        figures[name] = json.loads(output.splitlines()[-1])
        print(name, json.dumps(figures[name], indent=2), flush=True)
    figures['date'] = datetime.date.today().isoformat()
    figures['machine'] = f'{platform.machine()}, {os.cpu_count()} CPU cores'
    if flags.FLAGS.output:
        file = pathlib.Path(flags.FLAGS.output)
        file.write_text(json.dumps(figures, indent=2) + '\n')


def training_loop() -> dict:
    """The loop of tfgen against one step per call, CVAE at batch 32.

    The plain loop is the tutorials': cache, shuffle, batch, and a tf.function
    that makes one step. Rounds alternate, so that both meet the same machine;
    the ratio is the median over rounds.
    """
    import tensorflow as tf

    plain = _plain_loop()
    plain(50)  # traced before tfgen sets an option of the whole process
    ours = _loop(_config(), tf.distribute.get_strategy(), False)
    ours(50)
    steps = 200
    rounds = [
        (_seconds(plain, steps), _seconds(ours, steps)) for _ in range(15)
    ]
    plain_seconds, our_seconds = map(
        statistics.median, zip(*rounds, strict=True)
    )
    return {
        'plain_images_per_second': round(steps * 32 / plain_seconds),
        'tfgen_images_per_second': round(steps * 32 / our_seconds),
        'ratio': round(statistics.median(p / o for p, o in rounds), 3),
        'ratio_of_each_round': [round(p / o, 3) for p, o in rounds],
    }


def _seconds(run, *arguments):
    begin = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - begin


def _images():
    import numpy as np

    random = np.random.default_rng(0)
    return random.integers(0, 2, [10_000, *_SHAPE], dtype=np.uint8)


def _config():
    from tfgen import data, presets, workdir

    spec = data.DataSpec(
        'random', *_SHAPE, 2, 0, 'static', {'train': 10_000, 'test': 10_000}
    )
    preset = presets.get('cvae_mnist', ['batch_size=32', 'schedule=constant'])
    return workdir.Config('cvae_mnist', preset, 0, 'float32', spec)


def _plain_loop():
    import keras
    import tensorflow as tf

    from tfgen.noise import Noise

    class Plain(Noise):
        """Noise as the tutorials draw it."""

        def normal(self, name, shape):
            return tf.random.normal([32, *shape])

    config = _config()
    model = config.build()
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)
    dataset = (
        tf.data.Dataset.from_tensor_slices(_images())
        .map(lambda x: tf.cast(x, tf.float32))
        .cache()
        .shuffle(10_000)
        .batch(32, drop_remainder=True)
        .repeat()
        .prefetch(tf.data.AUTOTUNE)
    )
    batches = iter(dataset)

    @tf.function
    def train_step(image):
        with tf.GradientTape() as tape:
            terms = model.loss_terms({'image': image}, Plain())
            loss = tf.reduce_mean(tf.add_n(list(terms.values())))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply(gradients, model.trainable_variables)

    def run(steps):
        for _ in range(steps):
            train_step(next(batches))

    return run


def _loop(config, strategy, jit, keras_rnn=False):
    """tfgen's own loop over random images: steps -> None."""
    from tfgen import data, training
    from tfgen.readers import base

    split = base.InMemory(_images(), None)
    source = base.Source(_SHAPE, 2, 0, {'train': split, 'test': split})
    images = data.ImageData(config.spec, source)
    training.make_repeatable()
    with strategy.scope():
        model = config.build()
        if keras_rnn:
            for block in model.blocks:
                _use_keras_rnn(block)
        optimizers = training.make_optimizers(model, config.preset)
    loop = training.make_loop(strategy, model, optimizers, config, jit)
    batches = training.batch_iterator(strategy, model, images, config, 0)
    return lambda steps: loop(batches, 0, steps)


def bilstm_training() -> dict:
    """Seven Diagonal BiLSTM layers of 16 units, batch 64, 28x28.

    tfgen's loop on one device, and as two replicas that share the CPU, against
    the same network with keras.layers.RNN, compiled by XLA and not.
    """
    from tfgen import strategies

    # Before anything else: it decides what a device is.
    replicated = strategies.make('mirrored', 2 if os.cpu_count() > 1 else 1)
    import tensorflow as tf

    one = tf.distribute.OneDeviceStrategy('CPU:0')
    config = _bilstm_config()
    runs = {
        'tfgen_two_replicas': _loop(config, replicated, True),
        'tfgen': _loop(config, one, True),
        'keras_rnn': _loop(config, one, False, keras_rnn=True),
        'keras_rnn_xla': _loop(config, one, True, keras_rnn=True),
        'keras_rnn_xla_two_replicas': _loop(
            config, replicated, True, keras_rnn=True
        ),
    }
    seconds = {name: [] for name in runs}
    for run in runs.values():
        run(1)
    for _ in range(5):
        for name, run in runs.items():
            seconds[name].append(_seconds(run, 2) / 2)
    pace = {k: 64 / statistics.median(v) for k, v in seconds.items()}
    ours, theirs = (
        max(v for k, v in pace.items() if k.startswith(name))
        for name in ('tfgen', 'keras')
    )
    return {
        'images_per_second': {k: round(v, 1) for k, v in pace.items()},
        'ratio_of_the_best': round(ours / theirs, 2),
        'ratio_on_one_device': round(pace['tfgen'] / pace['keras_rnn_xla'], 2),
        'ratio_to_keras_rnn_without_xla': round(ours / pace['keras_rnn'], 2),
    }


def _bilstm_config():
    from tfgen import presets, workdir

    preset = presets.get(
        'diagonal_bilstm_mnist',
        ['units=16', 'num_layers=7', 'batch_size=64', 'ema=0'],
    )
    return workdir.Config('', preset, 0, 'float32', _config().spec)


def _use_keras_rnn(block):
    """The same arithmetic with keras.layers.RNN and automatic gradients."""
    import keras
    import tensorflow as tf

    from tfgen import scans

    class Cell(keras.layers.Layer):
        """A column of the skewed map; projections stand outside the loop."""

        def __init__(self, states):
            super().__init__()
            self.built = True
            self.kernel = states
            self.state_size = [keras.KerasTensor([28, 16]).shape] * 2

        def get_initial_state(self, batch_size=None):
            return [tf.zeros([batch_size, 28, 16])] * 2

        def call(self, gates, states):
            h, c = states
            above = tf.pad(h[:, :-1], [[0, 0], [1, 0], [0, 0]])
            kernel = tf.reshape(self.kernel, [32, 64])
            taps = tf.concat([h, above], axis=-1)
            gates = gates + tf.tensordot(taps, kernel, 1)
            h, c = scans.line_lstm_cell(gates, c)
            return h, [h, c]

    def scan(x, inputs, states):
        gates = tf.pad(inputs(x), [[0, 0], [0, 0], [0, 28], [0, 0]])
        gates = tf.reshape(gates, [-1, 28 * 56, 64])[:, : 28 * 55]
        gates = tf.transpose(tf.reshape(gates, [-1, 28, 55, 64]), [0, 2, 1, 3])
        cell = Cell(states.kernel)
        h = keras.layers.RNN(cell, return_sequences=True)(gates)
        h = tf.reshape(tf.transpose(h, [0, 2, 1, 3]), [-1, 28 * 55, 16])
        h = tf.reshape(tf.pad(h, [[0, 0], [0, 28], [0, 0]]), [-1, 28, 56, 16])
        return h[:, :, :28]

    def call(x):
        x = tf.identity(x)
        right = scan(x, block.inputs[0], block.states[0])
        left = scan(tf.reverse(x, [2]), block.inputs[1], block.states[1])
        left = tf.reverse(left, [2])[:, :-1]
        h = right + tf.pad(left, [[0, 0], [1, 0], [0, 0], [0, 0]])
        return block.outputs(h)

    block.call = call


VARIANTS = {
    'lstm': ['cell=lstm'],
    'gru': ['cell=gru'],
    'row_lstm': ['cell=row_lstm'],
    'diagonal_bilstm': ['cell=diagonal_bilstm'],
    'diagonal_bilstm, 7 layers of 16': [
        'cell=diagonal_bilstm',
        'num_layers=7',
        'units=16',
    ],
    'pixelcnn, 7 layers': ['cell=pixelcnn', 'num_layers=7'],
    'gated pixelcnn, 7 layers': [
        'cell=pixelcnn',
        'num_layers=7',
        'gated=true',
    ],
}


def _sampler(shape, batch, settings=('cell=lstm', 'units=128')):
    """A PixelRNN, and its compiled sampler."""
    import dataclasses

    import tensorflow as tf

    from tfgen import presets
    from tfgen.noise import RowNoise

    spec = dataclasses.replace(_config().spec, height=shape[0], width=shape[1])
    model = presets.get('diagonal_bilstm_mnist', settings).build(spec)
    sample = tf.function(lambda: model.sample(RowNoise(tf.range(batch))))
    return model, sample


def sampling() -> dict:
    """Incremental sampling and completion against the whole network.

    28x28, batch 16; the whole network runs once for each pixel. It costs the
    same for each, so 10 of the 784 are timed and multiplied.
    """
    import tensorflow as tf

    from tfgen.noise import RowNoise

    image = tf.zeros([16, *_SHAPE])
    mask = tf.concat([tf.ones([16, 14, 28, 1]), tf.zeros([16, 14, 28, 1])], 1)
    figures = {}
    for name, settings in VARIANTS.items():
        model, sample = _sampler(_SHAPE, 16, settings)
        noise = RowNoise(tf.range(16))
        complete = tf.function(lambda: model.complete(image, mask, noise))  # noqa: B023
        logits = tf.function(model.logits)
        for run in (sample, complete, lambda: logits(image)):  # noqa: B023
            run()
        fast, completed = (
            statistics.median(_seconds(run) for _ in range(5))
            for run in (sample, complete)
        )
        slow = statistics.median(_seconds(logits, image) for _ in range(10))
        figures[name] = {
            'sample_seconds': round(fast, 3),
            'complete_seconds': round(completed, 3),
            'whole_network_seconds': round(slow * 784, 1),
            'ratio': round(slow * 784 / max(fast, completed), 1),
        }
    return figures


def wavenet_sampling() -> dict:
    """Queues against the whole network for each sample: 4,096, batch 4.

    Of the whole network, 5 of the 4,096 runs are timed and multiplied.
    """
    import tensorflow as tf

    from tfgen import presets
    from tfgen.data import AudioSpec
    from tfgen.noise import RowNoise

    preset = presets.get('wavenet_spoken_digit', ['conditional=false'])
    model = preset.build(AudioSpec('random', 4096, 8000, 0, {}))
    sample = tf.function(lambda: model.sample(RowNoise(tf.range(4))))
    logits = tf.function(model.logits)
    audio = tf.zeros([4, 4096])
    sample()
    logits(audio)
    fast = statistics.median(_seconds(sample) for _ in range(3))
    slow = statistics.median(_seconds(logits, audio) for _ in range(5))
    return {
        'samples_per_second': round(4 * 4096 / fast),
        'whole_network_seconds': round(slow * 4096, 1),
        'ratio': round(slow * 4096 / fast, 1),
    }


def growth() -> dict:
    """Time to draw one image by its side; linear in pixels if flat."""
    microseconds = {}
    for side in (8, 16, 24, 32):
        _, sample = _sampler((side, side), 1)
        sample()
        seconds = statistics.median(_seconds(sample) for _ in range(9))
        microseconds[f'{side}x{side}'] = round(seconds / side**2 * 1e6, 1)
    return {'microseconds_per_pixel': microseconds}


SECTIONS = {
    'training_loop': training_loop,
    'bilstm_training': bilstm_training,
    'sampling': sampling,
    'wavenet_sampling': wavenet_sampling,
    'growth': growth,
}

if __name__ == '__main__':
    cli.run(main)
