"""Metrics that compare samples with data, for any generative model.

Every result is a mean over several sets of samples, with the standard deviation
over the sets. Each set is drawn with other seeds. The result also gives the
sizes of the sets and, if a network's features were compared, the network.
"""

import collections
import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfgen.data import Data, ImageSpec, PaletteSpec
from tfgen.data.embedded.points import Mixture
from tfgen.data.truth import Stacks
from tfgen.errors import UserError
from tfgen.evaluation import distances
from tfgen.evaluation.base import (
    Metric,
    Result,
    Results,
    Settings,
    batches,
    mean,
    too_few,
)
from tfgen.evaluation.features import lack_of_classes
from tfgen.models.contracts.capabilities import GenerativeModel
from tfgen.models.contracts.likelihood import LikelihoodModel
from tfgen.models.contracts.model import Model
from tfgen.noise import RowNoise

_TRAINING = 60_000  # the most images that are searched for a neighbour
_ROWS = 500  # samples at a time
_FEWEST = 10  # least number of samples, and of examples, for neighbours
_MODE = 3.0  # radius of a mode, in its deviations


class Fidelity(Metric):
    """Distances between samples and data in the features of a classifier.

    They are Frechet and kernel distance, precision and recall, density and
    coverage, and an inception-style score; see evaluation.distances.
    `class_diversity` compares the distances between samples of one class with
    those between data of that class; it is left out if no class has two
    different images. For a conditional model, `label_agreement` is the share
    of samples that are classified as their label.
    """

    name = 'fidelity'
    needs_features = True

    def applies(self, model: Model, examples: Data) -> bool:
        return (
            isinstance(model, GenerativeModel)
            and isinstance(examples.spec, ImageSpec)
            and not isinstance(examples.truth, Stacks)
        )

    def by_default(self, model: Model) -> bool:
        """Only for models without a likelihood or a bound on it."""
        return not isinstance(model, LikelihoodModel) and not hasattr(
            model, 'elbo'
        )

    def lack(self, examples: Data, settings: Settings) -> str:
        if settings.features is None and lack_of_classes(examples):
            return lack_of_classes(examples)
        purpose = 'neighbours among examples are compared'
        few = too_few(examples, settings, _FEWEST, purpose)
        made = settings.num_generated
        if few or made is None or made >= _FEWEST:
            return few
        return (
            f'neighbours among samples are compared, and num_generated is '
            f'{made}: use --num_generated={_FEWEST} or more'
        )

    def compute(
        self, model: Model, examples: Data, settings: Settings
    ) -> Results:
        features = settings.features
        key = examples.spec.key
        stream = list(batches(examples, settings))
        real, real_classes = features.of(
            np.concatenate([batch[key].numpy() for batch in stream])
        )
        # Samples get the labels of the data.
        of_real = (
            np.concatenate([batch['label'].numpy() for batch in stream])
            if model.num_classes
            else None
        )
        found = collections.defaultdict(list)
        for images, labels in draws(model, settings, len(real), of_real):
            made, classes = features.of(images)
            for name, value in _compared(
                real, made, real_classes, classes, labels
            ).items():
                found[name].append(value)
        details = {
            'num_real': len(real),
            'num_generated': len(images),
            'features': features.name,
            **features.facts,
        }
        return {k: spread(v, details) for k, v in found.items()}


def _compared(real, made, real_classes, classes, labels):
    """All results of one set of samples, by name.

    Args:
      real, made: features of data and samples, [N, F].
      real_classes, classes: their class probabilities, [N, K] or None.
      labels: the labels that the model was given, [N]; None if it is not
        conditional.
    """
    pair = {'real': real, 'generated': made}
    precision, recall = distances.precision_and_recall(**pair)
    density, coverage = distances.density_and_coverage(**pair)
    found = {
        'frechet_distance': distances.frechet(**pair),
        'kernel_distance': distances.kernel_distance(**pair),
        'precision': precision,
        'recall': recall,
        'density': density,
        'coverage': coverage,
    }
    if classes is None:
        return found
    found['inception_score'] = distances.inception_score(classes)
    diversity = _diversity(
        real, made, real_classes.argmax(1), classes.argmax(1)
    )
    if diversity is not None:
        found['class_diversity'] = diversity
    if labels is not None:
        found['label_agreement'] = float((classes.argmax(1) == labels).mean())
    return found


def _diversity(real, made, real_classes, classes):
    """The mean distance between samples of a class, divided by that of data.

    The ratio is averaged over classes. It is 0 for a class with fewer than two
    samples. A class is left out if all its images in the data are equal.

    Returns:
      The average; None if all classes are left out.
    """
    ratios = []
    for k in np.unique(real_classes):
        ours, theirs = made[classes == k], real[real_classes == k]
        pair = distances.mean_pair(theirs) if len(theirs) > 1 else 0.0
        if pair > 0.0:
            own = distances.mean_pair(ours) if len(ours) > 1 else 0.0
            ratios.append(own / pair)
    return float(np.mean(ratios)) if ratios else None


