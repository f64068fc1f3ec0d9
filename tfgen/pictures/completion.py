"""Samples, reconstructions, completions and nearest neighbours of a model.

The functions here use only the model's served functions, so that a workdir and
an exported model give the same pictures. Each takes the `functions` of
signatures.functions or saved_model.load, and the run's `config`. Each returns
examples float32 [N, ...], the number of columns of their grid, and the titles
of the examples if they show labels (see plots.grid).
"""

from collections.abc import Callable, Sequence

import numpy as np

from tfgen import plots
from tfgen.data import Data
from tfgen.evaluation import distances
from tfgen.pictures.calls import (
    COLUMNS,
    Functions,
    Pictures,
    call,
    in_rows,
    labels_of,
    real_examples,
    require,
    titles_of,
)
from tfgen.training.workdir import Config

_TRAINING = 60_000  # training images to search for neighbours, at most


def samples(
    functions: Functions,
    config: Config,
    labels: Sequence[int] | None,
    count: int,
    seed: int,
) -> Pictures:
    """Draws `count` samples with seeds seed, seed + 1, ...; labels repeat."""
    inputs = {'seed': np.arange(seed, seed + count, dtype=np.int64)}
    inputs |= labels_of(config, labels, count)
    (drawn,) = call(functions, 'sample', inputs).values()
    shown = inputs.get('label')
    columns = plots.label_columns(shown, COLUMNS)
    return drawn, columns, titles_of(config, shown)


def density(functions: Functions, config: Config) -> Callable | None:
    """Returns the function [N, *shape] -> log p [N], in nats.

    None if the model serves no log_prob, or is conditional.
    """
    if 'log_prob' not in functions or config.preset.conditional:
        return None

    def log_prob(examples):
        inputs = {config.spec.key: examples}
        return call(functions, 'log_prob', inputs)['log_prob']

    return log_prob


def score(functions: Functions, config: Config) -> Callable | None:
    """Returns the function [N, *shape] -> the discriminator's scores [N].

    None if the model serves no score, or is conditional.
    """
    if 'score' not in functions or config.preset.conditional:
        return None

    def scores(examples):
        return call(functions, 'score', {config.spec.key: examples})['score']

    return scores


def reconstruction(
    functions: Functions, config: Config, examples: Data
) -> Pictures:
    """Draws rows of test images, each above the row of reconstructions."""
    require(functions, 'reconstruct', 'reconstruction')
    batch = real_examples(config, examples, 4 * COLUMNS)
    key = config.spec.key
    decoded = call(functions, 'reconstruct', batch)[key]
    rows = np.stack([in_rows(batch[key]), in_rows(decoded)], axis=1)
    return rows.reshape(-1, *config.spec.shape), COLUMNS, None


def completion(
    functions: Functions,
    config: Config,
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
    require(functions, 'complete', 'completion')
    if examples is None:
        batch = labels_of(config, None, count)
        inputs = batch | {'seed': seed + np.arange(count, dtype=np.int64)}
        batch = batch | call(functions, 'sample', inputs)
    else:
        batch = real_examples(config, examples, count)
    spec = config.spec
    real = batch[spec.key]
    batch['mask'] = np.ones([count, *spec.mask_shape], np.float32)
    batch['mask'][:, real.shape[1] // 2 :] = 0.0
    hidden = spec.hide(real, batch['mask'])
    inputs = {k: np.repeat(v, tries, axis=0) for k, v in batch.items()}
    # Seeds that no sampled example has used.
    inputs['seed'] = seed + count + np.arange(count * tries)
    drawn = call(functions, 'complete', inputs)[spec.key]
    drawn = drawn.reshape(len(real), tries, *real.shape[1:])
    grid = np.concatenate([real[:, None], hidden[:, None], drawn], axis=1)
    labels = batch.get('label')
    named = None if labels is None else np.repeat(labels, 2 + tries)
    return (
        grid.reshape(-1, *real.shape[1:]),
        2 + tries,
        titles_of(config, named),
    )


def neighbours(
    functions: Functions, config: Config, examples: Data, count: int, seed: int
) -> Pictures:
    """Draws rows of samples, each above a row of nearest training images."""
    drawn, _, _ = samples(functions, config, None, count, seed)
    key = config.spec.key
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
    return rows.reshape(-1, *config.spec.shape), columns, None
