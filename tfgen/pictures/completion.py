"""Samples, reconstructions, completions and nearest neighbours of a model.

The functions here use only the model's served functions, so that a workdir and
an exported model give the same pictures. Each returns examples float32
[N, ...], the number of columns of their grid, and the titles of the examples if
they show labels (see plots.grid).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfgen import plots
from tfgen.data import Data
from tfgen.evaluation import distances
from tfgen.pictures.calls import (
    COLUMNS,
    Pictures,
    in_rows,
    labels_of,
    real_examples,
    require,
    titles_of,
)

if TYPE_CHECKING:
    from tfgen.export.trained import TrainedModel

_TRAINING = 60_000  # training images to search for neighbours, at most


def samples(
    model: 'TrainedModel',
    labels: Sequence[int] | None,
    count: int,
    seed: int,
) -> Pictures:
    """Draws `count` samples with seeds seed, seed + 1, ...; labels repeat."""
    inputs = {'seed': np.arange(seed, seed + count, dtype=np.int64)}
    inputs |= labels_of(model, labels, count)
    (drawn,) = model.call('sample', inputs).values()
    shown = inputs.get('label')
    columns = plots.label_columns(shown, COLUMNS)
    return drawn, columns, titles_of(model, shown)


def density(model: 'TrainedModel') -> Callable | None:
    """Returns the function [N, *shape] -> log p [N], in nats.

    None if the model serves no log_prob, or is conditional.
    """
    if 'log_prob' not in model.functions or model.conditional:
        return None

    def log_prob(examples):
        inputs = {model.spec.key: examples}
        return model.call('log_prob', inputs)['log_prob']

    return log_prob


def score(model: 'TrainedModel') -> Callable | None:
    """Returns the function [N, *shape] -> the discriminator's scores [N].

    None if the model serves no score, or is conditional.
    """
    if 'score' not in model.functions or model.conditional:
        return None

    def scores(examples):
        return model.call('score', {model.spec.key: examples})['score']

    return scores


def reconstruction(model: 'TrainedModel', examples: Data) -> Pictures:
    """Draws rows of test examples, each above a row of reconstructions."""
    require(model, 'reconstruct', 'reconstruction')
    batch = real_examples(model, examples, 4 * COLUMNS)
    key = model.spec.key
    decoded = model.call('reconstruct', batch)[key]
    rows = np.stack([in_rows(batch[key]), in_rows(decoded)], axis=1)
    return rows.reshape(-1, *model.spec.shape), COLUMNS, None


def completion(
    model: 'TrainedModel',
    examples: Data | None,
    count: int,
    tries: int,
    seed: int,
) -> Pictures:
    """Draws `count` rows: an example, its first half, `tries` completions.

    The first half is the upper half of an image or the beginning of a sound.
    The examples are from the test split. Without `examples`, they are samples
    of the model.
    """
    require(model, 'complete', 'completion')
    if examples is None:
        batch = labels_of(model, None, count)
        inputs = batch | {'seed': seed + np.arange(count, dtype=np.int64)}
        batch = batch | model.call('sample', inputs)
    else:
        batch = real_examples(model, examples, count)
    spec = model.spec
    real = batch[spec.key]
    batch['mask'] = np.ones([count, *spec.mask_shape], np.float32)
    batch['mask'][:, real.shape[1] // 2 :] = 0.0
    hidden = spec.hide(real, batch['mask'])
    inputs = {k: np.repeat(v, tries, axis=0) for k, v in batch.items()}
    # Seeds that no sampled example has used.
    inputs['seed'] = seed + count + np.arange(count * tries)
    drawn = model.call('complete', inputs)[spec.key]
    drawn = drawn.reshape(len(real), tries, *real.shape[1:])
    grid = np.concatenate([real[:, None], hidden[:, None], drawn], axis=1)
    labels = batch.get('label')
    named = None if labels is None else np.repeat(labels, 2 + tries)
    return (
        grid.reshape(-1, *real.shape[1:]),
        2 + tries,
        titles_of(model, named),
    )


def neighbours(
    model: 'TrainedModel', examples: Data, count: int, seed: int
) -> Pictures:
    """Draws rows of samples, each above a row of nearest training images."""
    drawn, _, _ = samples(model, None, count, seed)
    key = model.spec.key
    training = np.concatenate(
        [b[key].numpy() for b in examples.evaluation('train', 1000, _TRAINING)]
    )
    nearest, _ = distances.nearest(drawn, training)
    columns = min(COLUMNS, count)
    rest = -count % columns  # empty examples that complete the last row
    pairs = [
        np.concatenate([x, np.zeros([rest, *x.shape[1:]], x.dtype)])
        for x in (drawn, training[nearest])
    ]
    rows = np.stack([in_rows(x, columns) for x in pairs], axis=1)
    return rows.reshape(-1, *model.spec.shape), columns, None