class Memorisation(Metric):
    """Distances of samples to the nearest training image, to find copies.

    `training_distance` is the mean distance of samples, as a root mean square
    over the values of an image. `test_distance` is the same for test images,
    which are not copies. `memorised` is the share of samples that are nearer to
    a training image than 99 % of the test images are. It is 0.01 if samples are
    as far from the training set as unseen data.
    """

    name = 'memorisation'

    def applies(self, model: Model, examples: Data) -> bool:
        return isinstance(model, GenerativeModel) and isinstance(
            examples.spec, ImageSpec
        )

    def by_default(self, model: Model) -> bool:
        return False

    def compute(
        self, model: Model, examples: Data, settings: Settings
    ) -> Results:
        key, root = examples.spec.key, math.sqrt(examples.spec.dimensions)
        train, test = (
            np.concatenate(
                [
                    batch[key].numpy()
                    for batch in examples.evaluation(split, 500, limit)
                ]
            )
            for split, limit in (
                ('train', _TRAINING),
                ('test', settings.limit or 2000),
            )
        )
        _, far = distances.nearest(test, train)
        threshold = np.quantile(far, 0.01)
        near, share = [], []
        for images, _ in draws(model, settings, 2000):
            _, distance = distances.nearest(images, train)
            near.append(float(distance.mean()) / root)
            share.append(float((distance < threshold).mean()))
        details = {
            'num_generated': len(images),
            'num_training': len(train),
            'num_test': len(test),
        }
        return {
            'training_distance': spread(near, details),
            'test_distance': Result(float(far.mean()) / root),
            'memorised': spread(share, details),
        }


class Sharpness(Metric):
    """How sharp samples are, compared with test images.

    `sharpness` is the mean Laplacian energy of samples divided by that of test
    images: 1 if they are as sharp, less if they are blurred, more if they are
    noisy. For each value inside the border, take 4 times the value minus the
    sum of its four neighbours. The Laplacian energy is the sum of the squares.
    """

    name = 'sharpness'

    def applies(self, model: Model, examples: Data) -> bool:
        spec = examples.spec
        return (
            isinstance(model, GenerativeModel)
            and isinstance(spec, ImageSpec)
            and not isinstance(spec, PaletteSpec)
            and min(spec.height, spec.width) >= 3
        )

    def by_default(self, model: Model) -> bool:
        return False

    def compute(
        self, model: Model, examples: Data, settings: Settings
    ) -> Results:
        key, stream = examples.spec.key, list(batches(examples, settings))
        real = np.concatenate([batch[key].numpy() for batch in stream])
        # Samples get the labels of the data.
        labels = None
        if model.num_classes:
            labels = np.concatenate([b['label'].numpy() for b in stream])
        energy = laplacian_energy(real).mean()
        if not energy:
            raise UserError(
                'sharpness: all test images are plain, so their Laplacian '
                'energy is 0: leave this metric out'
            )
        found = [
            float(laplacian_energy(images).mean() / energy)
            for images, _ in draws(model, settings, len(real), labels)
        ]
        made = settings.num_generated or len(real)
        details = {'num_real': len(real), 'num_generated': made}
        return {'sharpness': spread(found, details)}


def laplacian_energy(images: np.ndarray) -> np.ndarray:
    """The sum of squares of the Laplacian inside the border: [N]."""
    x = images.astype(np.float64)
    around = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:]
    return np.square(4 * x[:, 1:-1, 1:-1] - around).sum((1, 2, 3))


class Modes(Metric):
    """The modes of a toy mixture that samples cover, and how evenly.

    The protocol is PacGAN's and VEEGAN's, with 2,500 samples. A mode is
    covered if a sample is within 3 deviations of it. `quality` is the share of
    samples within 3 deviations of any mode: 0.989 for data in the plane.
    `reverse_kl` is KL(shares || uniform) in nats. The share of a mode is the
    share of samples that have it as their nearest mode.
    """

    name = 'modes'

    def applies(self, model: Model, examples: Data) -> bool:
        return isinstance(model, GenerativeModel) and isinstance(
            examples.truth, Mixture
        )

    def compute(
        self, model: Model, examples: Data, settings: Settings
    ) -> Results:
        distribution, found = examples.truth, collections.defaultdict(list)
        for points, _ in draws(model, settings, 2500):
            for name, value in modes_of(points, distribution).items():
                found[name].append(value)
        details = {'num_generated': len(points), 'of': len(distribution.places)}
        return {k: spread(v, details) for k, v in found.items()}


