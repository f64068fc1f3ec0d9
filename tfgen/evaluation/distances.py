"""How far a set of samples is from a set of data: pure functions of features.

All take features as float arrays [N, F], named `real=` and `generated=`, for
half of them are not symmetric, and compute in float64, but for the distances
between neighbours, which are float32.
"""

from collections.abc import Iterator

import numpy as np

_CHUNK = 1024  # rows whose distances to all others are in memory


def frechet(*, real: np.ndarray, generated: np.ndarray) -> float:
    """The squared Frechet distance between the normals of both moments.

    |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)), covariances by N - 1. It falls
    with the number of samples, so that only figures of equal N compare.
    Source: Heusel et al. 2017 (FID), equation 6.
    """
    real, generated = _float64(real, generated)
    off = real.mean(axis=0) - generated.mean(axis=0)
    ours, theirs = (
        np.atleast_2d(np.cov(x, rowvar=False)) for x in (real, generated)
    )
    root = _root(ours)
    # (C C')^(1/2) has the trace of the root of C^(1/2) C' C^(1/2), which is
    # symmetric, and whose values therefore cannot turn out complex.
    values = np.linalg.eigvalsh(root @ theirs @ root)
    cross = np.sqrt(np.maximum(values, 0.0)).sum()
    return float(off @ off + np.trace(ours) + np.trace(theirs) - 2.0 * cross)


def kernel_distance(*, real: np.ndarray, generated: np.ndarray) -> float:
    """The squared maximum mean discrepancy, unbiased: it may fall below 0.

    Of the kernel (x . y / F + 1)^3. Its mean does not depend on the number of
    samples. Source: Binkowski et al. 2018 (KID), equation 3 and section 4.
    """
    real, generated = _float64(real, generated)
    within = (_mean_kernel(x, x, True) for x in (real, generated))
    return float(sum(within) - 2.0 * _mean_kernel(real, generated, False))


def precision_and_recall(
    *, real: np.ndarray, generated: np.ndarray, neighbours: int = 3
) -> tuple[float, float]:
    """Shares of samples among the data, and of data among the samples.

    A point is among a set if it lies within the ball of one of its points,
    which reaches to that point's k-th neighbour in the set.
    Source: Kynkaanniemi et al. 2019 (improved precision and recall), section 2.
    """
    of_real = radii(real, neighbours)
    of_generated = radii(generated, neighbours)
    in_real = np.zeros(len(generated), bool)
    in_generated = np.zeros(len(real), bool)
    for rows, distances in _distances(generated, real):
        in_real[rows] = (distances <= of_real).any(axis=1)
        in_generated |= (distances <= of_generated[rows, None]).any(axis=0)
    return float(in_real.mean()), float(in_generated.mean())


def density_and_coverage(
    *, real: np.ndarray, generated: np.ndarray, neighbours: int = 5
) -> tuple[float, float]:
    """How densely samples lie among the data, and the share of data covered.

    Density counts in how many balls of data a sample lies, over k: 1 for the
    data's own distribution, and more where samples crowd. Coverage is the
    share of balls that hold a sample.
    Source: Naeem et al. 2020, equations 3 and 4.
    """
    of_real = radii(real, neighbours)
    count, covered = 0, np.zeros(len(real), bool)
    for _, distances in _distances(generated, real):
        inside = distances <= of_real
        count += int(inside.sum())
        covered |= inside.any(axis=0)
    return count / (neighbours * len(generated)), float(covered.mean())


def inception_score(probabilities: np.ndarray) -> float:
    """exp E KL(p(y|x) || p(y)): 1 to the number of classes.

    Source: Salimans et al. 2016, section 4. Departure: not the mean over ten
    parts of the samples.

    Args:
      probabilities: of the classes of each sample, [N, K].
    """
    p = np.clip(np.asarray(probabilities, np.float64), 1e-12, None)
    kl = (p * (np.log(p) - np.log(p.mean(axis=0)))).sum(axis=1)
    return float(np.exp(kl.mean()))


def nearest(queries: np.ndarray, points: np.ndarray) -> tuple:
    """Which of `points` is nearest to each query, and how far: [N], [N]."""
    found = [
        (distances.argmin(axis=1), distances.min(axis=1))
        for _, distances in _distances(queries, points)
    ]
    which, squares = (
        np.concatenate(parts) for parts in zip(*found, strict=True)
    )
    return which, np.sqrt(squares)


def mean_pair(points: np.ndarray) -> float:
    """The mean distance between two of the points."""
    total = sum(np.sqrt(d).sum() for _, d in _distances(points, points))
    return float(total / (len(points) * (len(points) - 1)))


def radii(points: np.ndarray, neighbours: int) -> np.ndarray:
    """The squared distance of each point to its k-th neighbour: [N]."""
    return np.concatenate(
        [
            # (The nearest of all is the point itself.)
            np.partition(distances, neighbours, axis=1)[:, neighbours]
            for _, distances in _distances(points, points)
        ]
    )


def _distances(a, b) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances, some rows at a time: slice, [rows, len(b)]."""
    a, b = (np.asarray(x, np.float32).reshape(len(x), -1) for x in (a, b))
    # About a common middle: the squares of what is far off lose digits.
    middle = b.mean(axis=0)
    a, b = a - middle, b - middle
    squares = np.square(b).sum(axis=1)
    for first in range(0, len(a), _CHUNK):
        rows = slice(first, first + _CHUNK)
        own = np.square(a[rows]).sum(axis=1, keepdims=True)
        distances = np.maximum(own + squares - 2.0 * (a[rows] @ b.T), 0.0)
        yield rows, distances


def _mean_kernel(a, b, same):
    """The mean of the kernel over pairs; of one set, of different points."""
    total = 0.0
    for first in range(0, len(a), _CHUNK):
        rows = a[first : first + _CHUNK]
        total += ((rows @ b.T / a.shape[1] + 1.0) ** 3).sum()
    if not same:
        return total / (len(a) * len(b))
    total -= ((np.square(a).sum(axis=1) / a.shape[1] + 1.0) ** 3).sum()
    return total / (len(a) * (len(a) - 1))


def _root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def _float64(*arrays):
    return (np.asarray(a, np.float64).reshape(len(a), -1) for a in arrays)
