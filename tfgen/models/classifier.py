"""A classifier of images; its features serve to compare samples with data."""

from typing import Any

import keras
import tensorflow as tf

from tfgen.arguments import Share, Size
from tfgen.data.specs import ImageSpec
from tfgen.errors import UserError
from tfgen.layers.linear import dropout
from tfgen.models.contracts.model import Model, Signature
from tfgen.models.contracts.updates import Batch, Terms
from tfgen.noise import Noise


class Classifier(Model):
    """p(label | image) by convolutions, as in LeNet (LeCun et al. 1998).

    Each pair of 3x3 convolutions halves the sides. A dense layer, whose values
    are the features, comes before the logits.

    Args:
      spec: of images with labels.
      filters: channels of each pair of convolutions.
      feature_size: F.
      dropout: rate before and after the features.
    """

    spec_types = (ImageSpec,)

    def __init__(
        self,
        spec: ImageSpec,
        filters: tuple[Size, ...] = (32, 64),
        feature_size: Size = 128,
        dropout: Share = 0.4,
    ):
        super().__init__(spec)
        self.dropout = dropout
        self.convolutions = keras.Sequential(
            [keras.Input(spec.shape)]
            + [
                keras.layers.Conv2D(f, 3, stride, 'same', activation='relu')
                for f in filters
                for stride in (1, 2)
            ]
            + [keras.layers.Flatten()]
        )
        self.dense = keras.layers.Dense(feature_size, activation='relu')
        self.dense.build(self.convolutions.output_shape)
        self.logits = keras.layers.Dense(spec.num_classes, dtype='float32')
        self.logits.build([None, feature_size])

    @classmethod
    def check(cls, spec: ImageSpec, **settings: Any) -> None:
        super().check(spec, **settings)
        if spec.num_classes < 2:
            found = 'one class' if spec.num_classes else 'no labels'
            raise UserError(
                f'data set {spec.name!r} has {found}: a classifier needs two '
                'classes or more'
            )

    def features(
        self, image: tf.Tensor, noise: Noise | None = None
    ) -> tf.Tensor:
        """[B, H, W, C] in [0, 1] -> features, float32 [B, F], not negative."""
        maps = self.convolutions(image * 2.0 - 1.0)
        if noise is not None:
            maps = dropout(maps, self.dropout, noise, 'maps')
        return tf.cast(self.dense(maps), tf.float32)

    def class_logits(self, example: tf.Tensor) -> tf.Tensor:
        return self.logits(self.features(example))

    def loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """-log p(label | image) in nats: [B]."""
        features = self.features(batch['image'], noise)
        features = dropout(features, self.dropout, noise, 'features')
        return {
            'cross_entropy': tf.nn.sparse_softmax_cross_entropy_with_logits(
                batch['label'], self.logits(features)
            )
        }

    def signatures(self) -> dict[str, Signature]:
        """Adds `features`, which also returns the class probabilities."""
        return super().signatures() | {
            'features': Signature(self._serve_features, (self.spec.key,))
        }

    def _serve_features(self, example):
        features = self.features(example)
        probabilities = tf.nn.softmax(self.logits(features))
        return {'features': features, 'probabilities': probabilities}
