"""Tests every model against the whole contract."""

import dataclasses
import functools
import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny
from PIL import Image

from tfgen.data import ImageSpec
from tfgen.errors import UserError
from tfgen.models.classifier import Classifier
from tfgen.models.contracts.capabilities import (
    Classifying,
    Completing,
    Encoding,
    GenerativeModel,
)
from tfgen.models.contracts.latent import LatentModel
from tfgen.models.contracts.likelihood import LikelihoodModel
from tfgen.models.contracts.updates import EpochUpdate, GradientUpdate
from tfgen.models.contracts.variational import VariationalAutoEncoder
from tfgen.models.gan import GAN
from tfgen.models.gmm import GMM
from tfgen.models.rbm import RBM
from tfgen.models.semi_supervised import SemiSupervisedGAN
from tfgen.models.vae import CVAE
from tfgen.noise import BatchNoise, RowNoise
from tfgen.training import loop, run
from tfgen.training.run import train

MODELS = pytest.mark.parametrize('model', tiny.some(tiny.MODELS))
DRAWING = pytest.mark.parametrize('model', tiny.some(tiny.DRAWING))
ALL = pytest.mark.parametrize('model', tiny.MODELS)
ROWS = loop.BatchSplit(16, 16, 1)


@functools.cache
def _built(model, data_dir, *extra):
    """Returns a model and a batch, for tests that do not move its weights."""
    return _new(model, data_dir, *extra)


def _new(model, data_dir, *extra):
    config, examples = tiny.load(model, data_dir, *extra)
    built = config.build()
    whole = built.whole_epochs
    (batch,) = examples.train(0, 16, whole_epochs=whole).take(1)
    built.initialize_from(batch, _noise())
    return built, batch


def _noise(rows=16):
    return BatchNoise(tf.constant([1, 2]), rows)


@MODELS
def test_eager_graph_and_jit_agree(model, data_dir):
    built, batch = _built(model, data_dir)
    for update in _moving(built):
        terms = functools.partial(_terms, update, batch)
        eager = terms()
        for other in (
            tf.function(lambda: terms())(),  # noqa: B023
            tf.function(lambda: terms(), jit_compile=True)(),  # noqa: B023
        ):
            for name, value in eager.items():
                np.testing.assert_allclose(
                    other[name], value, rtol=1e-4, atol=1e-4
                )


def _moving(built):
    """Returns the built updates that run on batches."""
    updates = run.make_updates(built, tiny.preset('cvae'))
    return [update for update in updates if update.repeats]


def _terms(update, batch):
    """Returns the per-example terms of an update."""
    measure = getattr(update, 'loss_terms', None) or update.statistics
    terms = measure(batch, _noise())
    return terms[0] if isinstance(update, EpochUpdate) else terms


@MODELS
def test_terms_are_one_float_per_example(model, data_dir):
    built, batch = _built(model, data_dir)
    for update in _moving(built):
        terms = _terms(update, batch)
        if isinstance(update, GradientUpdate):
            assert {v.shape.rank for v in terms.values()} == {1}
        for value in terms.values():
            assert value.shape[0] == 16 and value.dtype == tf.float32


@MODELS
def test_loss_falls_on_one_batch(model, data_dir):
    # For a GAN, only the discriminator is trained: in the game of both, losses
    # rise and fall.
    built, batch = _new(model, data_dir)
    if isinstance(built, RBM):
        pytest.skip('its terms are no objective: see test_rbm.py')
    config, _ = tiny.load(
        model, data_dir, 'learning_rate=0.01', 'schedule=constant', 'ema=0'
    )
    update = run.make_updates(built, config.preset)[0]
    measure = tf.function(loop.compute_on_replica(update, ROWS, jit=False))
    totals = []
    for step in range(40):
        terms, moves = measure(batch, tf.constant([0, 0], tf.int64), 0)
        update.apply(moves, tf.constant(step, tf.int64))
        totals.append(float(tf.add_n(list(terms.values()))))
    # EpochUpdates start from data, near their optimum.
    least = 0.0 if isinstance(update, EpochUpdate) else 0.05
    assert totals[-1] < totals[0] - least * abs(totals[0])


@DRAWING
def test_samples_have_the_datas_shape_and_range(model, data_dir):
    built, batch = _built(model, data_dir)
    for noise in (_noise(), RowNoise(tf.range(16))):
        label = batch.get('label')
        sample = built.sample(noise, label).numpy()
        example = batch[built.spec.key].numpy()
        assert sample.shape == example.shape and sample.dtype == example.dtype
        assert built.spec.valid(tf.constant(sample))[0]


@MODELS
def test_every_gradient_arrives(model, data_dir):
    built, batch = _built(model, data_dir)
    for update in _moving(built):
        if not isinstance(update, GradientUpdate):
            continue
        _, gradients = update.compute(
            batch, _noise(), lambda values: tf.reduce_mean(values, axis=0)
        )
        # Other values may follow the gradients, hence strict=False.
        for variable, gradient in zip(
            update.variables, gradients, strict=False
        ):
            assert gradient is not None, variable.path
            assert np.all(np.isfinite(gradient)), variable.path


COLOUR = ImageSpec(height=16, width=16, channels=3, levels=16, num_classes=2)
IMAGE_MODELS = tuple(
    m
    for m in tiny.DRAWING
    if tiny.takes(tiny.preset(m).model, COLOUR, **tiny.preset(m).settings)
)


# Variants of a family treat colours differently.
UNSEEN = [
    *[(m, 'colour folder') for m in IMAGE_MODELS],
    *[(m, 'other size') for m in tiny.FAMILIES if m in IMAGE_MODELS],
    ('cvae', 'tfds'),
]


