"""Bounds on the likelihood of hidden quadrants of an image, given the rest."""

import numpy as np
import tensorflow as tf

from tfgen import probability
from tfgen.data import Data
from tfgen.evaluation.base import Metric, Results, Settings, batches, mean
from tfgen.models.contracts.model import Model
from tfgen.models.inpainting_vae import InpaintingVAE
from tfgen.models.masks import quadrants
from tfgen.noise import BatchNoise


class Quadrants(Metric):
    """Bounds on -log p(hidden | visible), with 1, 2 and 3 quadrants given.

    They are in nats, summed over the hidden pixels. S draws of q
    (Settings.num_samples) estimate them by the importance sampling of Sohn et
    al. 2015. Grey targets, or the mean of bounds of one draw, would give other
    results.
    """

    name = 'quadrants'

    def applies(self, model: Model, examples: Data) -> bool:
        return isinstance(model, InpaintingVAE)

    def compute(
        self, model: InpaintingVAE, examples: Data, settings: Settings
    ) -> Results:
        @tf.function(autograph=False, reduce_retracing=True)
        def bound(image, known, seed):
            """Bounds for [B, H, W, C] with `known` visible quadrants: [B]."""
            spec, rows = examples.spec, tf.shape(image)[0]
            mask = quadrants(spec.height, spec.width, tf.fill([rows], known))
            weights = model.log_weights(
                image, mask, BatchNoise(seed, rows), settings.num_samples
            )
            return -probability.log_mean_exp(weights)

        found = {}
        for number, batch in enumerate(batches(examples, settings)):
            for known in (1, 2, 3):
                seed = tf.constant([settings.seed, 4 * number + known])
                values = bound(batch['image'], tf.constant(known), seed)
                found.setdefault(f'given_{known}', []).append(values.numpy())
        figures = {
            name: mean(np.concatenate(v), 'nats') for name, v in found.items()
        }
        for figure in figures.values():
            figure.details['num_samples'] = settings.num_samples
        return figures


METRICS = (Quadrants(),)
