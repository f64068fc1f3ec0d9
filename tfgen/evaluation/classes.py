"""How well a model tells classes apart."""

import numpy as np
import tensorflow as tf

from tfgen.data import Data, Spec
from tfgen.errors import UserError
from tfgen.evaluation.base import Metric, Results, Settings, batches, mean
from tfgen.models.contracts.capabilities import Classifying
from tfgen.models.contracts.model import Model
from tfgen.models.gan import GAN

_TRAINING = 10_000  # examples at most that the machine learns from


class Accuracy(Metric):
    """The share of examples whose class is told right; and how many are not."""

    name = 'accuracy'

    def applies(self, model: Model, spec: Spec) -> bool:
        return isinstance(model, Classifying)

    def compute(
        self, model: Classifying, examples: Data, settings: Settings
    ) -> Results:
        logits = tf.function(model.class_logits, reduce_retracing=True)
        right = np.concatenate(
            [
                logits(batch[examples.spec.key]).numpy().argmax(1)
                == batch['label'].numpy()
                for batch in batches(examples, settings)
            ]
        )
        figure = mean(right)
        figure.details['errors'] = int((~right).sum())
        return {'accuracy': figure}


class LinearSVM(Metric):
    """What a linear machine reads from the discriminator's hidden layers.

    Its accuracy on the split that is measured; it learns from the last layer
    of features of the training split. Source: Radford et al. 2016, section
    5.1, which has the features of all layers, pooled.
    """

    name = 'linear_svm'

    def applies(self, model: Model, spec: Spec) -> bool:
        plain = isinstance(model, GAN) and not model.num_classes
        return plain and spec.num_classes > 1

    def by_default(self, model: Model, spec: Spec) -> bool:
        return False

    def lack(self, examples: Data, settings: Settings) -> str:
        if examples.num_trained_classes() > 1:
            return ''
        return (
            f'data set {examples.spec.name!r} has training examples of one '
            'class alone: add some of another'
        )

    def compute(
        self, model: GAN, examples: Data, settings: Settings
    ) -> Results:
        # (A second to import, for who does not measure this.)
        from sklearn import preprocessing, svm

        read = tf.function(model.discriminator_features, reduce_retracing=True)

        def gathered(stream):
            found = [
                (read(batch[examples.spec.key]).numpy(), batch['label'].numpy())
                for batch in stream
            ]
            features, labels = zip(*found, strict=True)
            return np.concatenate(features), np.concatenate(labels)

        features, labels = gathered(
            examples.evaluation('train', settings.batch_size, _TRAINING)
        )
        if len(np.unique(labels)) < 2:
            raise UserError(
                f'linear_svm: the first {len(labels)} training examples are of '
                'one class: shuffle the set'
            )
        scaler = preprocessing.StandardScaler().fit(features)
        machine = svm.LinearSVC(C=0.01, random_state=settings.seed)
        machine.fit(scaler.transform(features), labels)
        features, labels = gathered(batches(examples, settings))
        right = machine.predict(scaler.transform(features)) == labels
        return {'linear_svm_accuracy': mean(right)}


METRICS = (Accuracy(), LinearSVM())
