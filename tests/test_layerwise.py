"""Layer-wise pretraining against contrastive divergence."""

import types

import numpy as np
import pytest
import tensorflow as tf
import tiny

from tfgen.data import ImageSpec
from tfgen.errors import UserError
from tfgen.models.autoencoder import AutoEncoder
from tfgen.noise import BatchNoise
from tfgen.training.run import make_updates, train

SPEC = ImageSpec(height=2, width=3)
RUN = types.SimpleNamespace(
    learning_rate=0.01,
    beta_1=0.9,
    schedule='constant',
    steps=100,
    optimizer='adam',
)
SETTINGS = {'activation': 'sigmoid', 'layerwise_steps': 5}
IMAGES = tf.constant(np.random.default_rng(1).random([7, 2, 3, 1]), tf.float32)


def _model():
    model = AutoEncoder(SPEC, units=(5, 4), latent_size=3, **SETTINGS)
    random = np.random.default_rng(0)
    for v in model.trainable_variables:
        v.assign(random.normal(size=v.shape))
    model.initialize_from({'image': IMAGES}, None)
    return model


def _noise(update):
    return BatchNoise(tf.constant([3, 4]), 7, prefix=f'{update.name}/')


def _mean(values):
    return tf.reduce_mean(values, axis=0)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize('number', range(3))
def test_the_slope_is_that_of_contrastive_divergence(number):
    model = _model()
    update = model.updates()[number]
    update.build(RUN)
    update.optimizer.iterations.assign(5 * number)
    noise = _noise(update)
    _, slopes = update.compute({'image': IMAGES}, noise, _mean)
    dense = [v.numpy().astype(float) for v in model.encoder.weights]
    down = [v.numpy().astype(float) for v in model.decoder.weights]
    v = IMAGES.numpy().astype(float).reshape(7, -1)
    for kernel, bias in zip(
        dense[: 2 * number : 2], dense[1 : 2 * number : 2], strict=True
    ):
        v = _sigmoid(v @ kernel + bias)
    kernel, hidden_bias = dense[2 * number : 2 * number + 2]
    visible_bias = down[2 * (2 - number) + 1]
    last = number == 2
    unit = (lambda x: x) if last else _sigmoid
    h = unit(v @ kernel + hidden_bias)
    state = (
        h + noise.normal('hidden', [3])
        if last
        else noise.uniform('hidden', [h.shape[1]]) < h
    )
    v1 = _sigmoid(np.asarray(state, float) @ kernel.T + visible_bias)
    h1 = unit(v1 @ kernel + hidden_bias)
    cross = (v1.T @ h1 - v.T @ h) / 7
    for found, expected in zip(
        slopes,
        (cross, (h1 - h).mean(0), cross.T, (v1 - v).mean(0)),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_each_moves_in_its_window_and_mirrors_stay_transposes():
    model = _model()
    updates = make_updates(model, types.SimpleNamespace(**vars(RUN), ema=0))
    own = [update.variables for update in updates]
    for step in range(17):
        before = [[v.numpy() for v in variables] for variables in own]
        for update in updates:
            _, slopes = update.compute({'image': IMAGES}, _noise(update), _mean)
            update.apply(slopes, tf.constant(step, tf.int64))
        moved = [
            any(
                np.any(v.numpy() != old)
                for v, old in zip(variables, olds, strict=True)
            )
            for variables, olds in zip(own, before, strict=True)
        ]
        turn = min(step // 5, 3)
        assert moved[turn]
        if turn < 3:
            assert sum(moved[:3]) == 1
            for up, _, down, _ in own[:3]:
                np.testing.assert_allclose(up, tf.transpose(down), atol=1e-5)
        else:
            assert all(moved)


def test_it_leads_the_descent_to_a_lower_error(tmp_path):
    """Tests the claim of the paper's figure, at a size that takes seconds."""
    errors = []
    for steps in (0, 400):
        config, examples = tiny.load(
            'layerwise_ae',
            None,
            'units=128,64,32',
            'latent_size=8',
            'batch_size=100',
            f'layerwise_steps={steps}',
            f'steps={400 + 4 * steps}',
            'checkpoint_every=3000',
            'log_every=400',
            'learning_rate=0.005',
        )
        model = train(config, examples, tmp_path / str(steps))
        (batch,) = examples.evaluation('test', 297)
        terms = model.loss_terms(batch, None)
        errors.append(float(tf.reduce_mean(terms['error'])))
    assert errors[1] < 0.75 * errors[0]


def test_a_run_must_outlast_its_start():
    with pytest.raises(UserError, match='steps=15 end before the update'):
        make_updates(
            _model(), types.SimpleNamespace(**vars(RUN) | {'steps': 15}, ema=0)
        )


@pytest.mark.parametrize(
    'changed',
    [
        {'activation': 'relu'},
        {'output': 'linear'},
        {'network': 'convolutional'},
    ],
)
def test_other_layers_are_refused(changed):
    with pytest.raises(UserError, match='layerwise_steps trains Boltzmann'):
        AutoEncoder(SPEC, units=(4,), **SETTINGS | changed)
