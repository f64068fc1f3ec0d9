"""Reconstruction errors."""

import numpy as np
import tensorflow as tf

from tfgen import probability
from tfgen.data import Data, PaletteSpec
from tfgen.evaluation.base import Metric, Results, Settings, batches, mean
from tfgen.models.contracts.capabilities import Encoding, GenerativeModel
from tfgen.models.contracts.model import Model


class Reconstruction(Metric):
    """The squared error of a reconstruction, summed over an example.

    The reconstruction is not clipped to the data's range. For symbols and for
    colours of a palette, the error is the number of wrong ones.
    """

    name = 'reconstruction'

    def by_default(self, model: Model) -> bool:
        # Generative models are judged by their samples instead.
        return not isinstance(model, GenerativeModel)

    def applies(self, model: Model, examples: Data) -> bool:
        return isinstance(model, Encoding)

    def compute(
        self, model: Encoding, examples: Data, settings: Settings
    ) -> Results:
        spec, found = examples.spec, []
        palette = isinstance(spec, PaletteSpec)
        counted = palette or spec.dtype.is_integer

        @tf.function(autograph=False, reduce_retracing=True)
        def errors(example, label):
            """The error of each example: [B, *spec.shape] -> [B]."""
            decoded = model.decode(model.code(example, label), label)
            made = model.values(decoded)
            if palette:
                made = spec.to_levels(made, spec.levels)
                example = spec.to_levels(example, spec.levels)
            off = made - example
            if counted:
                off = tf.cast(off != 0, tf.float32)
            return probability.sum_event(tf.square(off))

        for batch in batches(examples, settings):
            found.append(errors(batch[spec.key], batch.get('label')).numpy())
        name = 'wrong_symbols' if counted else 'squared_error'
        if palette:
            name = 'wrong_pixels'
        return {name: mean(np.concatenate(found))}


METRICS = (Reconstruction(),)
