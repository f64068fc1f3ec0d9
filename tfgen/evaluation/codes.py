"""What the codes of a model say."""

import numpy as np
import tensorflow as tf

from tfgen.data import Data, Spec
from tfgen.evaluation.base import Figure, Figures, Measure, Settings, batches
from tfgen.models.base import Model
from tfgen.models.latent import Inference

_ACTIVE = 0.01


class ActiveUnits(Measure):
    """How many numbers of z differ from example to example.

    Those whose mean of q(z|x) has a variance above 0.01 over the set; the
    others have collapsed onto the prior (Burda et al. 2016, section 5.2).
    """

    name = 'active_units'

    def applies(self, model: Model, spec: Spec) -> bool:
        return isinstance(model, Inference)

    def figures(
        self, model: Inference, examples: Data, settings: Settings
    ) -> Figures:
        code = tf.function(model.code, reduce_retracing=True)
        key = examples.spec.key
        codes = np.concatenate(
            [
                code(batch[key], batch.get('label')).numpy()
                for batch in batches(examples, settings)
            ]
        )
        active = int((codes.var(axis=0) > _ACTIVE).sum())
        return {'active_units': Figure(active, details={'of': codes.shape[1]})}


MEASURES = (ActiveUnits(),)
