"""Measures speed as ratios within one run, comparable across machines.

    python scripts/benchmarks/benchmark.py [--output=results/benchmark.json]
        [--torch=PYTHON]

It needs no data set, since the examples are random. Stop other work on the
machine first. Each section runs in its own process.
"""

import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

import loops
import serving_load
from absl import flags

from tfgen import storage
from tfgen.commands import cli
from tfgen.errors import UserError
from tfgen.export import pretrained

flags.DEFINE_string('output', None, 'JSON file for the figures.')
flags.DEFINE_string('section', None, 'Only this one, as JSON.')
flags.DEFINE_string('contender', None, 'One of them, as JSON.')
flags.DEFINE_string(
    'torch', None, 'Python with PyTorch; without it, no section pytorch.'
)


def main() -> None:
    section, contender = flags.FLAGS.section, flags.FLAGS.contender
    if contender:
        if contender not in loops.CONTENDERS:
            raise UserError(
                f'unknown contender {contender!r}: use '
                f'{", ".join(loops.CONTENDERS)}'
            )
        print(json.dumps(loops.pace(*loops.CONTENDERS[contender])))
        return
    if section:
        if section not in SECTIONS:
            raise UserError(
                f'unknown section {section!r}: use {", ".join(SECTIONS)}'
            )
        print(json.dumps(SECTIONS[section]()))
        return
    figures = {}
    for name in SECTIONS:
        if name == 'pytorch' and not flags.FLAGS.torch:
            continue
        figures[name] = _in_process(f'--section={name}', *_torch())
        print(name, json.dumps(figures[name], indent=2), flush=True)
    figures['date'] = datetime.date.today().isoformat()
    figures['machine'] = f'{platform.machine()}, {os.cpu_count()} CPU cores'
    if flags.FLAGS.output:
        storage.write_json(cli.path(flags.FLAGS.output), figures)


def _in_process(*arguments, one_core=False):
    """Runs this script in a new process; returns the JSON that it prints."""
    threads = {'TF_NUM_INTRAOP_THREADS': '1', 'TF_NUM_INTEROP_THREADS': '1'}
    return _printed(
        [sys.executable, __file__, *arguments], threads if one_core else {}
    )