def modes_of(points: np.ndarray, distribution: Mixture) -> dict[str, float]:
    """The results of Modes for one set of points, [N, D]."""
    offsets = points[:, None] - distribution.places
    apart = np.linalg.norm(offsets, axis=-1)
    nearest = apart.argmin(axis=1)
    good = apart.min(axis=1) < _MODE * distribution.deviation
    return {
        'modes': float(len(np.unique(nearest[good]))),
        'quality': float(good.mean()),
        'reverse_kl': _kl_to_uniform(nearest, len(distribution.places)),
    }


class StackedModes(Metric):
    """How many of the thousand modes of stacked digits the samples cover.

    The protocol is VEEGAN's, with 26,000 samples. The classifier of single
    digits gives the digit of each channel. One sample is enough to cover a
    mode. `reverse_kl` is as in Modes. `sampling_kl` is the `reverse_kl` of the
    same number of draws from a thousand equally probable modes.
    """

    name = 'stacked_modes'
    needs_features = True

    def applies(self, model: Model, examples: Data) -> bool:
        return isinstance(model, GenerativeModel) and isinstance(
            examples.truth, Stacks
        )

    def lack(self, examples: Data, settings: Settings) -> str:
        return '' if settings.features else lack_of_classes(examples)

    def compute(
        self, model: Model, examples: Data, settings: Settings
    ) -> Results:
        features, count = settings.features, examples.spec.num_classes
        base = examples.truth.classes
        found = collections.defaultdict(list)
        for images, _ in draws(model, settings, 26_000):
            digits = [
                _classes(features, images[..., c : c + 1], base)
                for c in range(3)
            ]
            kinds = np.ravel_multi_index(digits, [base] * 3)
            found['modes'].append(float(len(np.unique(kinds))))
            found['reverse_kl'].append(_kl_to_uniform(kinds, count))
            drawn = np.random.default_rng(len(found['modes']))
            found['sampling_kl'].append(
                _kl_to_uniform(drawn.integers(count, size=len(kinds)), count)
            )
        details = {
            'num_generated': len(images),
            'of': count,
            'features': features.name,
            **features.facts,
        }
        return {k: spread(v, details) for k, v in found.items()}


def _classes(features, images, count):
    """The class of each image, [N]; UserError if classes are not `count`."""
    _, probabilities = features.of(images)
    if probabilities is None or probabilities.shape[1] != count:
        raise UserError(
            f'features {features.name!r} do not tell {count} classes apart: '
            'leave --features out'
        )
    return probabilities.argmax(1)


def draws(
    model: GenerativeModel,
    settings: Settings,
    count: int,
    labels: np.ndarray | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Sets of samples and their labels.

    Every sample has a seed of its own.

    Args:
      model: draws the samples.
      settings: give the number of sets and the seed.
      count: N, if the settings do not give num_generated.
      labels: for a conditional model, repeated to N; None for all classes in
        turn.

    Yields:
      Samples [N, ...] and labels int32 [N] of one set; labels are None for an
      unconditional model.
    """
    count = settings.num_generated or count
    sample = tf.function(
        lambda seeds, labels: model.sample(RowNoise(seeds), labels),
        autograph=False,
        reduce_retracing=True,
    )
    classes = model.num_classes
    if classes:
        labels = np.arange(classes) if labels is None else labels
        labels = np.resize(labels, count).astype(np.int32)
    for number in range(settings.num_draws):
        first_seed = (settings.seed * settings.num_draws + number) * count
        seeds = first_seed + np.arange(count, dtype=np.int64)
        parts = [
            sample(
                tf.constant(seeds[first : first + _ROWS]),
                None
                if labels is None
                else tf.constant(labels[first : first + _ROWS]),
            ).numpy()
            for first in range(0, count, _ROWS)
        ]
        yield np.concatenate(parts), labels


def spread(values: Sequence[float], details: dict) -> Result:
    """The mean over sets of samples, with the deviation between them."""
    figure, count = mean(values), len(values)
    error = figure.error
    deviation = None if error is None else error * math.sqrt(count)
    more = {'num_draws': count, 'deviation': deviation}
    return dataclasses.replace(figure, details=details | more)


def _kl_to_uniform(kinds, count):
    """KL(shares of the modes || uniform) in nats.

    `kinds` [N] is the mode of each sample; `count` is the number of modes.
    """
    shares = np.bincount(kinds, minlength=count) / len(kinds)
    shares = shares[shares > 0]
    return float((shares * np.log(shares * count)).sum())


METRICS = (
    Fidelity(),
    Memorisation(),
    Sharpness(),
    Modes(),
    StackedModes(),
)
