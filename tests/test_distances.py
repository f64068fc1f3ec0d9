"""Distances between sets, against closed forms and published examples."""

import numpy as np
import pytest

from tfgen.evaluation import distances

RNG = np.random.default_rng(0)


def _normal(mean, covariance, count):
    return RNG.multivariate_normal(mean, covariance, count)


def test_frechet_is_the_closed_form_of_two_normals():
    # For commuting covariances: the sum of (sd - sd')^2 over the axes.
    turn = np.linalg.qr(RNG.normal(size=[3, 3]))[0]
    ours, theirs = np.array([1.0, 4.0, 0.25]), np.array([2.25, 1.0, 0.25])
    a = _normal([0, 0, 0], turn @ np.diag(ours) @ turn.T, 200_000)
    b = _normal([1, -2, 0], turn @ np.diag(theirs) @ turn.T, 200_000)
    expected = 5 + ((np.sqrt(ours) - np.sqrt(theirs)) ** 2).sum()
    found = distances.frechet(real=a, generated=b)
    assert found == pytest.approx(expected, rel=0.02)
    assert distances.frechet(real=a, generated=a) == pytest.approx(0, abs=1e-9)
    # Covariances that do not commute, against SciPy's matrix root.
    c = _normal([0, 0, 0], [[1, 0.5, 0], [0.5, 2, 0], [0, 0, 1]], 1000)
    product = np.cov(a, rowvar=False) @ np.cov(c, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(product).real).sum()
    off = a.mean(0) - c.mean(0)
    expected = off @ off + a.var(0, ddof=1).sum() + c.var(0, ddof=1).sum()
    assert distances.frechet(real=a, generated=c) == pytest.approx(
        expected - 2 * root
    )


def test_kernel_distance_is_unbiased():
    # E (x y + 1)^3 of independent normals, from their moments.
    def kernel(m, n):
        def moments(mean):
            return mean, mean**2 + 1, mean**3 + 3 * mean

        (a, b, c), (d, e, f) = moments(m), moments(n)
        return c * f + 3 * b * e + 3 * a * d + 1

    expected = kernel(0, 0) + kernel(0.5, 0.5) - 2 * kernel(0, 0.5)
    found = [
        distances.kernel_distance(
            real=RNG.normal(0.0, 1, [6, 1]),
            generated=RNG.normal(0.5, 1, [9, 1]),
        )
        for _ in range(20_000)
    ]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - expected) < 4 * error
    assert error < 0.2 * expected  # detects a sum that includes the diagonal


@pytest.mark.wide
def test_the_authors_example_of_equal_normals():
    # Naeem et al. 2020: two sets of 10,000 in 1,000 dimensions, k = 5. They
    # make one draw. Over eight of our draws, density has deviation 0.08.
    real, made = RNG.normal(size=[2, 10_000, 1000]).astype(np.float32)
    pair = {'real': real, 'generated': made}
    precision, recall = distances.precision_and_recall(**pair, neighbours=5)
    density, coverage = distances.density_and_coverage(**pair)
    assert precision == pytest.approx(0.48, abs=0.03)
    assert recall == pytest.approx(0.47, abs=0.03)
    assert density == pytest.approx(1.06, abs=0.25)
    assert coverage == pytest.approx(0.97, abs=0.03)


def test_precision_is_of_the_samples_and_recall_of_the_data():
    # Samples of one of two modes: all are good, half of the data is missed.
    data = np.concatenate(
        [RNG.normal(0, 1, [200, 2]), RNG.normal(100, 1, [200, 2])]
    )
    samples = RNG.normal(0, 1, [200, 2])
    pair = {'real': data, 'generated': samples}
    precision, recall = distances.precision_and_recall(**pair)
    assert precision > 0.9 and recall == pytest.approx(0.5, abs=0.05)
    density, coverage = distances.density_and_coverage(**pair)
    assert density > 0.8 and 0.4 < coverage <= 0.5
    swapped = {'real': samples, 'generated': data}
    precision, recall = distances.precision_and_recall(**swapped)
    assert precision == pytest.approx(0.5, abs=0.05) and recall > 0.9


def test_neighbours_equal_an_explicit_search():
    points, queries = RNG.normal(size=[300, 4]), RNG.normal(size=[50, 4])
    apart = np.linalg.norm(queries[:, None] - points, axis=-1)
    which, far = distances.nearest(queries, points)
    np.testing.assert_array_equal(which, apart.argmin(1))
    np.testing.assert_allclose(far, apart.min(1), rtol=1e-6)
    own = np.linalg.norm(points[:, None] - points, axis=-1)
    np.testing.assert_allclose(
        distances.radii(points, 3), np.sort(own, axis=1)[:, 3], rtol=1e-6
    )
    np.testing.assert_allclose(
        distances.mean_pair(points), own.sum() / (300 * 299), rtol=1e-6
    )


def test_inception_score_is_the_number_of_classes_at_best():
    sure = np.eye(4)[np.arange(100) % 4]
    assert distances.inception_score(sure) == pytest.approx(4, rel=1e-6)
    assert distances.inception_score(sure[:1].repeat(9, 0)) == pytest.approx(1)
    unsure = np.full([50, 4], 0.25)
    assert distances.inception_score(unsure) == pytest.approx(1)
