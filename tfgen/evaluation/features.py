"""Feature spaces in which samples are compared with data."""

import dataclasses
import json
import pathlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfgen import storage
from tfgen.data import Data
from tfgen.errors import UserError
from tfgen.models.classifier import Classifier

_ROWS = 500  # images at a time


@dataclasses.dataclass(frozen=True)
class Features:
    """A network that maps images to feature vectors.

    Attributes:
      name: printed with every result, because results in the features of
        different networks cannot be compared.
      embed: images float32 [B, H, W, C] in [0, 1] -> features [B, F] and
        probabilities of classes [B, K], or None if it has no classes.
      facts: more about the network, such as its accuracy.
    """

    name: str
    embed: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor | None]]
    facts: dict = dataclasses.field(default_factory=dict)

    def of(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Embeds any number of images, N.

        Args:
          images: [N, H, W, C] in [0, 1].

        Returns:
          Features float32 [N, F], and probabilities [N, K] or None.
        """
        found = [
            self.embed(tf.constant(images[first : first + _ROWS], tf.float32))
            for first in range(0, len(images), _ROWS)
        ]
        features, classes = zip(*found, strict=True)
        known = classes[0] is not None
        return (
            np.concatenate([np.asarray(f, np.float32) for f in features]),
            np.concatenate(classes) if known else None,
        )


def lack_of_classes(examples: Data) -> str:
    """Why a set cannot train a classifier, with the remedy; '' if it can."""
    spec = examples.spec
    if spec.num_classes < 2:
        kinds = 'one class' if spec.num_classes else 'no labels'
    elif examples.num_trained_classes() < 2:
        kinds = 'training examples of one class alone'
    else:
        return ''
    return (
        f'data set {spec.name!r} has {kinds}, and images are compared in the '
        'features of a classifier, which needs two classes or more: pass '
        '--features=PATH of a SavedModel, or use a set with more classes'
    )


def of_classifier(model: Classifier, name: str, facts: dict) -> Features:
    """The features of a classifier that tfgen has trained."""

    @tf.function(autograph=False, reduce_retracing=True)
    def embed(images):
        features = model.features(images)
        return features, tf.nn.softmax(model.logits(features))

    return Features(name, embed, facts)


def of_saved_model(path: pathlib.Path) -> Features:
    """The features of any SavedModel.

    Its signature `features`, or else `serving_default`, takes images in [0, 1]
    as its only input. The features [B, F] are the output `features`, or the
    first output if none has that name. The output `probabilities`, if there is
    one, holds class probabilities. If the input states a size, images are
    resized to it (bilinear). If it states three channels, grey images are
    repeated in all three.

    Args:
      path: the folder of the SavedModel, or of its numbered versions.

    Raises:
      UserError: there is no such model.
    """
    folder = path = storage.place(path)
    if not (folder / 'saved_model.pb').exists() and folder.is_dir():
        versions = [f for f in folder.iterdir() if f.name.isdecimal()]
        folder = max(versions, key=lambda f: int(f.name), default=folder)
    try:
        loaded = tf.saved_model.load(str(folder))
        names = loaded.signatures.keys()
        name = 'features' if 'features' in names else 'serving_default'
        function = loaded.signatures[name]
        ((key, spec),) = function.structured_input_signature[1].items()
        if spec.shape.rank != 4 or not spec.dtype.is_floating:
            raise ValueError(f'{key} is {spec.dtype.name}{spec.shape}')
        facts = {}
        info = folder / 'assets.extra' / 'tfgen.json'
        if info.exists():
            facts['preset'] = json.loads(info.read_text())['preset']
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise UserError(
            f'features {str(path)!r} cannot be used '
            f'({" ".join(str(error).split())[:120]}): name a SavedModel whose '
            'signature `features` or `serving_default` takes images alone'
        ) from None

    def embed(images):
        outputs = function(**{key: _fitted(images, spec.shape)})
        first = outputs.get('features', next(iter(outputs.values())))
        features = tf.reshape(first, [tf.shape(first)[0], -1])
        return features, outputs.get('probabilities')

    embed.model = loaded  # keeps its variables alive
    return Features(str(path), embed, facts)


def _fitted(images, shape):
    """Images [B, H, W, C] in the size and channels of an input's `shape`."""
    height, width, channels = shape[1:]
    if height and width and tuple(images.shape[1:3]) != (height, width):
        images = tf.image.resize(images, (height, width))
    if channels == 3 and images.shape[-1] == 1:
        images = tf.image.grayscale_to_rgb(images)
    return images
