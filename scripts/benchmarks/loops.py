"""The training loops that benchmark.py compares, called contenders.

A contender takes the batch size and returns `run(steps)` and the number of
operations of a step. Each runs in its own process.
"""

import statistics
import time

SHAPE = (28, 28, 1)


def seconds(run, *arguments):
    """Returns the seconds that one call takes."""
    begin = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - begin


def images():
    """Returns random binary images: uint8 [10000, *SHAPE]."""
    import numpy as np

    random = np.random.default_rng(0)
    return random.integers(0, 2, [10_000, *SHAPE], dtype=np.uint8)


def config():
    """Returns the config of a CVAE on such images."""
    from tfgen import data, presets
    from tfgen.training import workdir

    spec = data.ImageSpec(
        name='random',
        height=28,
        width=28,
        levels=2,
        split_sizes={'train': 10_000, 'test': 10_000},
    )
    preset = presets.get(
        'conv_vae_mnist', ['batch_size=32', 'schedule=constant']
    )
    return workdir.Config('conv_vae_mnist', preset, 0, 'float32', spec)


def _plain(batch_size):
    """Builds tfgen's CVAE with the training loop of the tutorials."""
    import keras
    import tensorflow as tf

    from tfgen.noise import Noise

    class Plain(Noise):
        """Noise from tf.random, as in the tutorials."""

        def normal(self, name, shape):
            return tf.random.normal([batch_size, *shape])

    run_config = config()
    model = run_config.build()
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(model.trainable_variables)
    dataset = (
        tf.data.Dataset.from_tensor_slices(images())
        .map(lambda x: tf.cast(x, tf.float32))
        .cache()
        .shuffle(10_000)
        .batch(batch_size, drop_remainder=True)
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

    example = tf.TensorSpec([batch_size, *SHAPE])
    return run, _operations([train_step.get_concrete_function(example).graph])


def random_data(spec):
    """Returns Data with random images."""
    from tfgen import data
    from tfgen.data.readers import base

    split = base.InMemory(images(), None)
    source = base.Source(SHAPE, 2, (), {'train': split, 'test': split})
    return data.Data(spec, source)


def training_loop(
    config, strategy, jit, change=lambda model: None, examples=None
):
    """Returns tfgen's training loop: steps -> None.

    Args:
      config: of the run.
      strategy: of the run.
      jit: 'auto', 'on' or 'off'; see tfgen.train.
      change: a function that modifies the model before its optimizers are
        made.
      examples: Data; None for random images.
    """
    from tfgen.training import loop
    from tfgen.training import run as training

    examples = examples or random_data(config.spec)
    loop.make_repeatable()
    with strategy.scope():
        model = config.build()
        change(model)
        updates = training.make_updates(model, config.preset)
    rows = loop.BatchSplit.of(strategy, model, config.preset.batch_size)
    compiled = training.use_jit(jit, model, strategy)
    run = loop.make_loop(strategy, updates, rows, config.seed, compiled)
    batches = training.batch_iterator(strategy, examples, config, 0)
    return lambda steps: run(batches, 0, steps)


def pace(make, batch_size):
    """Measures the images per second of `make(batch_size)`.

    Also returns the operations per image, the speed of the machine's matrix
    product, and the share of it that the loop reaches.
    """
    run, operations = make(batch_size)
    run(2)  # compiles
    steps = max(2, round(4 / seconds(run, 2)))
    step = statistics.median(seconds(run, steps) / steps for _ in range(5))
    sgemm = _sgemm()
    return {
        'images_per_second': batch_size / step,
        'million_operations_per_image': operations / batch_size / 1e6,
        'sgemm_gflops': sgemm / 1e9,
        'of_sgemm': operations / step / sgemm,
    }


def _sgemm():
    """Returns the operations per second of the machine's matrix product."""
    import tensorflow as tf

    # Two products at once, to use all cores if the process has halved them.
    a, b = tf.random.normal([2, 2048, 2048])
    products = tf.function(lambda: (tf.matmul(a, a), tf.matmul(b, b)))
    products()
    return 4 * 2048**3 / min(seconds(products) for _ in range(10))


def _operations(graphs):
    """Counts the operations of matrix products and convolutions in graphs."""
    import tensorflow as tf

    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options['output'] = 'none'
    options['account_type_regexes'] = ['.*MatMul', 'Conv2D.*']
    return sum(
        tf.compat.v1.profiler.profile(graph, options=options).total_float_ops
        for graph in graphs
    )


def _tutorial(name):
    """Returns the contender of a tutorial, with its network and loop."""

    def make(batch_size):
        import numpy as np
        import tutorials

        pixels = images().astype(np.float32)
        if name == 'dcgan':
            pixels = pixels * 2 - 1
        run, step = getattr(tutorials, name)(pixels, batch_size)
        run(1)
        return run, _operations(
            [step.get_concrete_function(pixels[:batch_size]).graph]
        )

    return make


def _tfgen(name, *settings):
    """Returns the contender of a tfgen preset with changed settings."""

    def make(batch_size):
        from tfgen import presets
        from tfgen.training import loop, strategies, workdir
        from tfgen.training import run as training

        # The tutorials use no labels.
        preset = presets.get(
            name,
            [f'batch_size={batch_size}', 'conditional=false', *settings],
        )
        strategy = strategies.make('one', halve_cores=preset.halve_cores)
        import tensorflow as tf

        made = workdir.Config(name, preset, 0, 'float32', config().spec)
        run = training_loop(made, strategy, 'auto')
        batch = {'image': tf.TensorSpec([batch_size, *SHAPE])}
        key = tf.TensorSpec([2], tf.int64)
        graphs = [
            tf.function(
                loop.compute_on_replica(
                    update,
                    loop.BatchSplit(batch_size, batch_size, 1),
                    jit=False,
                )
            )
            .get_concrete_function(batch, key, 0)
            .graph
            for update in training.make_updates(made.build(), preset)
        ]
        return run, _operations(graphs)

    return make


def _autoregressive(name, *settings):
    """Returns the contender of an autoregressive preset.

    The profiler counts the body of a loop only once. So operations are counted
    from the weights: a weight is used once for each pixel or sample, in the
    forward pass and in the gradients of the weight and of the layer's input.
    """

    def make(batch_size):
        import numpy as np

        from tfgen import presets
        from tfgen.training import strategies, workdir

        preset = presets.get(
            name,
            [f'batch_size={batch_size}', 'conditional=false', *settings],
        )
        strategy = strategies.make('one', halve_cores=preset.halve_cores)
        if preset.dataset == 'tones':
            made, examples = workdir.Config.of(name, preset)
        else:
            made = workdir.Config(name, preset, 0, 'float32', config().spec)
            examples = None
        run = training_loop(made, strategy, 'auto', examples=examples)
        weights = sum(
            int(np.prod(v.shape))
            for v in made.build().trainable_variables
            if len(v.shape) > 1
        )
        numbers = np.prod(made.spec.shape)
        return run, 6 * weights * numbers * batch_size

    return make


CONTENDERS = {
    'diagonal_bilstm7_mnist': (_autoregressive('diagonal_bilstm7_mnist'), 32),
    'gated_pixelcnn_mnist': (_autoregressive('gated_pixelcnn_mnist'), 32),
    # wavenet_spoken_digit on sounds that need no download
    'wavenet_spoken_digit': (
        _autoregressive(
            'wavenet_tones',
            'audio_length=4096',
            'units=32',
            'skip_units=64',
            'num_stacks=2',
        ),
        8,
    ),
    'pixelcnn_mnist': (_autoregressive('pixelcnn_mnist', 'ema=0'), 32),
    'pixelrnn_mnist': (_autoregressive('pixelrnn_mnist', 'ema=0'), 32),
    'vae_mnist': (_tfgen('vae_mnist'), 20),
    'vae_mnist, batch 100': (_tfgen('vae_mnist'), 100),
    'gan_mnist': (_tfgen('gan_mnist'), 64),
    'cvae_plain': (_plain, 32),
    'cvae_tutorial': (_tutorial('cvae'), 32),
    'cvae_tfgen': (_tfgen('conv_vae_mnist'), 32),
    'dcgan_tutorial': (_tutorial('dcgan'), 256),
    # The tutorial's widths and latent size, without penalty and averages.
    'dcgan_tfgen': (
        _tfgen(
            'dcgan_mnist',
            'generator_units=256,64',
            'latent_size=100',
            'penalty=none',
            'ema=0',
        ),
        256,
    ),
}
