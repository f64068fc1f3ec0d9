"""Noise: reproducible, independent of batch and replica, well distributed."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from tfgen.noise import BatchNoise, RowNoise

SEEDS = tf.range(500, dtype=tf.int64)


@pytest.fixture(params=['batch', 'row'])
def noise(request):
    if request.param == 'batch':
        return BatchNoise(tf.constant([3, 4]), 500)
    return RowNoise(SEEDS)


def test_uniform_and_normal_have_their_distributions(noise):
    uniform = noise.uniform('u', [5]).numpy().ravel()
    assert uniform.min() > 0 and uniform.max() < 1
    assert stats.kstest(uniform, 'uniform').pvalue > 1e-3
    normal = noise.normal('n', [5]).numpy().ravel()
    assert stats.kstest(normal, 'norm').pvalue > 1e-3


def test_same_name_same_numbers_other_name_others(noise):
    a = noise.normal('a', [3]).numpy()
    np.testing.assert_array_equal(a, noise.normal('a', [3]))
    for other in (noise.normal('b', [3]), noise.scope('s').normal('a', [3])):
        assert abs(np.corrcoef(a.ravel(), other.numpy().ravel())[0, 1]) < 0.05


def test_rows_are_independent(noise):
    rows = noise.normal('a', [1000]).numpy()[:50]
    correlation = np.corrcoef(rows) - np.eye(50)
    assert np.abs(correlation).max() < 0.2


def test_xla_gives_the_same_uniforms(noise):
    def draw():
        return noise.uniform('a', [3]), noise.normal('a', [3])

    eager = draw()
    jitted = tf.function(draw, jit_compile=True)()
    np.testing.assert_array_equal(eager[0], jitted[0])
    np.testing.assert_allclose(eager[1], jitted[1], rtol=0, atol=2e-6)


def test_row_seed_decides_the_row_alone():
    whole = RowNoise(SEEDS)
    for rows in ([17, 3, 17], [3]):
        some = RowNoise(tf.constant(rows))
        np.testing.assert_array_equal(
            some.uniform('u', [4]), whole.uniform('u', [4]).numpy()[rows]
        )
        # Vectorised log and cos round differently at the ends of arrays.
        np.testing.assert_allclose(
            some.normal('z', [4]),
            whole.normal('z', [4]).numpy()[rows],
            rtol=0,
            atol=1e-6,
        )


def test_replica_slices_are_rows_of_the_global_draw():
    seed = tf.constant([1, 2])
    whole = BatchNoise(seed, 12).normal('z', [4])
    parts = [
        BatchNoise(seed, 12, start=s, count=4).normal('z', [4])
        for s in (0, 4, 8)
    ]
    np.testing.assert_array_equal(whole, tf.concat(parts, 0))


def test_the_named_generator_draws_what_the_default_one_drew():
    # So results recorded on a CPU without `alg` stay valid.
    seeds = tf.constant([[0, 0], [7, 3], [2**31 - 1, 40_000]], tf.int64)
    for seed in seeds:
        for tag in (0, 5, 2**31 - 1):
            np.testing.assert_array_equal(
                *(
                    tf.random.experimental.stateless_fold_in(seed, tag, **alg)
                    for alg in ({}, {'alg': 'philox'})
                )
            )


def test_any_integer_is_a_seed():
    extreme = tf.constant([0, -1, 2**62, -(2**62)], tf.int64)
    rows = RowNoise(extreme).uniform('u', [8]).numpy()
    assert len(np.unique(rows[:, 0])) == 4
