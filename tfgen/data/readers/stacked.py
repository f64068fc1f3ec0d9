"""Stacked digits: three random grey images of a set as red, green and blue.

Ten classes of digits give a thousand classes of pictures, enough to show how
many classes a generator has lost. Source: Srivastava et al. 2017 (VEEGAN),
section 4.2, with a training set of 128,000 pictures.

Picture i of a split is a function of i alone, so nothing is stored.
"""

import dataclasses
import itertools

import tensorflow as tf

from tfgen.data.readers.base import InMemory, Source
from tfgen.data.truth import Stacks
from tfgen.errors import UserError
from tfgen.noise import IndexNoise

PREFIX = 'stacked_'
SIZES = {'train': 128_000, 'test': 26_000}


class _Stacked:
    """A split of stacked images, by index."""

    def __init__(self, base: InMemory, split: str, num_classes: int):
        self._base, self._split = base, split
        self._classes = num_classes

    def __len__(self):
        return SIZES[self._split]

    def gather(self, indices):
        """Stacks [B, H, W, 3] and labels [B]; see Source.gather."""
        noise = IndexNoise(indices, f'{self._split}/')
        rows = noise.uniform('rows', [3]) * len(self._base)
        images, labels = self._base.gather(
            tf.reshape(tf.cast(rows, tf.int64), [-1])
        )
        images = tf.reshape(images, [-1, 3, *images.shape[1:3]])
        labels = tf.reshape(labels, [-1, 3])
        weights = tf.constant([self._classes**2, self._classes, 1])
        return (
            tf.transpose(images, [0, 2, 3, 1]),
            tf.reduce_sum(labels * weights, axis=1),
        )

    def class_sizes(self, num_classes: int) -> None:
        """None: not counted. A class is three independently drawn digits."""


def stack(name: str, base: Source) -> Source:
    """The data set of stacks of `base`, labelled by their digits, red first.

    Raises:
      UserError: `base` is not a set of labelled grey images in memory.
    """
    names = base.class_names
    splits = {k: s for k, s in base.splits.items() if isinstance(s, InMemory)}
    in_memory = len(splits) == len(base.splits)
    if not names or base.shape[-1] != 1 or base.palette or not in_memory:
        raise UserError(
            f'data set {name!r} needs a set of grey images with labels that '
            'fits into memory: use stacked_mnist or stacked_digits'
        )
    return dataclasses.replace(
        base,
        shape=(*base.shape[:2], 3),
        class_names=tuple(map(' '.join, itertools.product(names, repeat=3))),
        splits={
            split: _Stacked(rows, split, len(names))
            for split, rows in splits.items()
        },
        fingerprint=f'stacked/1/{base.fingerprint}',
        origin='drawn like the training pictures, of other images',
        notes=(),
        truth=Stacks(len(names)),
    )
