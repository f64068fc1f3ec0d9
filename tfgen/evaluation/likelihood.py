"""Figures over a split: exact likelihoods, bounds, and a GAN's diagnostics.

Each function returns {figure: {'mean': ..., 'standard_error': ..., ...}},
where the standard error is that of the mean over examples, and None where
there is one example only.
"""

import math

import numpy as np
import tensorflow as tf

from tfgen.data import AudioSpec, DataSpec
from tfgen.models.base import GenerativeModel
from tfgen.noise import BatchNoise

Figures = dict[str, dict[str, float | None]]
# Rows that a network sees at once when a batch is repeated for many samples.
_ROWS = 2500


def exact(
    model: GenerativeModel,
    batches: tf.data.Dataset,
    spec: DataSpec | AudioSpec,
) -> Figures:
    """-log p(x) of a model with `log_prob`, in nats and per value."""
    log_prob = tf.function(model.log_prob, reduce_retracing=True)
    nats = [-log_prob(b[model.kind], b.get('label')).numpy() for b in batches]
    return {'negative_log_likelihood': _nats(np.concatenate(nats), spec)}


def bounds(
    model: GenerativeModel,
    batches: tf.data.Dataset,
    spec: DataSpec,
    num_samples: int,
    seed: int = 0,
) -> Figures:
    """Upper bounds on -log p(x) of a model with `log_weights`.

    `negative_elbo` averages S single draws; `importance_bound` is -log of
    their mean weight (Burda et al. 2016, equation 8), which falls towards
    -log p(x) as S grows. For a Gaussian likelihood both are densities per
    unit of the [0, 1] scale; bits/dim then counts the width of a grey level.
    """

    @tf.function(reduce_retracing=True)
    def draw(batch, key, count):
        noise = BatchNoise(key, tf.shape(batch['image'])[0])
        weights = model.log_weights(
            batch['image'], batch.get('label'), noise, count
        )
        return tf.reduce_sum(weights, 0), tf.reduce_logsumexp(weights, 0)

    elbos, importance = [], []
    for number, batch in enumerate(batches):
        chunk = max(1, min(num_samples, _ROWS // batch['image'].shape[0]))
        sums, logs = [], []
        for first in range(0, num_samples, chunk):
            key = tf.constant([seed, number * num_samples + first], tf.int64)
            one, two = draw(batch, key, min(chunk, num_samples - first))
            sums.append(one.numpy())
            logs.append(two.numpy())
        elbos.append(-np.sum(sums, axis=0) / num_samples)
        importance.append(
            math.log(num_samples) - np.logaddexp.reduce(logs, axis=0)
        )
    discretize = getattr(model, 'likelihood', '') == 'gaussian'
    figures = {
        'negative_elbo': _nats(np.concatenate(elbos), spec, discretize),
        'importance_bound': _nats(np.concatenate(importance), spec, discretize),
    }
    for figure in figures.values():
        figure['num_samples'] = num_samples
    return figures


def diagnostics(
    model: GenerativeModel, batches: tf.data.Dataset, seed: int = 0
) -> Figures:
    """Means of `model.diagnostics`: of a GAN, D(x), D(G(z)) and JS."""

    @tf.function(reduce_retracing=True)
    def terms(batch, key):
        noise = BatchNoise(key, tf.shape(batch['image'])[0])
        return model.diagnostics(batch, noise)

    collected = {}
    for number, batch in enumerate(batches):
        key = tf.constant([seed, number], tf.int64)
        for name, values in terms(batch, key).items():
            collected.setdefault(name, []).append(values.numpy())
    return {
        name: _mean(np.concatenate(values))
        for name, values in collected.items()
    }


def _mean(values):
    values = np.asarray(values, np.float64)
    error = None
    if len(values) > 1:
        error = values.std(ddof=1) / math.sqrt(len(values))
    return {'mean': values.mean(), 'standard_error': error}


def _nats(values, spec, discretize=False):
    figure = {'unit': 'nats', **_mean(values)}
    mean = figure['mean']
    if discretize:
        # P(level) is about density times the width of a level.
        mean += spec.dimensions * math.log(spec.levels - 1)
    return figure | spec.rates(mean)
