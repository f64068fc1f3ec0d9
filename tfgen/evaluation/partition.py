"""The likelihood of a Boltzmann machine, from its partition function."""

import numpy as np
import tensorflow as tf

from tfgen.data import Data
from tfgen.evaluation.base import (
    Metric,
    Result,
    Results,
    Settings,
    batches,
    nats,
)
from tfgen.models.contracts.model import Model
from tfgen.models.rbm import MOST_EXACT, RBM


class Partition(Metric):
    """log Z of an RBM by annealing, and -log p(x) from it.

    `annealed_negative_log_likelihood` is an estimate, not a bound: it is too
    small if annealing misses a mode. `negative_log_likelihood` is exact; it is
    given only if the hidden states can be enumerated.
    """

    name = 'partition'

    def applies(self, model: Model, examples: Data) -> bool:
        return isinstance(model, RBM)

    def compute(
        self, model: RBM, examples: Data, settings: Settings
    ) -> Results:
        energies = np.concatenate(
            [
                model.free_energy(
                    tf.reshape(batch['image'], [-1, examples.spec.dimensions])
                ).numpy()
                for batch in batches(examples, settings)
            ]
        ).astype(np.float64)
        log_z, error = model.annealed_log_partition(seed=settings.seed)
        figures = {
            'log_partition': Result(log_z, error, 'nats'),
            'annealed_negative_log_likelihood': nats(
                energies + log_z, examples.spec
            ),
        }
        if model.latent_size <= MOST_EXACT:
            exact = nats(energies + model.exact_log_partition(), examples.spec)
            figures['negative_log_likelihood'] = exact
        return figures


METRICS = (Partition(),)
