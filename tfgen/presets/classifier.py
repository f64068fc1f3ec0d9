"""Classifiers.

Metrics compare samples with data in their features.
"""

from tfgen.models.classifier import Classifier
from tfgen.presets import settings

_CLASSIFIER = settings.of(Classifier)

PRESETS = {
    'classifier_digits': _CLASSIFIER(
        dataset='digits', steps=2000, schedule='cosine', log_every=500
    ),
    'classifier_mnist': _CLASSIFIER(
        dataset='mnist',
        batch_size=128,
        steps=6000,
        schedule='cosine',
        log_every=500,
    ),
}
