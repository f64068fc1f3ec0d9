"""Stand-in models that call an export's signatures, for use by metrics."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tfgen.data import Data, Spec
from tfgen.errors import UserError
from tfgen.evaluation.base import (
    Metric,
    Results,
    Settings,
    batches,
    nats,
)
from tfgen.models.contracts.likelihood import LikelihoodModel
from tfgen.models.contracts.model import Model

_ROWS = 2500  # rows per call of a signature, about

Functions = Mapping[str, Callable]


def stand_in(functions: Functions, live: Model) -> Model:
    """A model whose methods call an export's functions.

    Args:
      functions: signature -> function, from export.load.
      live: the export's model with any weights. It gives the spec, the number
        of parameters, and whether likelihoods are densities.

    Raises:
      UserError: the export serves no function that can be measured.
    """
    stand_ins = (
        (_Exact, {'sample', 'log_prob'}),
        (_Bounding, {'sample', 'elbo'}),
        (_DrawingAndClassifying, {'sample', 'classify'}),
        (_Drawing, {'sample'}),
        (_Classifying, {'classify'}),
    )
    able = [kind for kind, needed in stand_ins if needed <= functions.keys()]
    if not able:
        raise UserError(
            'this export serves none of sample, log_prob, elbo and classify: '
            'evaluate its run, with --workdir'
        )
    model = able[0](live.spec, conditional=bool(live.num_classes))
    # Keras must not track these attributes.
    object.__setattr__(model, 'served', functions)
    object.__setattr__(model, 'live', live)
    return model


class _Exported(Model):
    """The base class of stand-ins."""

    spec_types = ()

    @classmethod
    def check(cls, spec: Spec, **settings) -> None:
        """Checks nothing: the exported model was checked when it was built."""

    def updates(self) -> tuple:
        return ()

    def ask(self, name: str, label: tf.Tensor | None, **inputs) -> dict:
        """The outputs of the signature `name`, by name."""
        if self.num_classes:
            inputs['label'] = label
        return self.served[name](**inputs)

    def num_parameters(self) -> int:
        return self.live.num_parameters()


class _Drawing(_Exported):
    """An export that serves `sample`."""

    def sample(self, noise, label=None):
        return self.ask('sample', label, seed=noise.seeds)[self.spec.key]


class _Exact(_Drawing, LikelihoodModel):
    """An export that also serves `log_prob`."""

    def log_prob(self, example, label=None):
        inputs = {self.spec.key: example}
        return self.ask('log_prob', label, **inputs)['log_prob']

    @property
    def is_density(self):
        return self.live.is_density

    def updates(self) -> tuple:
        return ()


class _Bounding(_Drawing):
    """An export that also serves `elbo`."""

    def elbo(self, example, label, seeds):
        inputs = {self.spec.key: example, 'seed': seeds}
        return self.ask('elbo', label, **inputs)['elbo']


class _Classifying(_Exported):
    """An export that serves `classify`."""

    def class_logits(self, example):
        inputs = {self.spec.key: example}
        return tf.math.log(self.served['classify'](**inputs)['probabilities'])


class _DrawingAndClassifying(_Classifying, _Drawing):
    """An export that serves `sample` and `classify`."""

    pass


class ServedBound(Metric):
    """-ELBO of an export, averaged over S draws of q(z|x).

    No signature gives the weights of the importance weighted bound.
    """

    name = 'served_bound'

    def applies(self, model: Model, examples: Data) -> bool:
        return isinstance(model, _Bounding)

    def compute(
        self, model: _Bounding, examples: Data, settings: Settings
    ) -> Results:
        key, found = examples.spec.key, []
        # This comes first, because it refuses an unknown split.
        stream = batches(examples, settings)
        # No seed is used twice: not within an evaluation, and not by two
        # evaluations with different settings.seed.
        size = examples.spec.split_sizes[settings.split]
        first = settings.seed * size * settings.num_samples
        for batch in stream:
            rows = len(batch[key])
            chunk = max(1, min(settings.num_samples, _ROWS // rows))
            draws = []
            for start in range(0, settings.num_samples, chunk):
                count = min(chunk, settings.num_samples - start)
                repeated = {
                    k: np.repeat(v, count, axis=0) for k, v in batch.items()
                }
                seeds = first + start * rows + np.arange(rows * count)
                bound = model.elbo(
                    tf.constant(repeated[key]),
                    tf.constant(repeated['label'])
                    if 'label' in repeated
                    else None,
                    tf.constant(seeds, tf.int64),
                )
                draws.append(bound.numpy().reshape(rows, count))
            first += rows * settings.num_samples
            found.append(-np.concatenate(draws, axis=1).mean(axis=1))
        figure = nats(
            np.concatenate(found), examples.spec, model.live.is_density
        )
        figure.details['num_samples'] = settings.num_samples
        return {'negative_elbo': figure}


METRICS = (ServedBound(),)