def _printed(command, variables=None):
    """Runs a command; returns the JSON in its last line."""
    output = subprocess.run(
        command,
        env=os.environ | (variables or {}),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    return json.loads(output.splitlines()[-1])


def training_loops() -> dict:
    """Compares tfgen's training with a plain loop and with the tutorials.

    `loop` is the network of tfgen's CVAE in a plain loop: cache, shuffle,
    batch, and a tf.function that makes one step. `cvae` and `dcgan` are
    TensorFlow's tutorials with their network, loop and input (tutorials.py).
    The processes of both sides alternate, so that both see the same load of
    the machine. The ratio is the median over rounds. `of_sgemm` is the speed
    of a step's matrix products and convolutions, as a share of the speed of
    the machine's matrix product (2048 x 2048, float32, all cores). They are
    counted in the graph. The count is too high if TensorFlow skips some, as in
    the DCGAN tutorial's step.
    """
    return {
        name: _alternately(theirs, ours)
        for name, theirs, ours in (
            ('loop', 'cvae_plain', 'cvae_tfgen'),
            ('cvae', 'cvae_tutorial', 'cvae_tfgen'),
            ('dcgan', 'dcgan_tutorial', 'dcgan_tfgen'),
        )
    }


def _torch():
    """The flag that names the Python with PyTorch, if it is set."""
    return [f'--torch={flags.FLAGS.torch}'] if flags.FLAGS.torch else []


def pytorch() -> dict:
    """Compares tfgen's training with PyTorch (torch_loops.py).

    Both have the same layers, losses, optimizer and batch size, and no averages
    of the weights. PyTorch's loop is a plain one, and runs without
    torch.compile. Rounds are as in `training_loops`.
    """
    python = flags.FLAGS.torch
    script = str(pathlib.Path(__file__).with_name('torch_loops.py'))
    version = 'import json, torch; print(json.dumps(torch.__version__))'
    figures = {'version': _printed([python, '-c', version])}
    for theirs, ours in (
        ('cvae', 'cvae_tfgen'),
        ('vae', 'vae_mnist'),
        ('dcgan', 'dcgan_tfgen'),
        ('pixelcnn', 'pixelcnn_mnist'),
        ('lstm', 'pixelrnn_mnist'),
    ):
        command = [python, script, theirs, str(loops.CONTENDERS[ours][1])]
        figures[theirs] = _alternately(theirs, ours, command)
    return figures


def _alternately(theirs, ours, command=None, rounds=3):
    """Returns the medians of two contenders and of the ratio of speeds.

    `command` runs `theirs`; None if it is one of loops.CONTENDERS.
    """

    def pair():
        if command:
            first = _printed(command)
        else:
            first = _in_process(f'--contender={theirs}')
        return first, _in_process(f'--contender={ours}')

    pairs = [pair() for _ in range(rounds)]
    ratios = [
        two['images_per_second'] / one['images_per_second']
        for one, two in pairs
    ]
    medians = {
        name: {
            key: round(statistics.median(r[key] for r in side), 3)
            for key in side[0]
        }
        for name, side in zip(
            (theirs, ours), zip(*pairs, strict=True), strict=True
        )
    }
    return {
        'ratio': round(statistics.median(ratios), 3),
        'ratio_of_each_round': [round(r, 3) for r in ratios],
        'batch_size': loops.CONTENDERS[ours][1],
        **medians,
    }


def training_steps() -> dict:
    """Measures which share of a step's time its products would need alone.

    The products would run at the speed of a large matrix product (2048 x
    2048, float32). `one_core` is a process with one thread; `all_cores` is
    tfgen train as it is.
    """
    return {
        name: {
            cores: {
                key: round(value, 3)
                for key, value in _in_process(
                    f'--contender={name}', one_core=cores == 'one_core'
                ).items()
            }
            for cores in ('one_core', 'all_cores')
        }
        for name in (
            'diagonal_bilstm7_mnist',
            'gated_pixelcnn_mnist',
            'wavenet_spoken_digit',
            'vae_mnist',
            'vae_mnist, batch 100',
            'gan_mnist',
        )
    }


def bilstm_training() -> dict:
    """Compares tfgen's Diagonal BiLSTM with one of keras.layers.RNN.

    The network has seven layers of 16 units; batch 64, images of 28x28. tfgen's
    loop runs on one device, and as two replicas that share the CPU. The same
    network with keras.layers.RNN runs with and without XLA.
    """
    from tfgen.training import strategies

    # First, because it configures TensorFlow's devices.
    replicated = strategies.make('mirrored', 2 if os.cpu_count() > 1 else 1)
    import tensorflow as tf

    one = tf.distribute.OneDeviceStrategy('CPU:0')
    config = _bilstm_config()
    runs = {
        'tfgen_two_replicas': loops.training_loop(config, replicated, 'on'),
        'tfgen': loops.training_loop(config, one, 'on'),
        'keras_rnn': loops.training_loop(
            config, one, 'off', change=_use_keras_rnn
        ),
        'keras_rnn_xla': loops.training_loop(
            config, one, 'on', change=_use_keras_rnn
        ),
        'keras_rnn_xla_two_replicas': loops.training_loop(
            config, replicated, 'on', change=_use_keras_rnn
        ),
    }
    seconds = {name: [] for name in runs}
    for run in runs.values():
        run(1)
    for _ in range(5):
        for name, run in runs.items():
            seconds[name].append(loops.seconds(run, 2) / 2)
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
    from tfgen import presets
    from tfgen.training import workdir

    preset = presets.get(
        'diagonal_bilstm_mnist',
        ['units=16', 'num_layers=7', 'batch_size=64', 'ema=0'],
    )
    return workdir.Config('', preset, 0, 'float32', loops.config().spec)


def _use_keras_rnn(model):
    """Replaces the blocks' scans by keras.layers.RNN with equal arithmetic.

    Gradients are automatic.
    """
    for block in model.blocks:
        _use_in_block(block)


def _use_in_block(block):
    import keras
    import tensorflow as tf

    from tfgen.layers import line_scans

    class Cell(keras.layers.Layer):
        """One column of the skewed map; projections are outside the loop."""

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
            h, c = line_scans.line_lstm_cell(gates, c)
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


def _pixelrnn(shape, settings):
    """Returns a PixelRNN of binary images of a shape."""
    import dataclasses

    from tfgen import presets

    spec = loops.config().spec
    spec = dataclasses.replace(spec, height=shape[0], width=shape[1])
    return presets.get('diagonal_bilstm_mnist', settings).build(spec)


def sampling() -> dict:
    """Compares incremental with naive sampling and completion of PixelRNNs.

    Images are 28x28, batch 16. Naive sampling runs the whole network once per
    pixel, at the same cost each time. So 10 of the 784 runs are timed, and the
    median is multiplied. It is compiled by XLA if that is faster. `ratio` is
    that of the slower of `sample` and `complete` as an export runs them;
    `compiled` has both under XLA, as in Python.
    """
    import tensorflow as tf

    from tfgen.noise import RowNoise

    image = tf.zeros([16, *loops.SHAPE])
    mask = tf.concat([tf.ones([16, 14, 28, 1]), tf.zeros([16, 14, 28, 1])], 1)
    figures = {}
    for name, settings in VARIANTS.items():
        model = _pixelrnn(loops.SHAPE, settings)

        def sample(model=model):
            return model.sample(RowNoise(tf.range(16)))

        def complete(model=model):
            return model.complete(image, mask, RowNoise(tf.range(16)))

        figures[name] = _against_naive(
            {'sample': sample, 'complete': complete},
            lambda model=model: model.logits(image),
            784,
            10,
        )
    return figures


def wavenet_sampling() -> dict:
    """Compares WaveNet's sampling by queues with naive sampling.

    Sounds have 4,096 samples, batch 4. Naive sampling runs the whole network
    once per sample: 5 of the 4,096 runs are timed, and the median is
    multiplied. The ratios are those of `sampling`.
    """
    import tensorflow as tf

    from tfgen import presets
    from tfgen.data import SoundSpec
    from tfgen.noise import RowNoise

    preset = presets.get('wavenet_spoken_digit', ['conditional=false'])
    model = preset.build(SoundSpec(length=4096, sample_rate=8000))
    audio = tf.zeros([4, 4096])
    found = _against_naive(
        {'sample': lambda: model.sample(RowNoise(tf.range(4)))},
        lambda: model.logits(audio),
        4096,
        5,
    )
    pace = round(4 * 4096 / found['sample_seconds'])
    return {'samples_per_second': pace, **found}


def _against_naive(ways, network, steps, runs):
    """Compares ways to sample with `steps` runs of the whole network.

    Args:
      ways: name -> function.
      network: one run of the whole network; `runs` of them are timed.
      steps: how many of them naive sampling makes.
      runs: see `network`.
    """
    whole = steps * min(
        _seconds(network, runs, jit_compile) for jit_compile in (None, True)
    )
    plain, compiled = (
        {name: _seconds(way, 5, jit_compile) for name, way in ways.items()}
        for jit_compile in (None, True)
    )
    return {
        **{f'{name}_seconds': round(s, 3) for name, s in plain.items()},
        'whole_network_seconds': round(whole, 1),
        'ratio': round(whole / max(plain.values()), 1),
        'compiled': {
            **{f'{name}_seconds': round(s, 3) for name, s in compiled.items()},
            'ratio': round(whole / max(compiled.values()), 1),
        },
    }


def _seconds(function, runs, jit_compile=None):
    """Returns the median time of a function, compiled by tf.function."""
    import tensorflow as tf

    compiled = tf.function(function, jit_compile=jit_compile)
    compiled()
    return statistics.median(loops.seconds(compiled) for _ in range(runs))


def growth() -> dict:
    """Measures the sampling time per pixel for images of several sizes.

    Equal values mean that the time of an image is linear in its pixels.
    """
    import tensorflow as tf

    from tfgen.noise import RowNoise

    microseconds = {}
    for side in (8, 16, 24, 32):
        model = _pixelrnn((side, side), ['cell=lstm', 'units=128'])
        seconds = _seconds(
            lambda model=model: model.sample(RowNoise(tf.range(1))), 9
        )
        microseconds[f'{side}x{side}'] = round(seconds / side**2 * 1e6, 1)
    return {'microseconds_per_pixel': microseconds}


def serving() -> dict:
    """Measures the local server with the models of pretrained/."""
    return serving_load.capacity(str(pretrained.folder()))


SECTIONS = {
    'training_loops': training_loops,
    'training_steps': training_steps,
    'pytorch': pytorch,
    'bilstm_training': bilstm_training,
    'sampling': sampling,
    'wavenet_sampling': wavenet_sampling,
    'growth': growth,
    'serving': serving,
}

if __name__ == '__main__':
    cli.run(main)
