"""The RBM against sums over all of its states."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tiny

from tfgen import evaluation
from tfgen.data import ImageSpec
from tfgen.errors import UserError
from tfgen.evaluation.base import Settings
from tfgen.models.rbm import RBM
from tfgen.noise import BatchNoise, RowNoise
from tfgen.training.run import make_updates, train

SPEC = ImageSpec(height=2, width=3, levels=2)
VISIBLE = np.array(list(itertools.product([0, 1], repeat=6)), np.float32)
IMAGES = VISIBLE.reshape(-1, 2, 3, 1)


def _model(scale=1.0, hidden=4, **settings):
    model = RBM(SPEC, hidden, **settings)
    random = np.random.default_rng(0)
    for v in (*model.trainable_variables, model.marginal):
        v.assign(scale * random.normal(size=v.shape))
    return model


def _joint(model):
    """Returns log of the unnormalised p(v, h), by definition, [64, 2^K]."""
    hidden = np.array(
        list(itertools.product([0, 1], repeat=model.latent_size)), np.float64
    )
    kernel, b, c = (
        v.numpy().astype(np.float64)
        for v in (model.kernel, model.visible_bias, model.hidden_bias)
    )
    cross = np.einsum('vd,dk,hk->vh', VISIBLE, kernel, hidden)
    return cross + (VISIBLE @ b)[:, None] + hidden @ c


def _log_p(model):
    joint = _joint(model)
    return np.logaddexp.reduce(joint, 1) - np.logaddexp.reduce(joint, None)


def test_free_energy_and_partition_are_sums_over_all_states():
    model = _model()
    joint = _joint(model)
    energy = model.free_energy(tf.constant(VISIBLE))
    np.testing.assert_allclose(
        energy, -np.logaddexp.reduce(joint, 1), rtol=1e-5
    )
    exact = model.exact_log_partition()
    np.testing.assert_allclose(exact, np.logaddexp.reduce(joint, None))
    with pytest.raises(ValueError, match='17 hidden units'):
        RBM(SPEC, 17).exact_log_partition()


def test_annealing_finds_the_partition_function():
    model = _model(scale=2.0)
    exact = model.exact_log_partition()
    found, error = model.annealed_log_partition(200, 2000)
    assert abs(found - exact) < max(4 * error, 0.02) and error < 0.05
    # Many chains with few temperatures are unbiased, too.
    found, error = model.annealed_log_partition(50_000, 3)
    assert abs(found - exact) < 4 * error


def test_gibbs_sampling_leaves_the_model_as_it_is():
    model = _model(scale=0.7, sampling_steps=200)
    p = np.exp(_log_p(model))
    drawn = model.sample(BatchNoise(tf.constant([0, 1]), 20_000)).numpy()
    code = (drawn.reshape(-1, 6) @ 2 ** np.arange(5, -1, -1)).astype(int)
    shares = np.bincount(code, minlength=64) / len(code)
    error = np.sqrt(p * (1 - p) / len(code))
    assert np.all(np.abs(shares - p) < 5 * error + 1e-4)
    # A row depends on its own seed alone.
    one = model.sample(RowNoise(tf.constant([7]))).numpy()
    three = model.sample(RowNoise(tf.constant([3, 7, 9]))).numpy()
    np.testing.assert_array_equal(one[0], three[1])


def test_the_slope_is_that_of_the_likelihood_once_the_chain_has_mixed():
    # The mean of dF/dw over data minus that over the model, computed exactly.
    model = _model(scale=0.5)
    data = VISIBLE[:10]
    with tf.GradientTape() as tape:
        energy = model.free_energy(tf.constant(VISIBLE))
        log_p = -energy - tf.reduce_logsumexp(-energy)
        loss = -tf.reduce_mean(log_p[:10])
    exact = tape.gradient(loss, model.trainable_variables)
    rows = 25_000
    chain = model.sample(BatchNoise(tf.constant([0, 2]), rows))
    batch = {'image': tf.constant(data.reshape(-1, 2, 3, 1))}
    with tf.GradientTape() as tape:
        terms = model.loss_terms(batch, None, tf.reshape(chain, [rows, 6]))
        loss = tf.reduce_mean(terms['data']) + tf.reduce_mean(terms['chain'])
    found = tape.gradient(loss, model.trainable_variables)
    for a, b in zip(exact, found, strict=True):
        np.testing.assert_allclose(a, b, atol=0.01)


@pytest.mark.parametrize(
    'persistent', (True, pytest.param(False, marks=pytest.mark.wide))
)
def test_training_raises_the_exact_likelihood(persistent, tmp_path, data_dir):
    config, examples = tiny.load(
        'rbm',
        data_dir,
        f'persistent={str(persistent).lower()}',
        'hidden_size=10',
        'gibbs_steps=1',
        'steps=1500',
        'batch_size=50',
        'learning_rate=0.01',
        'log_every=500',
        'checkpoint_every=1500',
    )
    settings = Settings(limit=200)

    def nats(model):
        figures = evaluation.evaluate(model, examples, settings, ['partition'])
        return figures['negative_log_likelihood'].value

    model = config.build()
    (batch,) = examples.train(0, 1500).take(1)
    model.initialize_from(batch, None)
    independent = nats(model)
    trained = nats(train(config, examples, tmp_path))
    # The untrained model has independent pixels.
    assert trained < independent - 2.0


def test_chains_go_on_and_are_of_the_checkpoint():
    model = _model()
    preset = tiny.preset('rbm')
    (update,) = make_updates(model, preset)[:1]
    noise = BatchNoise(tf.constant([0, 0]), 16)
    batch = {'image': tf.constant(IMAGES[:16])}
    first = update.saved()['chains'].numpy()
    _, moves = update.compute(batch, noise, lambda v: tf.reduce_mean(v, 0))
    update.apply(moves, tf.constant(0, tf.int64))
    chains = update.saved()['chains'].numpy()
    assert set(np.unique(chains)) == {0.0, 1.0} and (chains != first).any()
    # The rows of two replicas join to the whole batch.
    halves = [BatchNoise(tf.constant([0, 0]), 16, start, 8) for start in (0, 8)]
    whole = sum(n.placed(n.own(chains)).numpy() for n in halves)
    np.testing.assert_array_equal(whole, chains)


def test_images_of_many_levels_are_refused():
    with pytest.raises(UserError, match="binarization='dynamic'"):
        RBM(ImageSpec(height=2, width=2))
