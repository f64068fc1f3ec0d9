"""The state of a GAN's training: scores of data and of samples."""

import numpy as np
import tensorflow as tf

from tfgen.data import Data
from tfgen.evaluation.base import Metric, Results, Settings, batches, mean
from tfgen.models.contracts.model import Model
from tfgen.models.gan import GAN
from tfgen.noise import BatchNoise


class Game(Metric):
    """Means of D(x), D(G(z)) and the Jensen-Shannon estimate.

    A loss without logits gives other diagnostics; see GAN.diagnostics.
    """

    name = 'game'

    def applies(self, model: Model, examples: Data) -> bool:
        return isinstance(model, GAN)

    def compute(
        self, model: GAN, examples: Data, settings: Settings
    ) -> Results:
        @tf.function(autograph=False, reduce_retracing=True)
        def terms(batch, key):
            rows = tf.shape(batch[examples.spec.key])[0]
            noise = BatchNoise(key, rows)
            return model.diagnostics(batch, noise)

        found = {}
        for number, batch in enumerate(batches(examples, settings)):
            key = tf.constant([settings.seed, number], tf.int64)
            for name, values in terms(batch, key).items():
                found.setdefault(name, []).append(values.numpy())
        return {k: mean(np.concatenate(v)) for k, v in found.items()}


METRICS = (Game(),)
