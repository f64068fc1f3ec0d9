"""Errors of decoding halfway between two codes, where the truth is known."""

import numpy as np
import tensorflow as tf

from tfgen import probability
from tfgen.data import Data
from tfgen.data.truth import Rendered
from tfgen.evaluation.base import Metric, Results, Settings, mean
from tfgen.models.contracts.capabilities import Encoding
from tfgen.models.contracts.model import Model

_PAIRS = 2000


class Midpoints(Metric):
    """The squared error of the example decoded halfway between two codes.

    It applies to data sets whose examples are rendered from one number, such as
    the phase of a moon. Two random numbers are rendered, and the two examples
    are encoded. `midpoint_error` compares the example decoded from the mean of
    the two codes with the true example of the mean of the two numbers.
    `end_error` is the error of decoding the two codes themselves, for
    comparison. Errors are summed over the example.
    """

    name = 'midpoints'

    def applies(self, model: Model, examples: Data) -> bool:
        rendered = isinstance(examples.truth, Rendered)
        return (
            rendered and isinstance(model, Encoding) and not model.num_classes
        )

    def compute(
        self, model: Encoding, examples: Data, settings: Settings
    ) -> Results:
        random, render = np.random.default_rng(settings.seed), examples.truth
        numbers = render.largest * random.random([2, _PAIRS])
        codes = [model.code(tf.constant(render(n))) for n in numbers]

        def error(z, number):
            """Squared errors of decoded z [B, K] for true numbers [B]: [B]."""
            made = model.to_example(model.decode(z))
            off = made - render(number)
            return probability.sum_event(tf.square(off)).numpy()

        middle = error((codes[0] + codes[1]) / 2.0, numbers.mean(0))
        ends = [error(z, n) for z, n in zip(codes, numbers, strict=True)]
        return {
            'midpoint_error': mean(middle),
            'end_error': mean(np.concatenate(ends)),
        }


METRICS = (Midpoints(),)
