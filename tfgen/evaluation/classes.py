"""Metrics of classification, and of the discriminator's features."""

import numpy as np
import tensorflow as tf

from tfgen.data import Data
from tfgen.errors import UserError
from tfgen.evaluation.base import Metric, Results, Settings, batches, mean
from tfgen.models.contracts.capabilities import Classifying
from tfgen.models.contracts.model import Model
from tfgen.models.gan import GAN

_TRAINING = 10_000  # the most examples that the SVM is trained on


class Accuracy(Metric):
    """The share of correctly classified examples, and the number of errors."""

    name = 'accuracy'

    def applies(self, model: Model, examples: Data) -> bool:
        return isinstance(model, Classifying)

    def compute(
        self, model: Classifying, examples: Data, settings: Settings
    ) -> Results:
        logits = tf.function(
            model.class_logits, autograph=False, reduce_retracing=True
        )
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
    """The accuracy of a linear SVM on the discriminator's features.

    The SVM is trained on the training split and measured on the split of the
    settings. Source: Radford et al. 2016, section 5.1. Departure: features of
    the last hidden layer; the paper pools those of all layers.
    """

    name = 'linear_svm'

    def applies(self, model: Model, examples: Data) -> bool:
        # With labels or packs, the features are not those of one image alone.
        return (
            isinstance(model, GAN)
            and not model.num_classes
            and model.pack == 1
            and examples.spec.num_classes > 1
        )

    def by_default(self, model: Model) -> bool:
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
        # Imported here, because it takes a second and other metrics do not
        # need it.
        from sklearn import preprocessing, svm

        read = tf.function(
            model.discriminator_features, autograph=False, reduce_retracing=True
        )

        def gathered(stream):
            """Features [N, F] and labels [N] of all batches."""
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
                f'linear_svm: the first {len(labels)} training examples have '
                'one class: shuffle the data set'
            )
        scaler = preprocessing.StandardScaler().fit(features)
        machine = svm.LinearSVC(C=0.01, random_state=settings.seed)
        machine.fit(scaler.transform(features), labels)
        features, labels = gathered(batches(examples, settings))
        right = machine.predict(scaler.transform(features)) == labels
        return {'linear_svm_accuracy': mean(right)}


METRICS = (Accuracy(), LinearSVM())
