"""What the codes of a model say."""

import numpy as np
import tensorflow as tf

from tfgen.data import Data, Spec
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

_ACTIVE = 0.01
_MOST = 10_000  # examples of a split
_VOTERS = 5


class ActiveUnits(Metric):
    """How many numbers of z differ from example to example.

    A unit is active if its mean under q(z|x) has a variance above 0.01 over
    the set; the others have collapsed onto the prior (Burda et al. 2016,
    section 5.2).
    """

    name = 'active_units'

    def by_default(self, model: Model, spec: Spec) -> bool:
        return isinstance(model, VariationalAutoEncoder)

    def applies(self, model: Model, spec: Spec) -> bool:
        return isinstance(model, LatentVariableModel) and isinstance(
            model, Encoding
        )

    def lack(self, examples: Data, settings: Settings) -> str:
        return too_few(examples, settings, 2, 'codes of examples are compared')

    def compute(
        self, model: LatentVariableModel, examples: Data, settings: Settings
    ) -> Results:
        @tf.function(reduce_retracing=True)
        def means(example, label, number):
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
    """How well the class of an example is known from its neighbours.

    The share of examples whose five nearest of the training set, by code, are
    mostly of their class: `code_accuracy`; and by value, `value_accuracy`.
    """

    name = 'code_classes'

    def by_default(self, model: Model, spec: Spec) -> bool:
        # Of the others their samples say more.
        return not isinstance(model, GenerativeModel)

    def applies(self, model: Model, spec: Spec) -> bool:
        told = model.num_classes
        return isinstance(model, Encoding) and spec.num_classes > 1 and not told

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
        # (It takes seconds to load.)
        from sklearn.neighbors import KNeighborsClassifier

        code = tf.function(model.code, reduce_retracing=True)
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
