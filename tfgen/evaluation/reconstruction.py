"""How near a model's reconstructions are."""

import numpy as np
import tensorflow as tf

from tfgen import probability
from tfgen.data import Data, Spec
from tfgen.evaluation.base import Figures, Measure, Settings, batches, mean
from tfgen.models.base import Model
from tfgen.models.latent import Coding


class Reconstruction(Measure):
    """The squared error of a reconstruction, summed over an example.

    Of what is decoded, not clipped to the data's range.
    """

    name = 'reconstruction'

    def applies(self, model: Model, spec: Spec) -> bool:
        return isinstance(model, Coding)

    def figures(
        self, model: Coding, examples: Data, settings: Settings
    ) -> Figures:
        key, found = examples.spec.key, []

        @tf.function(reduce_retracing=True)
        def errors(example, label):
            decoded = model.decode(model.code(example, label), label)
            off = model.values(decoded) - example
            return probability.sum_event(tf.square(off))

        for batch in batches(examples, settings):
            found.append(errors(batch[key], batch.get('label')).numpy())
        return {'squared_error': mean(np.concatenate(found))}


MEASURES = (Reconstruction(),)
