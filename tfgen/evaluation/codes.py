"""Metrics of codes: the latent vectors to which a model encodes examples."""

import numpy as np
import tensorflow as tf

from tfgen.data import Data
from tfgen.evaluation.base import (
    Metric,
    Result,
    Results,
    Settings,
    batches,
    mean,
    too_few,
)
from tfgen.models.contracts.capabilities import Encoding, GenerativeModel
from tfgen.models.contracts.latent import LatentVariableModel
from tfgen.models.contracts.model import Model
from tfgen.models.contracts.variational import VariationalAutoEncoder
from tfgen.noise import BatchNoise

_ACTIVE = 0.01  # variance above which a unit is active
_MOST = 10_000  # the most examples of a split
_VOTERS = 5  # neighbours that vote for a class


class ActiveUnits(Metric):
    """The number of active units of z.

    A unit is active if its mean under q(z|x) has a variance above 0.01 over
    the examples. The others have collapsed onto the prior (Burda et al. 2016,
    section 5.2).
    """

    name = 'active_units'

    def by_default(self, model: Model) -> bool:
        return isinstance(model, VariationalAutoEncoder)

    def applies(self, model: Model, examples: Data) -> bool:
        return isinstance(model, LatentVariableModel) and isinstance(
            model, Encoding
        )

    def lack(self, examples: Data, settings: Settings) -> str:
        return too_few(examples, settings, 2, 'codes of examples are compared')

    def compute(
        self, model: LatentVariableModel, examples: Data, settings: Settings
    ) -> Results:
        @tf.function(autograph=False, reduce_retracing=True)
        def means(example, label, number):
            """Posterior means of a batch: [B, K]."""
            key = tf.stack([tf.constant(settings.seed, tf.int64), number])
            noise = BatchNoise(key, tf.shape(example)[0], prefix='units/')
            return model.posterior_means(example, label, noise)

        found = []
        for number, batch in enumerate(batches(examples, settings)):
            example, label = batch[examples.spec.key], batch.get('label')
            number = tf.constant(number, tf.int64)
            found.append(means(example, label, number).numpy())
        variances = np.concatenate(found).var(axis=0)
        active = int((variances > _ACTIVE).sum())
        return {'active_units': Result(active, details={'of': len(variances)})}


class CodeClasses(Metric):
    """The accuracy of a classifier of the five nearest training examples.

    `code_accuracy` finds the neighbours by code. `value_accuracy` finds them by
    the values of the examples.
    """

    name = 'code_classes'

    def by_default(self, model: Model) -> bool:
        # Generative models are judged by their samples instead.
        return not isinstance(model, GenerativeModel)

    def applies(self, model: Model, examples: Data) -> bool:
        told = model.num_classes
        several = examples.spec.num_classes > 1
        return isinstance(model, Encoding) and several and not told

    def lack(self, examples: Data, settings: Settings) -> str:
        size = examples.count('train')
        if size >= _VOTERS:
            return ''
        return (
            f'{_VOTERS} training examples vote for a class, and there are '
            f'{size}: add examples'
        )

    def compute(
        self, model: Encoding, examples: Data, settings: Settings
    ) -> Results:
        # Imported here, because it takes seconds.
        from sklearn.neighbors import KNeighborsClassifier

        code = tf.function(model.code, autograph=False, reduce_retracing=True)
        found = {'code': {}, 'value': {}}
        labels = {}
        for split in ('train', settings.split):
            codes, values, seen = [], [], []
            for batch in examples.evaluation(split, 500, _MOST):
                example = batch[examples.spec.key]
                codes.append(code(example).numpy())
                values.append(example.numpy().reshape(len(example), -1))
                seen.append(batch['label'].numpy())
            found['code'][split] = np.concatenate(codes)
            found['value'][split] = np.concatenate(values)
            labels[split] = np.concatenate(seen)
        figures = {}
        for name, points in found.items():
            voters = KNeighborsClassifier(_VOTERS)
            voters.fit(points['train'], labels['train'])
            said = voters.predict(points[settings.split])
            figures[f'{name}_accuracy'] = mean(said == labels[settings.split])
        return figures


METRICS = (ActiveUnits(), CodeClasses())
