"""Properties of GAN variants beyond the contract."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny

from tfgen import arguments
from tfgen.data import ImageSpec, PartlyLabelledSpec, PointSpec
from tfgen.losses import adversarial
from tfgen.models.bigan import BiGAN
from tfgen.models.gan import GAN
from tfgen.models.inpainting import InpaintingGAN
from tfgen.models.masks import random_mask
from tfgen.models.semi_supervised import SemiSupervisedGAN
from tfgen.models.vae_gan import VAEGAN
from tfgen.noise import BatchNoise, RowNoise
from tfgen.training import run

RNG = np.random.default_rng(2)
IMAGES = ImageSpec(height=8, width=6, num_classes=3)
POINTS = PointSpec(size=2, num_classes=3)
SIZES = {
    'generator_units': (6, 5),
    'discriminator_units': (5, 6),
    'latent_size': 3,
}
KEY = tf.constant([0, 3])


def _batch(spec, rows=8):
    example = tf.constant(RNG.random([rows, *spec.shape]), tf.float32)
    return {spec.key: example, 'label': tf.range(rows) % 3}


def _updates(model):
    return run.make_updates(model, tiny.preset('dcgan'))


def _move(model, batch, noise, updates=None):
    """Makes one step of every update; returns their terms."""
    shown = {}
    for update in updates or _updates(model):
        terms, moves = update.compute(
            batch, noise, lambda v: tf.reduce_mean(v, axis=0)
        )
        assert all(m is not None for m in moves)
        update.apply(moves, tf.constant(0, tf.int64))
        shown |= {f'{update.name}/{k}': v for k, v in terms.items()}
    return shown


PENALTIES = (
    'weight_clipping',
    'gradient_penalty',
    'r1',
    'dragan',
    'orthonormal',
    'pulling_away',
)
NETWORKS = (
    (IMAGES, 'dcgan', 'score'),
    (IMAGES, 'dcgan', 'energy'),
    (IMAGES, 'mlp', 'energy'),
    (POINTS, 'mlp', 'score'),
)


@pytest.mark.parametrize(
    'network',
    [
        pytest.param(n, marks=() if n in NETWORKS[1::2] else pytest.mark.wide)
        for n in NETWORKS
    ],
    ids=str,
)
def test_any_loss_and_penalty_go_with_any_network(network):
    spec, kind, discriminator = network
    choices = [
        *itertools.product(adversarial.LOSSES, ['none']),
        *itertools.product(['hinge'], PENALTIES),
    ]
    batch = _batch(spec)

    for loss, penalty in choices:
        model = GAN(
            spec,
            network=kind,
            discriminator=discriminator,
            loss=loss,
            penalty=penalty,
            conditional=True,
            **SIZES,
        )
        shown = _move(model, batch, BatchNoise(KEY, 8))
        assert all(np.isfinite(v) for v in shown.values()), (loss, penalty)
        has = any('penalty' in name for name in shown)
        assert has == (penalty not in ('none', 'weight_clipping'))


@pytest.mark.parametrize(
    'settings',
    [
        {'penalty': 'gradient_penalty'},
        {'penalty': 'r1', 'spectral_norm': True},
        {'penalty': 'orthonormal'},
        {'discriminator': 'energy', 'loss': 'margin'},
    ],
    ids=str,
)
@pytest.mark.parametrize('kind', [GAN, BiGAN])
def test_rows_are_measured_one_by_one_where_replicas_do_not_meet(
    settings, kind
):
    model = kind(POINTS, network='mlp', conditional=True, **SIZES, **settings)
    assert not model.cross_replica(model.settings)
    batch = _batch(POINTS)
    for update in model.updates():
        if not update.repeats:
            continue
        whole = update.loss_terms(batch, BatchNoise(KEY, 8))
        for start, count in ((0, 5), (5, 3)):
            rows = {k: v[start : start + count] for k, v in batch.items()}
            noise = BatchNoise(KEY, 8, start, count)
            for name, value in update.loss_terms(rows, noise).items():
                np.testing.assert_allclose(
                    value,
                    whole[name][start : start + count],
                    rtol=2e-4,
                    atol=1e-5,
                )


def test_weights_are_clipped_after_each_update_and_only_the_discriminators():
    for kind in ('score', 'energy'):
        model = GAN(
            IMAGES,
            discriminator=kind,
            penalty='weight_clipping',
            penalty_weight=1e-3,
            **SIZES,
        )
        _move(model, _batch(IMAGES), BatchNoise(KEY, 8))
        for v in model.discriminator.trainable_variables:
            assert np.abs(v).max() <= 1e-3, v.path
        largest = [np.abs(v).max() for v in model.generator.trainable_variables]
        assert max(largest) > 0.01


def test_spectral_norm_is_one_and_stays_so_while_weights_move():
    # The iterations at the start need longer for some weights.
    keras.utils.set_random_seed(0)
    model = GAN(
        IMAGES,
        spectral_norm=True,
        discriminator_rate=5e-4,
        conditional=True,
        **SIZES,
    )

    def norms():
        d = model.discriminator
        # The layer that reads the label has norm 1 as well.
        for layer in [*d.features.convolutions, d.head.dense, d.head.labels]:
            kernel = layer.kernel.numpy()
            matrix = kernel.reshape(-1, kernel.shape[-1])
            yield np.linalg.svd(matrix, compute_uv=False)[0]

    np.testing.assert_allclose([*norms()], 1.0, rtol=1e-3)
    updates = _updates(model)
    before = [v.numpy() for v in model.discriminator.trainable_variables]
    for _ in range(40):
        _move(model, _batch(IMAGES), BatchNoise(KEY, 8), updates)
    moved = model.discriminator.trainable_variables
    assert (
        max(np.abs(a - b).max() for a, b in zip(before, moved, strict=True))
        > 0.005
    )
    np.testing.assert_allclose([*norms()], 1.0, rtol=0.05)


def test_priors_have_their_moments():
    rows = 20_000
    drawn = {
        prior: GAN(POINTS, network='mlp', prior=prior, **SIZES)
        .draw_prior(BatchNoise(KEY, rows))
        .numpy()
        for prior in ('normal', 'uniform', 'mixture')
    }
    np.testing.assert_allclose(drawn['normal'].var(0), 1, atol=0.04)
    assert np.abs(drawn['uniform']).max() < 1
    np.testing.assert_allclose(drawn['uniform'].var(0), 1 / 3, atol=0.01)
    # Ten components of equal weight and deviation 0.15.
    values = drawn['mixture']
    centres = values[:1]
    for row in values:
        if np.abs(centres - row).max(1).min() > 0.9:
            centres = np.concatenate([centres, row[None]])
    assert 2 <= len(centres) <= 10
    assert values.std(0).max() < 1 and np.abs(values).max() < 1.9


def test_quantiles_of_a_prior_are_distributed_as_its_draws():
    uniform = np.random.default_rng(0).random([20_000, 3])
    for prior in ('normal', 'uniform', 'mixture'):
        model = GAN(POINTS, network='mlp', prior=prior, **SIZES)
        z = model.prior_quantiles(uniform, model.settings)
        drawn = model.draw_prior(BatchNoise(KEY, 20_000)).numpy()
        for share in (0.05, 0.3, 0.5, 0.9):
            np.testing.assert_allclose(
                np.quantile(z, share, axis=0),
                np.quantile(drawn, share, axis=0),
                atol=0.06,
            )


def test_a_score_under_a_margin_has_no_dead_zone():
    # Energies are never below 0. A score below 0 must still have a gradient.
    model = GAN(POINTS, network='mlp', loss='margin', **SIZES)
    model.discriminator.head.dense.bias.assign([9.0])
    batch, noise = _batch(POINTS), BatchNoise(KEY, 8)
    assert np.all(model.score(batch['point']) < 0)
    with tf.GradientTape() as tape:
        fool = model.generator_loss_terms(batch, noise)['fool']
    slopes = tape.gradient(fool, model.generator.trainable_variables)
    assert max(np.abs(s).max() for s in slopes) > 0


def test_every_gan_takes_all_settings_of_the_gan():
    own = arguments.of(GAN)
    for kind in (VAEGAN, BiGAN, InpaintingGAN):
        assert own.items() <= arguments.of(kind).items()


def test_a_bigan_judges_pairs():
    model = BiGAN(POINTS, network='mlp', **SIZES)
    batch, noise = _batch(POINTS), BatchNoise(KEY, 8)
    x, z = model._real(batch, noise)
    mean, logvar = model.encode(batch['point'])
    eps = noise.normal('eps', [3])
    np.testing.assert_allclose(
        z, mean + eps * tf.exp(0.5 * logvar), rtol=1e-5, atol=1e-6
    )
    made, prior = model._fake(batch, noise, None)
    np.testing.assert_array_equal(made, model.generate(prior))
    judge = model._judge(batch, noise, None)
    assert np.abs(judge([x, z]) - judge([x, z + 1.0])).min() > 0
    # The encoder's loss is the discriminator's, with the labels exchanged.
    terms = model.generator_loss_terms(batch, noise)
    np.testing.assert_allclose(
        terms['encode'], tf.nn.softplus(judge([x, z])), rtol=1e-5
    )


def test_an_inpainting_gan_keeps_what_it_is_shown_and_heeds_it():
    model = InpaintingGAN(IMAGES, conditional=True, **SIZES)
    for v in model.trainable_variables:
        v.assign(RNG.normal(size=v.shape) * 0.3)
    batch, noise = _batch(IMAGES), RowNoise(tf.range(8))
    image, label = batch['image'], batch['label']
    mask = np.zeros([8, 8, 6, 1], np.float32)
    mask[:, :4] = 1
    drawn = model.complete(image, mask, noise, label).numpy()
    np.testing.assert_array_equal(drawn[:, :4], image[:, :4])
    # Hidden pixels have no influence, visible ones do.
    other = np.where(mask == 1, image, 1 - image)
    np.testing.assert_array_equal(
        drawn[:, 4:], model.complete(other, mask, noise, label)[:, 4:]
    )
    other = np.where(mask == 1, 1 - image, image).astype(np.float32)
    changed = model.complete(other, mask, noise, label)[:, 4:]
    assert np.abs(drawn[:, 4:] - changed).max() > 1e-3
    np.testing.assert_array_equal(
        model.complete(image, np.zeros_like(mask), noise, label),
        model.sample(noise, label),
    )


@pytest.mark.parametrize('network', ['dcgan', 'mlp'])
def test_an_inpainting_gan_paints_in_training_by_its_own_row(network):
    # Batch norm would drown z in the context that G reads.
    model = InpaintingGAN(IMAGES, network=network, **SIZES)
    assert not model.cross_replica(model.settings)
    z = RNG.normal(size=[8, model.latent_size]).astype(np.float32)
    context = RNG.normal(size=[8, 8, 6, 2]).astype(np.float32)
    whole = model.generate(z, None, context, training=True)
    part = model.generate(z[:3], None, context[:3], training=True)
    np.testing.assert_allclose(part, whole[:3], rtol=1e-5, atol=1e-6)


def test_the_networks_of_a_vae_gan_move_in_the_order_of_the_paper():
    model = VAEGAN(IMAGES, **SIZES)
    names = [update.name for update in model.updates()]
    assert names == ['encoder', 'generator', 'discriminator']


def test_the_three_losses_of_a_vae_gan_have_their_values():
    """Larsen et al. 2016, algorithm 1, with networks of one number each."""
    model = VAEGAN(
        PointSpec(size=1),
        network='mlp',
        penalty='none',
        loss='non_saturating',
        beta=0.5,
        feature_weight=0.25,
        generator_units=(2,),
        discriminator_units=(2,),
        latent_size=1,
    )

    class Double:
        """d(x) = 2 x, whose hidden layer is x^2."""

        def __call__(self, x, extra, one_hot, noise=None):
            return 2.0 * x[:, 0]

        def features(self, x):
            return tf.square(x)

    model.discriminator = Double()
    model.generator = lambda z, training: 3.0 * z
    logvar = 2 * math.log(2)  # variance 4
    model.encoder = lambda x, one_hot: (x / 2, tf.fill(x.shape, logvar))
    x = np.array([0.3, -1.2])
    batch = {'point': tf.constant(x[:, None], tf.float32)}
    noise = BatchNoise(KEY, 2)
    made = 3 * (x / 2 + 2 * noise.normal('eps', [1]).numpy()[:, 0])
    drawn = 3 * model.draw_prior(noise).numpy()[:, 0]

    def softplus(v):
        return np.log1p(np.exp(v))

    error = 0.5 * (made**2 - x**2) ** 2
    rate = 0.5 * (x**2 / 4 + 4 - np.log(4) - 1)
    expected = {
        'encoder': {'rate': 0.5 * rate, 'error': error},
        'generator': {
            'fool': softplus(-2 * drawn),
            'fool_again': softplus(-2 * made),
            'error': 0.25 * error,
        },
        'discriminator': {
            'real': softplus(-2 * x),
            'fake': softplus(2 * drawn),
            'reconstructed': softplus(2 * made),
        },
    }
    for name, terms in expected.items():
        found = getattr(model, f'{name}_loss_terms')(batch, noise)
        assert found.keys() == terms.keys()
        for term, values in terms.items():
            np.testing.assert_allclose(found[term], values, rtol=1e-4)


def test_masks_are_of_all_kinds():
    masks = random_mask(8, 6, BatchNoise(KEY, 2000)).numpy()[..., 0]
    assert set(np.unique(masks)) == {0.0, 1.0}
    empty = (masks.reshape(2000, -1).max(1) == 0).mean()
    assert 0.5 < empty < 0.6  # some rectangles hold no pixel

    def rectangle(m):
        return np.array_equal(m, m.max(1)[:, None] * m.max(0)[None])

    shown = np.mean([rectangle(m) and m.any() for m in masks])
    hidden = np.mean([rectangle(1 - m) and not m.all() for m in masks])
    assert shown > 0.1 and hidden > 0.1


def test_a_discriminator_of_classes_is_a_softmax_of_one_more():
    spec = PartlyLabelledSpec(**vars(IMAGES), num_labels=6)
    model = SemiSupervisedGAN(
        spec, generator_units=(5,), discriminator_units=(7,), latent_size=3
    )
    batch = _batch(IMAGES)
    logits = model.class_logits(batch['image']).numpy().astype(np.float64)
    more = np.concatenate([logits, np.zeros([8, 1])], axis=1)
    softmax = np.exp(more) / np.exp(more).sum(1, keepdims=True)
    np.testing.assert_allclose(
        tf.sigmoid(model.score(batch['image'])), 1 - softmax[:, -1], rtol=1e-5
    )
    # The generator's loss is the distance of mean features of the batches.
    batch |= {
        'labelled_image': batch['image'],
        'labelled_label': batch['label'],
    }
    noise = BatchNoise(KEY, 8)
    terms = model.generator_loss_terms(batch, noise)['matching'].numpy()
    made = model.generate(model.draw_prior(noise), training=True)
    off = model.features(made, noise.scope('fake')).numpy().mean(0)
    off -= model.features(batch['image'], noise.scope('real')).numpy().mean(0)
    np.testing.assert_allclose(terms, (off**2).mean(), rtol=1e-3)


def test_noise_of_a_discriminator_of_classes_stays_as_loud():
    # At the first step x has variance 1, so max(0, x), to which noise is added,
    # has mean square 1 / 2. Hidden kernels keep their lengths in training.
    keras.utils.set_random_seed(1)
    spec = ImageSpec(height=16, width=16, num_classes=3)
    spec = PartlyLabelledSpec(**vars(spec), num_labels=6)
    model = SemiSupervisedGAN(spec, (5,), (400, 400), latent_size=3)
    batch = _batch(spec, 200)
    deviation = 0.07**0.5  # of a pixel of a digit
    batch['image'] = 0.5 + deviation * (batch['image'] - 0.5) * 12**0.5
    noise = BatchNoise(KEY, 200)
    x = tf.reshape(batch['image'], [200, -1])
    for number, (layer, level) in enumerate(
        zip(model.hidden, (0.3, 0.5), strict=True)
    ):
        x = layer(x + level * noise.normal(f'n{number}', x.shape[1:]))
        spread = tf.math.reduce_variance(x, axis=0)
        np.testing.assert_allclose(tf.reduce_mean(spread), 1.0, rtol=0.1)
        x = tf.nn.relu(x)
    batch |= {
        'labelled_image': batch['image'],
        'labelled_label': batch['label'],
    }
    layers = [*model.hidden, model.logits]

    def lengths():
        return [np.linalg.norm(layer.kernel, axis=0) for layer in layers]

    before = lengths()
    updates = _updates(model)
    for _ in range(3):
        _move(model, batch, noise, updates)
    *hidden, last = [a / b for a, b in zip(lengths(), before, strict=True)]
    for ratio in hidden:
        np.testing.assert_allclose(ratio, 1.0, rtol=1e-5)
    assert (abs(last - 1.0) > 1e-4).any()
