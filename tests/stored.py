"""Writes TFDS sets for tests."""

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds


def store(path, features, splits, name='mine', **options):
    """Writes a TFDS set: splits maps names to lists of examples."""
    tfds.dataset_builders.store_as_tfds_dataset(
        name,
        '1.0.0',
        features=tfds.features.FeaturesDict(features),
        split_datasets={
            split: tf.data.Dataset.from_tensor_slices(
                {k: np.stack([e[k] for e in examples]) for k in features}
            )
            for split, examples in splits.items()
        },
        data_dir=path,
        **options,
    )
    return str(path)


def described(examples) -> str:
    """Returns the description of a set that is printed before training."""
    return '\n'.join(examples.describe())


def image_feature(dtype=np.uint8, channels=1):
    """Returns the feature of 4x4 pictures."""
    return tfds.features.Image(shape=(4, 4, channels), dtype=dtype)


def labelled(labels, value=7, key='label', **more) -> list[dict]:
    """Returns pictures of one grey level, with the given labels."""
    return [
        {
            'image': np.full([4, 4, 1], value, np.uint8),
            key: np.int64(label),
            **more,
        }
        for label in labels
    ]
