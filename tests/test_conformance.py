"""Every model keeps every promise of the contract."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tiny
from PIL import Image

from tfgen import data, presets
from tfgen.noise import BatchNoise, RowNoise
from tfgen.serving import signatures
from tfgen.training import loop

MODELS = pytest.mark.parametrize('model', tiny.MODELS)


def _built(model, data_dir, *extra):
    config, images = tiny.load(model, data_dir, *extra)
    built = config.build()
    (batch,) = images.train(0, 16).take(1)
    return built, batch


def _noise(rows=16):
    return BatchNoise(tf.constant([1, 2]), rows)


@MODELS
def test_eager_graph_and_jit_agree(model, data_dir):
    built, batch = _built(model, data_dir)
    for objective in built.objectives():
        terms = functools.partial(objective.loss_terms, batch, _noise())
        eager = terms()
        for other in (
            tf.function(lambda: terms())(),  # noqa: B023
            tf.function(lambda: terms(), jit_compile=True)(),  # noqa: B023
        ):
            for name, value in eager.items():
                np.testing.assert_allclose(
                    other[name], value, rtol=1e-4, atol=1e-4
                )


def _op_types(graph):
    """Types of all operations of a graph and of the functions it calls."""
    definition = graph.as_graph_def(add_shapes=False)
    nodes = list(definition.node)
    for function in definition.library.function:
        nodes += function.node_def
    return {node.op for node in nodes}


@MODELS
def test_no_graph_lets_the_device_choose_the_generator(model, data_dir):
    # A TPU would choose another, and the same seed draw another picture.
    config, images = tiny.load(model, data_dir)
    built = config.build()
    found = set()
    for objective in built.objectives():
        loss = tf.function(loop._loss(objective, 16, 16, False))
        (batch,) = images.train(0, 16).take(1)
        key = tf.constant([0, 0], tf.int64)
        found |= _op_types(loss.get_concrete_function(batch, key, 0).graph)
    for function in signatures.functions(built).values():
        found |= _op_types(function.graph)
    assert 'StatelessRandomUniformFullIntV2' in found
    assert 'StatelessRandomGetKeyCounter' not in found


@MODELS
def test_terms_are_one_float_per_example(model, data_dir):
    built, batch = _built(model, data_dir)
    groups = [o.loss_terms(batch, _noise()) for o in built.objectives()]
    for group in [*groups, built.diagnostics(batch, _noise())]:
        for value in group.values():
            assert value.shape == (16,) and value.dtype == tf.float32


@MODELS
def test_loss_falls_on_one_batch(model, data_dir):
    # Of a GAN, the discriminator alone: the players' losses rise and fall.
    built, batch = _built(model, data_dir)
    objective = built.objectives()[0]
    config, _ = tiny.load(
        model, data_dir, 'learning_rate=0.01', 'schedule=constant'
    )
    optimizer = loop.make_optimizers(built, config.preset)[objective.name]
    loss = tf.function(loop._loss(objective, 16, 16, False))
    totals = []
    for _ in range(40):
        terms, gradients = loss(batch, tf.constant([0, 0], tf.int64), 0)
        optimizer.apply(gradients, objective.variables)
        totals.append(float(tf.add_n(list(terms.values()))))
    assert totals[-1] < totals[0] - 0.05 * abs(totals[0])


@MODELS
def test_samples_have_the_datas_shape_and_range(model, data_dir):
    built, batch = _built(model, data_dir)
    for noise in (_noise(), RowNoise(tf.range(16))):
        sample = built.sample(noise, batch['label']).numpy()
        example = batch[built.kind].numpy()
        assert sample.shape == example.shape and sample.dtype == np.float32
        lowest = {'image': 0.0, 'audio': -1.0}[built.kind]
        assert sample.min() >= lowest and sample.max() <= 1


@MODELS
def test_every_gradient_arrives(model, data_dir):
    built, batch = _built(model, data_dir)
    for objective in built.objectives():
        with tf.GradientTape() as tape:
            terms = objective.loss_terms(batch, _noise())
            total = tf.add_n([tf.reduce_sum(v) for v in terms.values()])
        gradients = tape.gradient(total, list(objective.variables))
        for variable, gradient in zip(
            objective.variables, gradients, strict=True
        ):
            assert gradient is not None, variable.path
            assert np.all(np.isfinite(gradient)), variable.path


IMAGE_MODELS = tuple(m for m in tiny.MODELS if m != 'wavenet')


# Variants of a family differ where colours come in.
UNSEEN = [
    *[('colour folder', m) for m in IMAGE_MODELS],
    *[('other size', m) for m in tiny.FAMILIES if m in IMAGE_MODELS],
    ('tfds', 'cvae'),
]


@pytest.mark.parametrize('kind,model', UNSEEN)
def test_it_trains_on_sets_it_has_never_seen(
    kind, model, tmp_path, data_dir, request
):
    extra = ['steps=2', 'dataset=digits', 'image_size=16,12']
    if kind == 'tfds':
        data_dir = request.getfixturevalue('prepared')
        extra = ['steps=2', 'dataset=fashion_mnist']
    elif kind == 'colour folder':
        extra = ['steps=2', f'dataset=folder:{_colour_folder(tmp_path)}']
    if 'levels' in vars(presets.get(tiny.SETTINGS[model][0])):
        extra.append('levels=16')
    config, images = tiny.load(model, data_dir, *extra)
    loop.train(config, images, tmp_path / 'run')
    drawn = Image.open(tmp_path / 'run' / 'samples' / 'step_0000002.png')
    height, width, channels = images.spec.shape
    assert drawn.mode == {1: 'L', 3: 'RGB'}[channels]
    assert drawn.height > height and drawn.width > width
    assert np.std(drawn) > 0


def _colour_folder(path):
    random = np.random.default_rng(0)
    for kind in ('a', 'b'):
        folder = path / 'colour' / kind
        folder.mkdir(parents=True)
        for i in range(12):
            pixels = random.integers(0, 256, [16, 16, 3], dtype=np.uint8)
            png = tf.io.encode_png(pixels).numpy()
            (folder / f'{i}.png').write_bytes(png)
    return path / 'colour'


def test_models_accept_what_data_makes(data_dir):
    for binarization in data.BINARIZATIONS:
        if binarization == 'static':
            continue
        for model in {*IMAGE_MODELS} & {*tiny.FAMILIES}:
            built, batch = _built(
                model, data_dir, f'binarization={binarization}'
            )
            objective = built.objectives()[0]
            terms = objective.loss_terms(batch, _noise())
            assert all(np.all(np.isfinite(v)) for v in terms.values())
