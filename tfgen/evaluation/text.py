"""Whether generated lines are valid, and how many differ."""

import numpy as np
import tensorflow as tf

from tfgen.data import Data
from tfgen.data.truth import ValidLines
from tfgen.evaluation.base import (
    Metric,
    Result,
    Results,
    Settings,
    mean,
)
from tfgen.models.contracts.capabilities import GenerativeModel
from tfgen.models.contracts.model import Model
from tfgen.noise import BatchNoise

_SAMPLES = 2000


class WellFormed(Metric):
    """The share of samples that are valid, where all valid lines are known.

    `distinct_lines` is the number of different ones among all samples: a model
    that writes one valid line again and again is no good either.
    """

    name = 'well_formed'

    def applies(self, model: Model, examples: Data) -> bool:
        known = isinstance(examples.truth, ValidLines)
        return known and isinstance(model, GenerativeModel)

    def compute(
        self, model: GenerativeModel, examples: Data, settings: Settings
    ) -> Results:
        count = settings.num_generated or _SAMPLES
        label = (
            tf.range(count) % model.num_classes if model.num_classes else None
        )
        noise = BatchNoise(tf.constant([settings.seed, 0]), count)
        lines = examples.spec.encode(model.sample(noise, label)).numpy()
        known = examples.truth.lines
        valid = np.array([line.decode() in known for line in lines], float)
        different = Result(len({*lines}), details={'of': count})
        return {'well_formed': mean(valid), 'distinct_lines': different}


METRICS = (WellFormed(),)