@pytest.mark.parametrize(
    'model,kind',
    tiny.some(
        UNSEEN,
        (
            ('diagonal_bilstm', 'colour folder'),
            ('dcgan', 'other size'),
            ('cvae', 'tfds'),
        ),
    ),
)
def test_it_trains_on_sets_it_has_never_seen(
    model, kind, tmp_path, data_dir, request
):
    extra = ['steps=2', 'dataset=digits', 'image_size=16,12']
    if kind == 'tfds':
        data_dir = request.getfixturevalue('prepared')
        extra = ['steps=2', 'dataset=fashion_mnist']
    elif kind == 'colour folder':
        extra = ['steps=2', f'dataset=folder:{_colour_folder(tmp_path)}']
    if 'levels' in tiny.preset(model).settings:
        extra.append('levels=16')
    config, examples = tiny.load(model, data_dir, *extra)
    # Uncompiled, which is faster; another test compares compiled runs.
    train(config, examples, tmp_path / 'run', jit='off')
    drawn = Image.open(tmp_path / 'run' / 'samples' / 'step_0000002.png')
    height, width, channels = examples.spec.shape
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


@pytest.mark.parametrize(
    'model', tiny.some([m for m in IMAGE_MODELS if m in tiny.FAMILIES])
)
def test_a_model_accepts_what_data_makes(model, data_dir):
    for binarization in ('none', 'dynamic', 'threshold'):
        built, batch = _built(model, data_dir, f'binarization={binarization}')
        terms = _terms(_moving(built)[0], batch)
        assert all(np.all(np.isfinite(v)) for v in terms.values())


@MODELS
def test_a_model_is_what_its_configuration_and_a_keras_file_say(
    model, data_dir, tmp_path
):
    built, batch = _new(model, data_dir)
    random = np.random.default_rng(0)
    for v in built.variables:
        v.assign(v + 0.1 * random.random(v.shape))
    again = type(built).from_config(json.loads(json.dumps(built.get_config())))
    assert again.settings == built.settings and again.spec == built.spec
    built.save(tmp_path / 'model.keras')
    loaded = keras.models.load_model(tmp_path / 'model.keras')
    assert type(loaded) is type(built)
    for ours, theirs in zip(built.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)
    example = batch[built.spec.key]
    if isinstance(built, Classifying):
        np.testing.assert_array_equal(
            built.class_logits(example), loaded.class_logits(example)
        )
    if isinstance(built, GenerativeModel):
        label = batch.get('label', tf.zeros([16], tf.int32))[:4]
        noise = RowNoise(tf.range(4))
        np.testing.assert_array_equal(
            built.sample(noise, label), loaded.sample(noise, label)
        )


@MODELS
def test_the_first_weights_follow_from_the_seed_of_the_run(model, data_dir):
    config, _ = tiny.load(model, data_dir)
    one, two = (config.build() for _ in range(2))
    other = dataclasses.replace(config, seed=config.seed + 1).build()
    differ = []
    for a, b, c in zip(
        one.variables, two.variables, other.variables, strict=True
    ):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
        differ.append(np.any(a.numpy() != c.numpy()))
    # Models that start from data start equal.
    assert any(differ) or one.whole_epochs or model == 'gaussian'
    # No two weights of a model have the same random values.
    kernels = [v.numpy() for v in one.variables if v.path.endswith('kernel')]
    for a, b in itertools.combinations(kernels, 2):
        assert a.shape != b.shape or np.any(a != b)


def test_a_model_is_made_of_a_spec_and_of_values_of_the_right_types(data_dir):
    _, examples = tiny.load('cvae', data_dir)
    for wrong in (examples, (8, 8, 1), None):
        with pytest.raises(UserError, match='pass the spec of a data set'):
            CVAE(wrong)
    with pytest.raises(UserError, match='latent_size is 2'):
        CVAE(examples.spec, latent_size=2.5, likelihood='gaussian')
    listed = CVAE(examples.spec, filters=[4, 6], likelihood='gaussian')
    assert listed.settings['filters'] == (4, 6)


@ALL
def test_a_model_refuses_the_kinds_of_examples_it_does_not_take(model):
    own = tiny.preset(model)
    for kind, spec in tiny.SPECS.items():
        settings = own.settings | {'conditional': False}
        if 'conditional' not in own.settings:
            del settings['conditional']
        if kind not in own.model.spec_types:
            with pytest.raises(UserError, match=kind.noun):
                own.model(spec, **settings)


# The signatures that each contract promises.
SERVED = {
    GenerativeModel: {'sample'},
    LikelihoodModel: {'log_prob'},
    Completing: {'complete'},
    Classifying: {'classify'},
    Classifier: {'features'},
    GAN: {'score'},
    SemiSupervisedGAN: {'score'},
    RBM: {'score'},
    LatentModel: {'decode', 'interpolate'},
    Encoding: {'encode', 'reconstruct'},
    GMM: {'responsibilities'},
    VariationalAutoEncoder: {'elbo'},
}
MAKING = {'sample', 'complete', 'decode', 'interpolate', 'reconstruct'}


@ALL
def test_a_model_serves_what_its_contracts_promise(model):
    built = tiny.build(model)
    promised = set().union(
        *(names for base, names in SERVED.items() if isinstance(built, base))
    )
    if getattr(built, 'pack', 1) > 1:
        promised -= {'score'}  # of a row that would depend on other rows
    assert set(built.signatures()) == promised
    for name, signature in built.signatures().items():
        assert signature.makes == (name in MAKING)
        assert ('label' in signature.inputs) == bool(built.num_classes)
