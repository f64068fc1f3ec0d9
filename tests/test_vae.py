"""CVAE: bounds against a model with a known integral, shapes, the label."""

import numpy as np
import pytest
import tensorflow as tf
import tiny
from scipy import stats

from tfgen import probability
from tfgen.data import ImageSpec
from tfgen.errors import UserError
from tfgen.evaluation import annealed
from tfgen.models.vae import CVAE
from tfgen.noise import BatchNoise
from tfgen.training import run

RNG = np.random.default_rng(3)
D, K = 5, 2


def _noise(rows, seed=0):
    return BatchNoise(tf.constant([seed, 0]), rows)


def _spec(height, width, channels):
    return ImageSpec(
        height=height, width=width, channels=channels, levels=2, num_classes=3
    )


class LinearGaussian:
    """The model x = W z + b + s e, with all terms in closed form.

    It is a CVAE whose networks are replaced by linear ones.
    """

    def __init__(self, exact_posterior):
        self.w = RNG.normal(size=[D, K]) * 0.5
        self.b = RNG.normal(size=D)
        self.variance = 0.3
        precision = np.eye(K) + self.w.T @ self.w / self.variance
        self.posterior_cov = np.linalg.inv(precision)
        self.model = CVAE(_spec(1, 1, D), K, likelihood='gaussian')
        self.model.image_logvar.assign(np.log(self.variance))
        self.model.decoder = self._decode
        if exact_posterior:
            # q must be diagonal to be exact.
            q, _ = np.linalg.qr(self.w)
            self.w = q * [0.9, 0.4]
            precision = np.eye(K) + self.w.T @ self.w / self.variance
            self.posterior_cov = np.linalg.inv(precision)
        self.model.encoder = self._encode
        self.x = RNG.normal(size=[40, 1, 1, D]).astype(np.float32)

    def posterior_mean(self, x):
        return (x - self.b) @ self.w @ self.posterior_cov / self.variance

    def log_prob(self):
        cov = self.w @ self.w.T + self.variance * np.eye(D)
        return stats.multivariate_normal(self.b, cov).logpdf(
            self.x.reshape(-1, D)
        )

    def gap(self):
        """Returns KL(q(z|x) || p(z|x)) of each example, for `_encode`'s q."""
        variances = np.diag(self.posterior_cov)
        inverse = np.linalg.inv(self.posterior_cov)
        kl = 0.5 * (
            np.sum(np.diag(inverse) * variances)
            - K
            + np.linalg.slogdet(self.posterior_cov)[1]
            - np.sum(np.log(variances))
        )
        return np.full(len(self.x), kl)

    def _decode(self, z):
        means = tf.cast(z, tf.float64) @ self.w.T + self.b
        return tf.cast(means, tf.float32)[:, None, None, :]

    def _encode(self, image):
        mean = self.posterior_mean(np.reshape(image, [-1, D]))
        logvar = np.log(np.diag(self.posterior_cov)) + 0 * mean
        return tf.constant(np.concatenate([mean, logvar], 1), tf.float32)


def test_log_prob_is_the_bound_plus_the_posterior_gap():
    linear = LinearGaussian(exact_posterior=False)
    assert linear.gap()[0] > 0.01
    weights = linear.model.log_weights(
        tf.constant(linear.x), None, _noise(40), 20_000
    ).numpy()
    error = weights.std(0) / np.sqrt(len(weights))
    difference = weights.mean(0) + linear.gap() - linear.log_prob()
    assert np.all(np.abs(difference) < 5 * error + 1e-4)


def test_elbo_below_importance_bound_below_exact_log_prob():
    linear = LinearGaussian(exact_posterior=False)
    weights = linear.model.log_weights(
        tf.constant(linear.x), None, _noise(40), 5000
    )
    elbo = tf.reduce_mean(weights, 0).numpy().mean()
    few = tf.reshape(weights, [1000, 5, 40])
    few = tf.reduce_mean(probability.log_mean_exp(few, axis=1)).numpy()
    many = probability.log_mean_exp(weights).numpy().mean()
    exact = linear.log_prob().mean()
    assert elbo < few < many < exact + 2e-3
    assert exact - many < 2e-3


def test_every_weight_is_the_log_prob_if_q_is_the_posterior():
    linear = LinearGaussian(exact_posterior=True)
    weights = linear.model.log_weights(
        tf.constant(linear.x), None, _noise(40), 10
    )
    expected = np.tile(linear.log_prob(), [10, 1])
    np.testing.assert_allclose(weights, expected, atol=2e-4)


