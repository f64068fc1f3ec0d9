"""GMM: EM in batches equals EM, and scikit-learn's from the same start."""

import numpy as np
import pytest
import tensorflow as tf
import tiny
from scipy import stats
from sklearn.mixture import GaussianMixture

from tfgen.data import PointSpec
from tfgen.models.gmm import GMM, plus_plus
from tfgen.noise import BatchNoise, RowNoise
from tfgen.training import run

KINDS = ('full', 'tied', 'diagonal', 'spherical')
KEY = tf.constant([0, 5])


def _points(seed, count=300, size=3, groups=4):
    random = np.random.default_rng(seed)
    spread = random.normal(size=[groups, size, size]) * 0.4
    group = random.integers(groups, size=count)
    centre = random.normal(size=[groups, size]) * 2.0
    offset = np.einsum(
        'nde,ne->nd', spread[group], random.normal(size=[count, size])
    )
    return (centre[group] + offset).astype(np.float32)


def _begun(x, kind, count=4, **settings):
    spec = PointSpec(size=x.shape[1], split_sizes={'train': len(x)})
    model = GMM(spec, count, kind, **settings)
    model.initialize_from({'point': tf.constant(x)}, BatchNoise(KEY, len(x)))
    return model


def _iterate(model, x, parts=1):
    """Makes one EM step in `parts` batches, padded with rows of weight 0."""
    rows = -(-len(x) // parts)
    update = run.make_updates(
        model, tiny.preset('gmm').__class__(batch_size=rows)
    )[0]
    for part in range(parts):
        some = x[part * rows : (part + 1) * rows]
        weight = np.zeros(rows, np.float32)
        weight[: len(some)] = parts * rows / len(x)
        filled = np.concatenate([some, x[: rows - len(some)]])
        batch = {'point': tf.constant(filled), 'weight': tf.constant(weight)}
        _, totals = update.compute(
            batch, BatchNoise(KEY, rows), lambda v: tf.reduce_mean(v, axis=0)
        )
        update.apply(totals, tf.constant(part, tf.int64))


def _covariances(model):
    scales = model.scales.numpy()
    if scales.ndim == 3:
        return scales @ np.swapaxes(scales, 1, 2)
    return scales**2


def _reference(model, kind):
    """Returns scikit-learn's mixture, started from our parameters."""
    covariance = _covariances(model)
    if kind in ('full', 'tied'):
        precisions = np.linalg.inv(covariance)
        if kind == 'tied':
            precisions = precisions[0]
    else:
        precisions = 1.0 / covariance
        if kind == 'spherical':
            precisions = precisions[:, 0]
    return GaussianMixture(
        model.num_components,
        covariance_type='diag' if kind == 'diagonal' else kind,
        reg_covar=0.0,
        weights_init=model.mixing.numpy(),
        means_init=model.means.numpy(),
        precisions_init=precisions,
        max_iter=20,
        tol=0.0,
    )


@pytest.mark.filterwarnings('ignore:Best performing initialization')
@pytest.mark.parametrize('parts', (pytest.param(1, marks=pytest.mark.wide), 7))
@pytest.mark.parametrize('kind', KINDS)
def test_em_is_scikit_learns_from_the_same_start(kind, parts):
    x = _points(1)
    model = _begun(x, kind)
    reference = _reference(model, kind).fit(x.astype(np.float64))
    for _ in range(20):
        _iterate(model, x, parts)
    log_prob = model.log_prob(tf.constant(x)).numpy()
    np.testing.assert_allclose(
        log_prob, reference.score_samples(x.astype(np.float64)), atol=1e-4
    )
    np.testing.assert_allclose(model.means, reference.means_, atol=1e-5)
    np.testing.assert_allclose(
        model.responsibilities(tf.constant(x)),
        reference.predict_proba(x.astype(np.float64)),
        atol=1e-5,
    )
    free = reference._n_parameters()
    assert model.num_free() == free


@pytest.mark.parametrize(
    'seed',
    [0, *(pytest.param(n, marks=pytest.mark.wide) for n in (1, 2, 3, 4))],
)
@pytest.mark.parametrize('kind', KINDS)
def test_em_never_lowers_the_likelihood(kind, seed):
    # Variances reach their floor, too: there are more components than groups,
    # and few points, some of them equal.
    random = np.random.default_rng(seed)
    size = random.integers(1, 5)
    x = _points(seed, random.integers(12, 60), size, random.integers(1, 4))
    x = np.concatenate([x, x[:5], x[:5]])
    model = _begun(x, kind, count=6, variance_floor=0.05)
    found = []
    for _ in range(15):
        found.append(float(tf.reduce_mean(model.log_prob(tf.constant(x)))))
        _iterate(model, x, parts=1 + seed % 3)
        variances = _covariances(model)
        if kind in ('full', 'tied'):
            variances = np.linalg.eigvalsh(variances)
        assert variances.min() > 0.05 - 1e-9
    assert np.all(np.diff(found) > -1e-6), np.diff(found).min()
    np.testing.assert_allclose(model.mixing.numpy().sum(), 1.0)


def test_fewer_different_points_than_components_are_no_error():
    x = np.full([5, 2], 0.5, np.float32)
    for kind in KINDS:
        model = _begun(x, kind, count=5)
        for _ in range(3):
            _iterate(model, x)
        assert np.all(np.isfinite(model.log_prob(tf.constant(x))))
        assert np.all(np.isfinite(model.sample(RowNoise(tf.range(9)))))


@pytest.mark.parametrize('kind', KINDS)
def test_samples_have_the_moments_of_the_mixture(kind):
    x = _points(3, size=2)
    model = _begun(x, kind)
    for _ in range(10):
        _iterate(model, x)
    # With full covariances, EM keeps the first two moments of the data.
    drawn = model.sample(BatchNoise(KEY, 40_000)).numpy()
    mixing, means = model.mixing.numpy(), model.means.numpy()
    mean = mixing @ means
    within = _covariances(model)
    if kind not in ('full', 'tied'):
        within = np.stack([np.diag(np.broadcast_to(v, [2])) for v in within])
    within = np.broadcast_to(within, [4, 2, 2])
    off = means - mean
    whole = np.einsum(
        'm,mij->ij', mixing, within + off[:, :, None] * off[:, None]
    )
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), whole, atol=0.1)


