"""The embedded data set: 1,797 real handwritten digits of 8x8 pixels.

scikit-learn ships them, so a model can be trained and evaluated without any
download. They are the test part of the UCI "Optical Recognition of Handwritten
Digits" set (Alpaydin and Kaynak 1998, CC BY 4.0).
"""

import numpy as np
import tensorflow_datasets as tfds

LEVELS = 17
NUM_TRAIN = 1500


class Digits(tfds.core.GeneratorBasedBuilder):
    """TFDS builder of `digits`: uint8 [8, 8, 1] in 0..16, label 0..9.

    The source has no splits. The last 297 examples, in its order, are the test
    split.
    """

    VERSION = tfds.core.Version('1.0.0')

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description='8x8 handwritten digits with 17 grey levels.',
            features=tfds.features.FeaturesDict(
                {
                    'image': tfds.features.Image(shape=(8, 8, 1)),
                    'label': tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=('image', 'label'),
            homepage='https://doi.org/10.24432/C50P49',
            license='CC BY 4.0',
        )

    def _split_generators(self, dl_manager):
        del dl_manager  # nothing to fetch
        # Imported here, because the import takes a second and other sets do not
        # need it.
        from sklearn import datasets

        digits = datasets.load_digits()
        images = digits.images.astype(np.uint8)[..., None]
        labels = digits.target
        return {
            'train': self._generate_examples(
                images[:NUM_TRAIN], labels[:NUM_TRAIN]
            ),
            'test': self._generate_examples(
                images[NUM_TRAIN:], labels[NUM_TRAIN:]
            ),
        }

    def _generate_examples(self, images, labels):
        for index, (image, label) in enumerate(
            zip(images, labels, strict=True)
        ):
            yield index, {'image': image, 'label': int(label)}
