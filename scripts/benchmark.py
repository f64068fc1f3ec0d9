"""Measures speed as ratios within one run, so that machines can be compared.

    python scripts/benchmark.py [--output=results/benchmark.json]

Needs no data set: the images are random. Stop other work on the machine.
"""

import datetime
import json
import os
import pathlib
import platform
import statistics
import time

from absl import flags

from tfgen import cli

flags.DEFINE_string('output', None, 'JSON file for the figures.')
_SHAPE = (28, 28, 1)


def main() -> None:
    figures = {
        'training': training_loop(),
        'sampling': sampling(),
        'growth': growth(),
        'date': datetime.date.today().isoformat(),
        'machine': f'{platform.machine()}, {os.cpu_count()} CPU cores',
    }
    print(json.dumps(figures, indent=2))
    if flags.FLAGS.output:
        file = pathlib.Path(flags.FLAGS.output)
        file.write_text(json.dumps(figures, indent=2) + '\n')


def training_loop() -> dict:
    """The loop of tfgen against one step per call, CVAE at batch 32.

    The plain loop is the tutorials': cache, shuffle, batch, and a tf.function
    that makes one step. Rounds alternate, so that both meet the same machine;
    the ratio is the median over rounds.
    """
    plain = _plain_loop()
    plain(50)  # traced before tfgen sets an option of the whole process
    ours = _tfgen_loop()
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


def _tfgen_loop():
    import tensorflow as tf

    from tfgen import data, training
    from tfgen.readers import base

    config = _config()
    split = base.InMemory(_images(), None)
    source = base.Source(_SHAPE, 2, 0, {'train': split, 'test': split})
    images = data.ImageData(config.spec, source)
    strategy = tf.distribute.get_strategy()
    training.make_repeatable()
    model = config.build()
    optimizers = training.make_optimizers(model, config.preset)
    loop = training.make_loop(strategy, model, optimizers, config, False)
    batches = training.batch_iterator(strategy, model, images, config, 0)
    return lambda steps: loop(batches, 0, steps)


def _sampler(shape, batch):
    """A PixelRNN of pixelrnn_mnist's size, and its compiled sampler."""
    import dataclasses

    import tensorflow as tf

    from tfgen import presets
    from tfgen.noise import RowNoise

    spec = dataclasses.replace(_config().spec, height=shape[0], width=shape[1])
    model = presets.get('pixelrnn_mnist').build(spec)
    sample = tf.function(lambda: model.sample(RowNoise(tf.range(batch))))
    return model, sample


def sampling() -> dict:
    """Incremental sampling against the whole network for each pixel.

    28x28, batch 16. The whole network costs the same for each pixel, so 20 of
    the 784 are timed and multiplied.
    """
    import tensorflow as tf

    model, sample = _sampler(_SHAPE, 16)
    logits = tf.function(model.logits)
    image = tf.zeros([16, *_SHAPE])
    for run in (sample, lambda: logits(image)):
        run()
    fast = statistics.median(_seconds(sample) for _ in range(7))
    slow = statistics.median(_seconds(logits, image) for _ in range(20))
    return {
        'incremental_seconds': round(fast, 4),
        'whole_network_seconds': round(slow * 784, 2),
        'ratio': round(slow * 784 / fast, 1),
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


if __name__ == '__main__':
    cli.run(main)
