"""Errors of decoding halfway between two codes, where the truth is known."""

import math

import numpy as np
import tensorflow as tf

from tfgen import probability
from tfgen.data import Data, Spec
from tfgen.data.embedded import moons
from tfgen.evaluation.base import Metric, Results, Settings, mean
from tfgen.models.contracts.capabilities import Encoding
from tfgen.models.contracts.model import Model

_PAIRS = 2000


class Midpoints(Metric):
    """The squared error of the moon decoded halfway between two codes.

    The codes are those of moons of two random phases, for the data set
    'moon_phases'. `midpoint_error` compares the decoded moon with the true one
    halfway between the phases. `end_error` is the error of decoding the two
    codes themselves, for comparison. Errors are summed over the image.
    """

    name = 'midpoints'

    def applies(self, model: Model, spec: Spec) -> bool:
        own = spec.name == 'moon_phases' and spec.shape == (16, 16, 1)
        return own and isinstance(model, Encoding) and not model.num_classes

    def compute(
        self, model: Encoding, examples: Data, settings: Settings
    ) -> Results:
        random = np.random.default_rng(settings.seed)
        phases = math.pi * random.random([2, _PAIRS])
        codes = [model.code(tf.constant(moons.moon(p))) for p in phases]

        def error(z, phase):
            """The squared error of z [B, K] decoded, phases [B] given: [B]."""
            made = model.to_example(model.decode(z))
            off = made - moons.moon(phase)
            return probability.sum_event(tf.square(off)).numpy()

        middle = error((codes[0] + codes[1]) / 2.0, phases.mean(0))
        ends = [error(z, p) for z, p in zip(codes, phases, strict=True)]
        return {
            'midpoint_error': mean(middle),
            'end_error': mean(np.concatenate(ends)),
        }


METRICS = (Midpoints(),)
