"""What to draw, or to hear, from a model, by its served functions alone.

A workdir and an exported model give the same pictures: each function takes
`functions` of signatures.functions or export.load and the run's `config`, and
returns examples float32 [N, ...], the number of columns of their grid, and
the titles of its pictures where they show labels (see plots.grid).
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

_TRAINING = 60_000  # images at most among which a neighbour is sought


def samples(
    functions: Functions,
    config: Config,
    labels: Sequence[int] | None,
    count: int,
    seed: int,
) -> Pictures:
    """`count` samples of the seeds seed, seed + 1, ...; labels repeat."""
    inputs = {'seed': np.arange(seed, seed + count, dtype=np.int64)}
    inputs |= labels_of(config, labels, count)
    (drawn,) = call(functions, 'sample', inputs).values()
    shown = inputs.get('label')
    columns = plots.label_columns(shown, COLUMNS)
    return drawn, columns, titles_of(config, shown)


def density(functions: Functions, config: Config) -> Callable | None:
    """[N, *shape] -> log p [N], where the model says it without a label."""
    if 'log_prob' not in functions or config.preset.conditional:
        return None

    def log_prob(examples):
        inputs = {config.spec.key: examples}
        return call(functions, 'log_prob', inputs)['log_prob']

    return log_prob


def score(functions: Functions, config: Config) -> Callable | None:
    """[N, *shape] -> the discriminator's scores [N], without a label."""
    if 'score' not in functions or config.preset.conditional:
        return None

    def scores(examples):
        return call(functions, 'score', {config.spec.key: examples})['score']

    return scores


def reconstruction(
    functions: Functions, config: Config, examples: Data
) -> Pictures:
    """Test images, each row above its reconstructions."""
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
    """`count` rows of: an example, its first half, `tries` completions.

    The first half is the upper half of an image or the beginning of a sound.
    Examples are of the test split, or without `examples` the model's own.
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
    # Seeds that drew none of the examples.
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
    """`count` samples, each row above the training images nearest to them."""
    drawn, _, _ = samples(functions, config, None, count, seed)
    key = config.spec.key
    training = np.concatenate(
        [b[key].numpy() for b in examples.evaluation('train', 1000, _TRAINING)]
    )
    nearest, _ = distances.nearest(drawn, training)
    columns = min(COLUMNS, count)
    rest = -count % columns  # whole rows
    pairs = [
        np.concatenate([x, np.zeros([rest, *x.shape[1:]], x.dtype)])
        for x in (drawn, training[nearest])
    ]
    rows = np.stack([in_rows(x, columns) for x in pairs], axis=1)
    return rows.reshape(-1, *config.spec.shape), columns, None
