"""The share of generated lines that are valid."""

import numpy as np
import tensorflow as tf

from tfgen.data import Data, Spec
from tfgen.data.embedded import numerals
from tfgen.evaluation.base import Metric, Results, Settings, mean
from tfgen.models.contracts.capabilities import GenerativeModel
from tfgen.models.contracts.model import Model
from tfgen.noise import BatchNoise

_SAMPLES = 2000


class WellFormed(Metric):
    """The share of samples that name a number, for the data 'numerals'."""

    name = 'well_formed'

    def applies(self, model: Model, spec: Spec) -> bool:
        return isinstance(model, GenerativeModel) and spec.name == 'numerals'

    def compute(
        self, model: GenerativeModel, examples: Data, settings: Settings
    ) -> Results:
        count = settings.num_generated or _SAMPLES
        label = (
            tf.range(count) % model.num_classes if model.num_classes else None
        )
        noise = BatchNoise(tf.constant([settings.seed, 0]), count)
        lines = examples.spec.encode(model.sample(noise, label)).numpy()
        known = numerals.meanings()
        return {
            'well_formed': mean(
                np.array([line.decode() in known for line in lines], float)
            )
        }


METRICS = (WellFormed(),)
