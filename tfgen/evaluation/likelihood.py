"""Exact likelihoods, and bounds where there is no closed form."""

import numpy as np
import tensorflow as tf

from tfgen import probability
from tfgen.data import Data
from tfgen.evaluation.base import (
    Metric,
    Results,
    Settings,
    batches,
    nats,
)
from tfgen.models.contracts.likelihood import LikelihoodModel
from tfgen.models.contracts.model import Model
from tfgen.models.contracts.variational import VariationalAutoEncoder
from tfgen.noise import BatchNoise

# About this many rows (examples times draws) go into one call of the network,
# fewer if the decoder gives more numbers in all.
_ROWS, _NUMBERS = 2500, 20_000_000


class LogLikelihood(Metric):
    """The exact -log p(x), in nats and in the rates of the spec."""

    name = 'log_likelihood'

    def applies(self, model: Model, examples: Data) -> bool:
        return isinstance(model, LikelihoodModel)

    def compute(
        self, model: LikelihoodModel, examples: Data, settings: Settings
    ) -> Results:
        key = examples.spec.key
        log_prob = tf.function(
            model.log_prob, autograph=False, reduce_retracing=True
        )
        found = [
            -log_prob(batch[key], batch.get('label')).numpy()
            for batch in batches(examples, settings)
        ]
        figure = nats(np.concatenate(found), examples.spec, model.is_density)
        return {'negative_log_likelihood': figure}


class Bounds(Metric):
    """Upper bounds on -log p(x) from S draws of q(z|x).

    `negative_elbo` is the mean over the S draws of the bound from one draw.
    `importance_bound` is -log of the mean weight of the draws (Burda et al.
    2016, equation 8); it falls towards -log p(x) as S grows. For a Gaussian
    likelihood both are densities per unit of the [0, 1] scale, and bits/dim
    includes the width of a grey level.
    """

    name = 'bounds'

    def applies(self, model: Model, examples: Data) -> bool:
        return isinstance(model, VariationalAutoEncoder)

    def compute(
        self, model: VariationalAutoEncoder, examples: Data, settings: Settings
    ) -> Results:
        key, found = examples.spec.key, {}
        rows = min(_ROWS, _NUMBERS // model.output_size)

        @tf.function(autograph=False, reduce_retracing=True)
        def draw(example, label, seed, count):
            noise = BatchNoise(seed, tf.shape(example)[0])
            return model.log_weights(example, label, noise, count)

        for number, batch in enumerate(batches(examples, settings)):
            weights = _log_weights(draw, batch, key, number, settings, rows)
            for name, bound in (
                ('negative_elbo', tf.reduce_mean(weights, axis=0)),
                ('importance_bound', probability.log_mean_exp(weights)),
            ):
                found.setdefault(name, []).append(-bound.numpy())
        figures = {
            name: nats(np.concatenate(v), examples.spec, model.is_density)
            for name, v in found.items()
        }
        for figure in figures.values():
            figure.details['num_samples'] = settings.num_samples
        return figures


def _log_weights(draw, batch, key, number, settings, most):
    """Log weights of S draws for a batch, some draws at a time: [S, B].

    `most` rows go into one call.
    """
    example, label = batch[key], batch.get('label')
    rows, count = example.shape[0], settings.num_samples
    chunk = max(1, min(count, most // rows))
    parts = []
    for first in range(0, count, chunk):
        seed = tf.constant([settings.seed, number * count + first], tf.int64)
        parts.append(draw(example, label, seed, min(chunk, count - first)))
    return tf.cast(tf.concat(parts, axis=0), tf.float64)


METRICS = (LogLikelihood(), Bounds())