def test_monte_carlo_and_analytic_kl_have_the_same_expectation():
    image = tf.constant(RNG.random([4, 8, 8, 1]) > 0.5, tf.float32)
    analytic = CVAE(_spec(8, 8, 1), 3, (4, 4))
    estimate = CVAE(_spec(8, 8, 1), 3, (4, 4), kl='monte_carlo')
    mean, logvar = analytic.encode(image)
    mean, logvar = mean * 5, logvar * 5 - 0.7
    repeated = [tf.repeat(v, 20_000, 0) for v in (mean, logvar)]
    z = estimate.reparameterize(*repeated, _noise(80_000))
    draws = tf.reshape(estimate.rate(*repeated, z), [4, -1]).numpy()
    exact = analytic.rate(mean, logvar, None).numpy()
    error = draws.std(1) / np.sqrt(draws.shape[1])
    assert np.all(np.abs(draws.mean(1) - exact) < 4 * error)
    assert draws.std() > 0.1


def test_reparameterize_has_mean_and_variance():
    mean = tf.tile([[1.0, -2.0]], [50_000, 1])
    logvar = tf.tile([[0.0, -1.0]], [50_000, 1])
    model = CVAE(_spec(8, 8, 1), 2, (4, 4))
    z = model.reparameterize(mean, logvar, _noise(50_000)).numpy()
    np.testing.assert_allclose(z.mean(0), [1, -2], atol=0.02)
    np.testing.assert_allclose(z.var(0), np.exp([0, -1]), rtol=0.03)


def test_loss_terms_are_the_negative_elbo():
    model = CVAE(_spec(8, 8, 1), 3, (4, 4))
    batch = {'image': tf.constant(RNG.random([4, 8, 8, 1]) > 0.5, tf.float32)}
    terms = model.loss_terms(batch, _noise(4))
    elbo = model.elbo(batch['image'], None, _noise(4))
    np.testing.assert_allclose(-elbo, terms['distortion'] + terms['rate'])
    assert set(terms) == {'distortion', 'rate'}


@pytest.mark.parametrize('beta', [0.0, 0.5, 30.0])
def test_beta_is_the_weight_of_the_rate(beta):
    random = np.random.default_rng(0)
    image = tf.constant(random.random([4, 8, 8, 1]) > 0.5, tf.float32)
    batch = {'image': image}
    plain = CVAE(_spec(8, 8, 1), 3, (4, 4))
    other = CVAE(_spec(8, 8, 1), 3, (4, 4), beta=beta)
    for ours, theirs in zip(plain.variables, other.variables, strict=True):
        theirs.assign(ours)
    terms, found = (m.loss_terms(batch, _noise(4)) for m in (plain, other))
    np.testing.assert_allclose(found['rate'], beta * terms['rate'], rtol=1e-6)
    np.testing.assert_array_equal(found['distortion'], terms['distortion'])


def test_several_draws_train_the_importance_weighted_bound():
    linear = LinearGaussian(exact_posterior=False)
    found = []
    # The first bound is compared with its exact value, the others in order.
    for count, repeats in ((1, 10_000), (2, 500), (5, 500), (20, 500)):
        images = tf.constant(np.tile(linear.x, [repeats, 1, 1, 1]))
        model = CVAE(
            _spec(1, 1, D),
            K,
            likelihood='gaussian',
            kl='monte_carlo' if count == 1 else 'analytic',
            importance_samples=count,
        )
        model.image_logvar.assign(np.log(linear.variance))
        model.encoder, model.decoder = linear._encode, linear._decode
        terms = model.loss_terms({'image': images}, _noise(len(images)))
        found.append(-sum(v.numpy().mean() for v in terms.values()))
    assert list(terms) == ['bound']
    exact = linear.log_prob().mean()
    # The first is the ELBO, whose gap is known.
    np.testing.assert_allclose(found[0], exact - linear.gap()[0], atol=5e-3)
    assert np.all(np.diff(found) > 0) and found[-1] < exact + 1e-3
    assert exact - found[-1] < 0.3 * linear.gap()[0]


def test_annealed_importance_is_the_exact_log_prob():
    linear = LinearGaussian(exact_posterior=False)
    x = tf.repeat(tf.constant(linear.x[:10]), 16, axis=0)
    weights = annealed.log_weights(
        lambda z: linear.model.log_likelihood(x, z), [160, K], [0, 3]
    )
    found = probability.log_mean_exp(tf.reshape(weights, [10, 16]), axis=1)
    np.testing.assert_allclose(found, linear.log_prob()[:10], atol=0.1)
    # Without the transitions, the weights vary far more.
    spread = tf.math.reduce_std(tf.reshape(weights, [10, 16]), axis=1)
    assert tf.reduce_max(spread) < 0.3
    plain = linear.model.log_likelihood(x, _noise(160).normal('z', [K]))
    assert tf.math.reduce_std(tf.reshape(plain, [10, 16])) > 1.0
    # The mean weight is p(x), even with too few temperatures.
    x = tf.repeat(tf.constant(linear.x[:1]), 20_000, axis=0)
    weights = annealed.log_weights(
        lambda z: linear.model.log_likelihood(x, z), [20_000, K], [0, 4], 3
    )
    found = probability.log_mean_exp(weights)
    np.testing.assert_allclose(found, linear.log_prob()[0], atol=0.05)


