"""How samples compare with data, whatever model drew them.

Every figure is a mean over sets of samples of other seeds, with the standard
deviation over these, and says the sizes of the sets; those of images also the
network in whose features they were compared.
"""

import collections
import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfgen.data import Data, ImageSpec, Spec
from tfgen.data.embedded.points import TOY_DISTRIBUTIONS, Mixture
from tfgen.data.readers import stacked
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

_TRAINING = 60_000  # images at most among which a neighbour is sought
_ROWS = 500  # samples at a time
_FEWEST = 10  # samples, and data, that have enough neighbours
_MODE = 3.0  # deviations


class Fidelity(Metric):
    """Distances between samples and data in the features of a classifier.

    Frechet and kernel distance, precision and recall, density and coverage,
    an inception-style score, and how different the samples of one class are
    from each other, against the data of that class (left out where no two
    images of a class differ); of a conditional model also the share of samples
    that are classified as their label. See tfgen.distances.
    """

    name = 'fidelity'
    needs_features = True

    def applies(self, model: Model, spec: Spec) -> bool:
        return (
            isinstance(model, GenerativeModel)
            and isinstance(spec, ImageSpec)
            and not _is_stacked(spec)
        )

    def by_default(self, model: Model, spec: Spec) -> bool:
        """For models that have no other figure."""
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
        # Samples have the labels that the data have.
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
    """All figures of one set of samples."""
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
    """The mean distance within a class, of samples over that of data.

    The mean over classes; a class of which there are no two samples counts 0,
    and one of which no two images of data differ does not count. None if none
    counts.
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
    """Whether samples are copies: how near the nearest training image is.

    `training_distance` is the root mean square per number, of samples;
    `test_distance` the same of test images, which are no copies. `memorised`
    is the share of samples nearer than all but 1 % of the test images: 0.01
    where samples are as far from the training set as data that it lacks.
    """

    name = 'memorisation'

    def applies(self, model: Model, spec: Spec) -> bool:
        return isinstance(model, GenerativeModel) and isinstance(
            spec, ImageSpec
        )

    def by_default(self, model: Model, spec: Spec) -> bool:
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


class Modes(Metric):
    """Modes of a mixture in the plane that samples cover, and how evenly.

    PacGAN's and VEEGAN's protocol, 2,500 samples: a mode is covered by one
    sample within 3 deviations of it; `quality` is the share of samples within
    3 deviations of any, 0.989 of data in the plane; `reverse_kl` is KL(counts
    to uniform) in nats, every sample counted for its nearest mode.
    """

    name = 'modes'

    def applies(self, model: Model, spec: Spec) -> bool:
        world = TOY_DISTRIBUTIONS.get(spec.name)
        return isinstance(model, GenerativeModel) and isinstance(world, Mixture)

    def compute(
        self, model: Model, examples: Data, settings: Settings
    ) -> Results:
        world, found = (
            TOY_DISTRIBUTIONS[examples.spec.name],
            collections.defaultdict(list),
        )
        for points, _ in draws(model, settings, 2500):
            for name, value in modes_of(points, world).items():
                found[name].append(value)
        details = {'num_generated': len(points), 'of': len(world.places)}
        return {k: spread(v, details) for k, v in found.items()}


def modes_of(points: np.ndarray, world: Mixture) -> dict[str, float]:
    """The figures of Modes of one set of points, [N, D]."""
    offsets = points[:, None] - world.places
    apart = np.linalg.norm(offsets, axis=-1)
    nearest = apart.argmin(axis=1)
    good = apart.min(axis=1) < _MODE * world.deviation
    return {
        'modes': float(len(np.unique(nearest[good]))),
        'quality': float(good.mean()),
        'reverse_kl': _kl_to_uniform(nearest, len(world.places)),
    }


class StackedModes(Metric):
    """The same of stacked digits: which of the thousand a generator makes.

    VEEGAN's protocol, 26,000 samples: the digit of each channel is what the
    classifier of single digits says of it; a mode is covered by one picture.
    `sampling_kl` is the `reverse_kl` of as many draws from a thousand kinds
    that are equally probable.
    """

    name = 'stacked_modes'
    needs_features = True

    def applies(self, model: Model, spec: Spec) -> bool:
        return isinstance(model, GenerativeModel) and _is_stacked(spec)

    def lack(self, examples: Data, settings: Settings) -> str:
        return '' if settings.features else lack_of_classes(examples)

    def compute(
        self, model: Model, examples: Data, settings: Settings
    ) -> Results:
        features, count = settings.features, examples.spec.num_classes
        base = round(count ** (1 / 3))
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
    """The class of each image: [N]."""
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
    """Sets of samples [N, ...] and their labels; see Settings.

    Every sample has a seed of its own.

    Args:
      count: N, where the settings name none.
      labels: of a conditional model, repeated; None for all in turn.
    """
    count = settings.num_generated or count
    sample = tf.function(
        lambda seeds, labels: model.sample(RowNoise(seeds), labels),
        reduce_retracing=True,
    )
    classes = model.num_classes
    if classes:
        labels = np.arange(classes) if labels is None else labels
        labels = np.resize(labels, count).astype(np.int32)
    for number in range(settings.num_draws):
        seeds = (settings.seed * settings.num_draws + number) * count
        seeds += np.arange(count, dtype=np.int64)
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
    """The mean over sets of samples, and the deviation between them."""
    figure, count = mean(values), len(values)
    more = {'num_draws': count, 'deviation': None}
    if figure.error is not None:
        more['deviation'] = figure.error * math.sqrt(count)
    return dataclasses.replace(figure, details=details | more)


def _kl_to_uniform(kinds, count):
    """KL in nats of the frequencies of `kinds` to equal ones."""
    shares = np.bincount(kinds, minlength=count) / len(kinds)
    shares = shares[shares > 0]
    return float((shares * np.log(shares * count)).sum())


def _is_stacked(spec):
    return spec.name.startswith(stacked.PREFIX)


METRICS = (Fidelity(), Memorisation(), Modes(), StackedModes())