def test_a_density_sums_to_one_over_the_plane():
    x = _points(4, size=2)
    model = _begun(x, 'full')
    sides = np.arange(-12.0, 12.0, 0.05, np.float32)
    plane = np.stack(np.meshgrid(sides, sides), -1).reshape(-1, 2)
    total = np.exp(model.log_prob(tf.constant(plane))).sum() * 0.05**2
    np.testing.assert_allclose(total, 1.0, atol=1e-3)


def test_centres_of_k_means_plus_plus_are_far_apart():
    # One centre is in each of three tight groups of unequal size, because a
    # point's probability is proportional to its squared distance to the nearest
    # earlier centre.
    random = np.random.default_rng(0)
    x = np.concatenate(
        [
            place + 0.001 * random.normal(size=[count, 2])
            for place, count in (((0, 0), 80), ((5, 0), 10), ((0, 5), 10))
        ]
    )
    for _ in range(20):
        centres = plus_plus(
            tf.constant(x), tf.constant(random.random(3), x.dtype)
        ).numpy()
        off = centres[:, None] - centres
        apart = np.linalg.norm(off, axis=2)[np.triu_indices(3, 1)]
        assert apart.min() > 4.0
    # The probabilities themselves, for three points on a line.
    line = tf.constant([[0.0], [1.0], [3.0]], tf.float64)
    second = []
    for u in (np.arange(1000) + 0.5) / 1000:
        second.append(
            plus_plus(line, tf.constant([0.1, u], tf.float64))[1, 0].numpy()
        )
    np.testing.assert_allclose(np.mean(np.array(second) == 3.0), 0.9, atol=0.01)


@pytest.mark.parametrize('kind', KINDS)
def test_the_components_say_what_the_density_is(kind):
    x = _points(4)
    model = _begun(x, kind)
    _iterate(model, x)
    parts = model.components()
    weights, means, scales = (parts[k] for k in ('weights', 'means', 'scales'))
    logs = [
        np.log(weight) + stats.multivariate_normal(mean, s @ s.T).logpdf(x)
        for weight, mean, s in zip(
            weights,
            means,
            np.broadcast_to(scales, [len(means), 3, 3]),
            strict=True,
        )
    ]
    np.testing.assert_allclose(
        model.log_prob(tf.constant(x)),
        np.logaddexp.reduce(logs),
        rtol=1e-5,
    )