def test_free_bits_cost_nothing_and_pull_at_nothing():
    model = CVAE(_spec(8, 8, 1), 3, (4, 4), free_bits=0.5)
    image = tf.constant(RNG.random([6, 8, 8, 1]) > 0.5, tf.float32)
    mean = tf.Variable([[0.1, 1.5, 0.0]] * 6, dtype=tf.float32)
    model.encode = lambda *_: (mean, tf.zeros([6, 3]))
    model.decode = lambda z, _: tf.zeros([len(z), 8, 8, 1])
    with tf.GradientTape() as tape:
        rate = model.loss_terms({'image': image}, _noise(6))['rate']
    # Rates are mean^2 / 2: 0.005, 1.125 and 0.
    np.testing.assert_allclose(rate, 0.5 + 1.125 + 0.5, rtol=1e-6)
    slope = tape.gradient(rate, mean).numpy()
    np.testing.assert_allclose(slope, [[0, 1.5, 0]] * 6, rtol=1e-6)
    elbo = model.elbo(image, None, _noise(6))
    np.testing.assert_allclose(elbo, -64 * np.log(2) - 1.13, rtol=1e-5)


def test_the_rate_warms_up_in_training_and_not_in_the_bound(data_dir):
    config, examples = tiny.load('cvae', data_dir, 'kl_warmup=20')
    model = config.build()
    (batch,) = examples.train(0, 16).take(1)
    (descent,) = run.make_updates(model, config.preset)
    full = model.loss_terms(batch, _noise(16))
    elbo = model.elbo(batch['image'], batch['label'], _noise(16))
    np.testing.assert_allclose(-sum(full.values()), elbo, rtol=1e-5)
    weights = {0: 0, 1: 0.05, 5: 0.25, 10: 0.5, 19: 0.95, 20: 1, 50: 1}
    for step, weight in weights.items():
        descent.optimizer.iterations.assign(step)
        terms = descent.loss_terms(batch, _noise(16))
        np.testing.assert_allclose(
            terms['rate'], weight * full['rate'].numpy(), rtol=1e-5
        )
        np.testing.assert_array_equal(terms['distortion'], full['distortion'])


def test_dense_layers_take_any_image_and_the_label():
    model = CVAE(_spec(5, 3, 2), 4, units=(7, 6), conditional=True)
    image = tf.constant(RNG.random([4, 5, 3, 2]) > 0.5, tf.float32)
    found = [model.reconstruct(image, tf.fill([4], k)).numpy() for k in (0, 2)]
    assert found[0].shape == (4, 5, 3, 2)
    assert np.abs(found[0] - found[1]).max() > 1e-4
    assert not any('conv' in v.path for v in model.variables)


@pytest.mark.parametrize(
    'shape', [(8, 8, 1), (28, 20, 1), (32, 32, 3), (5, 7, 3), (1, 1, 1)]
)
def test_any_image_size_and_channels(shape):
    model = CVAE(_spec(*shape), 2, (4, 8))
    image = tf.zeros([3, *shape])
    mean, logvar = model.encode(image)
    assert mean.shape == logvar.shape == (3, 2)
    assert model.decode(mean).shape == (3, *shape)
    assert model.reconstruct(image).shape == (3, *shape)
    sample = model.sample(_noise(3)).numpy()
    assert sample.shape == (3, *shape)
    assert sample.min() >= 0 and sample.max() <= 1


def test_label_reaches_encoder_and_decoder():
    model = CVAE(_spec(8, 8, 1), 2, (4, 4), conditional=True)
    image = tf.constant(RNG.random([1, 8, 8, 1]), tf.float32)
    means = [model.encode(image, tf.constant([y]))[0] for y in range(3)]
    logits = [model.decode(means[0], tf.constant([y])) for y in range(3)]
    for values in (means, logits):
        assert np.abs(values[0] - values[1]).max() > 1e-4
        assert np.abs(values[1] - values[2]).max() > 1e-4


def test_a_conditional_model_requires_a_label():
    model = CVAE(_spec(8, 8, 1), 2, (4, 4), conditional=True)
    with pytest.raises(ValueError, match='pass label'):
        model.encode(tf.zeros([1, 8, 8, 1]))


def test_unknown_likelihood_is_refused():
    with pytest.raises(UserError, match='poisson'):
        CVAE(_spec(8, 8, 1), likelihood='poisson')
