"""Distances between samples and data: pure functions of their features.

They take features as float arrays [N, F] by keyword, `real=` and `generated=`,
because half of the functions are not symmetric. They compute in float64.
"""

from collections.abc import Iterator

import numpy as np
from sklearn.metrics import (
    pairwise_distances_argmin_min,
    pairwise_distances_chunked,
)
from sklearn.neighbors import NearestNeighbors

_CHUNK = 1024  # rows whose kernels with all others are in memory at once


def frechet(*, real: np.ndarray, generated: np.ndarray) -> float:
    """The squared Frechet distance between normals fitted to both sets.

    |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)), covariances divided by N - 1. It
    falls as the number of samples grows, so compare only results of equal N.
    Source: Heusel et al. 2017 (FID), equation 6.
    """
    real, generated = _float64(real, generated)
    off = real.mean(axis=0) - generated.mean(axis=0)
    ours, theirs = (
        np.atleast_2d(np.cov(x, rowvar=False)) for x in (real, generated)
    )
    root = _root(ours)
    # (C C')^(1/2) has the same trace as the root of C^(1/2) C' C^(1/2). The
    # latter is symmetric, so its eigenvalues cannot turn out complex.
    values = np.linalg.eigvalsh(root @ theirs @ root)
    cross = np.sqrt(np.maximum(values, 0.0)).sum()
    return float(off @ off + np.trace(ours) + np.trace(theirs) - 2.0 * cross)


def kernel_distance(*, real: np.ndarray, generated: np.ndarray) -> float:
    """An unbiased estimate of the squared maximum mean discrepancy.

    It may be below 0. The kernel is (x . y / F + 1)^3. The mean of the
    estimate does not depend on the number of samples.
    Source: Binkowski et al. 2018 (KID), equation 3 and section 4.
    """
    real, generated = _float64(real, generated)
    within = (_mean_kernel(x, x, True) for x in (real, generated))
    return float(sum(within) - 2.0 * _mean_kernel(real, generated, False))


def precision_and_recall(
    *, real: np.ndarray, generated: np.ndarray, neighbours: int = 3
) -> tuple[float, float]:
    """Precision and recall of samples; k is `neighbours`.

    Every point of a set has a ball that reaches to its k-th neighbour in the
    set. Precision is the share of samples in some ball of the data. Recall is
    the share of data in some ball of the samples.
    Source: Kynkaanniemi et al. 2019 (improved precision and recall), section 2.
    """
    of_real = radii(real, neighbours)
    of_generated = radii(generated, neighbours)
    in_real, in_generated = 0, np.zeros(len(real), bool)
    first = 0
    for distances in _distances(generated, real):
        last = first + len(distances)
        in_real += int((distances <= of_real).any(axis=1).sum())
        reached = distances <= of_generated[first:last, None]
        in_generated |= reached.any(axis=0)
        first = last
    return in_real / len(generated), float(in_generated.mean())


def density_and_coverage(
    *, real: np.ndarray, generated: np.ndarray, neighbours: int = 5
) -> tuple[float, float]:
    """The density of samples among the data, and the share of data covered.

    Points of the data have balls, as in `precision_and_recall`. Density is the
    mean number of balls in which a sample lies, divided by k = `neighbours`. It
    is 1 for the data's own distribution, and larger where samples crowd.
    Coverage is the share of balls that contain a sample.
    Source: Naeem et al. 2020, equations 3 and 4.
    """
    of_real = radii(real, neighbours)
    count, covered = 0, np.zeros(len(real), bool)
    for distances in _distances(generated, real):
        inside = distances <= of_real
        count += int(inside.sum())
        covered |= inside.any(axis=0)
    return count / (neighbours * len(generated)), float(covered.mean())


def inception_score(probabilities: np.ndarray) -> float:
    """exp E KL(p(y|x) || p(y)), from 1 to the number of classes.

    Source: Salimans et al. 2016, section 4. Departure: all samples at once,
    not the mean over ten parts.

    Args:
      probabilities: of the classes of each sample, [N, K].
    """
    p = np.clip(np.asarray(probabilities, np.float64), 1e-12, None)
    kl = (p * (np.log(p) - np.log(p.mean(axis=0)))).sum(axis=1)
    return float(np.exp(kl.mean()))


def nearest(queries: np.ndarray, points: np.ndarray) -> tuple:
    """Index of the point nearest to each query, and its distance: [N], [N]."""
    return pairwise_distances_argmin_min(_flat(queries), _flat(points))


def mean_pair(points: np.ndarray) -> float:
    """The mean distance between two different points of [N, F]."""
    total = sum(d.sum(dtype=np.float64) for d in _distances(points, points))
    return float(total / (len(points) * (len(points) - 1)))


def radii(points: np.ndarray, neighbours: int) -> np.ndarray:
    """The distance of each point to its k-th neighbour: [N]."""
    points = _flat(points)
    search = NearestNeighbors(n_neighbors=neighbours, algorithm='brute')
    distances, _ = search.fit(points).kneighbors()
    return distances[:, -1]


def _distances(a, b) -> Iterator[np.ndarray]:
    """Distances of `a` to `b`, some rows of `a` at a time: [rows, len(b)]."""
    return pairwise_distances_chunked(_flat(a), _flat(b))


def _mean_kernel(a, b, same):
    """The mean kernel over all pairs of a point of `a` and a point of `b`.

    If `same`, `a` is `b`, and pairs of a point with itself are left out.
    """
    total = 0.0
    for first in range(0, len(a), _CHUNK):
        rows = a[first : first + _CHUNK]
        total += ((rows @ b.T / a.shape[1] + 1.0) ** 3).sum()
    if not same:
        return total / (len(a) * len(b))
    total -= ((np.square(a).sum(axis=1) / a.shape[1] + 1.0) ** 3).sum()
    return total / (len(a) * (len(a) - 1))


def _root(matrix):
    """The root of a symmetric, positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _float64(*arrays):
    """The arrays as float64 [N, F]."""
    return (_flat(a).astype(np.float64) for a in arrays)


def _flat(array):
    """[N, ...] -> [N, F]."""
    return np.asarray(array).reshape(len(array), -1)
