"""What to draw, or to hear, from a model, by its served functions alone.

A workdir and an exported model give the same pictures: each function takes
`functions` of signatures.functions or export.load and the run's `config`, and
returns examples float32 [N, ...], the number of columns of their grid, and
the titles of its pictures where they show labels (see plots.grid).
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfgen import distances, plots
from tfgen.data import Data
from tfgen.errors import UserError
from tfgen.training.workdir import Config

COLUMNS = 10
_TRAINING = 60_000  # images at most among which a neighbour is sought
Functions = dict[str, Callable]
Pictures = tuple[np.ndarray, int, list[str] | None]


def samples(
    functions: Functions,
    config: Config,
    labels: Sequence[int] | None,
    count: int,
    seed: int,
) -> Pictures:
    """`count` samples of the seeds seed, seed + 1, ...; labels repeat."""
    inputs = {'seed': np.arange(seed, seed + count, dtype=np.int64)}
    inputs |= _labels(config, labels, count)
    (drawn,) = _call(functions, 'sample', inputs).values()
    shown = inputs.get('label')
    columns = plots.label_columns(shown, COLUMNS)
    return drawn, columns, _titles(config, shown)


def density(functions: Functions, config: Config) -> Callable | None:
    """[N, *shape] -> log p [N], where the model says it without a label."""
    if 'log_prob' not in functions or config.preset.conditional:
        return None

    def log_prob(examples):
        inputs = {config.spec.key: examples}
        return _call(functions, 'log_prob', inputs)['log_prob']

    return log_prob


def score(functions: Functions, config: Config) -> Callable | None:
    """[N, *shape] -> the discriminator's scores [N], without a label."""
    if 'score' not in functions or config.preset.conditional:
        return None

    def scores(examples):
        return _call(functions, 'score', {config.spec.key: examples})['score']

    return scores


def interpolation(
    functions: Functions,
    config: Config,
    labels: Sequence[int] | None,
    seed: int,
) -> Pictures:
    """Ten rows, each a straight line between two draws from the prior."""
    _require(functions, 'decode', 'interpolation')
    size = config.preset.latent_size
    uniform = np.random.default_rng(seed).random([2, COLUMNS, 1, size])
    ends = config.preset.model.prior_quantiles(uniform, config.preset.settings)
    weights = np.linspace(0, 1, COLUMNS)[:, None]
    z = ends[0] * (1 - weights) + ends[1] * weights
    shown = _labels(config, labels, COLUMNS).get('label')
    named = None if shown is None else np.repeat(shown, COLUMNS)
    drawn = _decode(functions, config, z, labels)
    return drawn, COLUMNS, _titles(config, named)


def manifold(
    functions: Functions,
    config: Config,
    labels: Sequence[int] | None,
    size: int = 20,
) -> Pictures:
    """The plane of the first two latents, the others in the middle; one label.

    At quantiles of the prior, so that equal steps are equally probable (Kingma
    and Welling 2014, appendix A).
    """
    _require(functions, 'decode', 'manifold')
    if config.preset.latent_size < 2:
        raise UserError('a manifold needs latent_size 2 or more')
    uniform = np.full([size, size, config.preset.latent_size], 0.5)
    uniform[..., 0] = (np.arange(size) + 0.5) / size
    uniform[..., 1] = 1.0 - uniform[..., 0].T
    z = config.preset.model.prior_quantiles(uniform, config.preset.settings)
    one_label = None if labels is None else labels[:1]
    if one_label is None and config.preset.conditional:
        one_label = [0]
    return _decode(functions, config, z, one_label), size, None


def reconstruction(
    functions: Functions, config: Config, examples: Data
) -> Pictures:
    """Test images, each row above its reconstructions."""
    _require(functions, 'reconstruct', 'reconstruction')
    batch = _real(config, examples, 4 * COLUMNS)
    key = config.spec.key
    decoded = _call(functions, 'reconstruct', batch)[key]
    rows = np.stack([_rows(batch[key]), _rows(decoded)], axis=1)
    return rows.reshape(-1, *config.spec.shape), COLUMNS, None


def styles(functions: Functions, config: Config, examples: Data) -> Pictures:
    """A test image, then every label in its style (the notes' other digit).

    z is the mean of q(z | image, its label), decoded with each label.
    """
    _require(functions, 'encode', 'styles')
    if not config.preset.conditional:
        raise UserError(
            'styles needs a conditional model: train with '
            '--set conditional=true'
        )
    batch = _real(config, examples, COLUMNS)
    mean = _call(functions, 'encode', batch)['mean']
    classes = config.spec.num_classes
    z = np.repeat(mean[None], classes, axis=0)
    decoded = _decode(functions, config, z, range(classes))
    decoded = decoded.reshape(classes, -1, *config.spec.shape)
    real = batch[config.spec.key]
    grid = np.concatenate([real[None], decoded]).swapaxes(0, 1)
    named = ['test image', *_titles(config, range(classes))] * len(grid)
    return grid.reshape(-1, *config.spec.shape), classes + 1, named


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
    _require(functions, 'complete', 'completion')
    if examples is None:
        batch = _labels(config, None, count)
        inputs = batch | {'seed': seed + np.arange(count, dtype=np.int64)}
        batch = batch | _call(functions, 'sample', inputs)
    else:
        batch = _real(config, examples, count)
    spec = config.spec
    real = batch[spec.key]
    batch['mask'] = np.ones([count, *spec.mask_shape], np.float32)
    batch['mask'][:, real.shape[1] // 2 :] = 0.0
    hidden = spec.hide(real, batch['mask'])
    inputs = {k: np.repeat(v, tries, axis=0) for k, v in batch.items()}
    # Seeds that drew none of the examples.
    inputs['seed'] = seed + count + np.arange(count * tries)
    drawn = _call(functions, 'complete', inputs)[spec.key]
    drawn = drawn.reshape(len(real), tries, *real.shape[1:])
    grid = np.concatenate([real[:, None], hidden[:, None], drawn], axis=1)
    labels = batch.get('label')
    named = None if labels is None else np.repeat(labels, 2 + tries)
    return (
        grid.reshape(-1, *real.shape[1:]),
        2 + tries,
        _titles(config, named),
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
    rows = np.stack([_rows(x, columns) for x in pairs], axis=1)
    return rows.reshape(-1, *config.spec.shape), columns, None


def _call(functions, name, inputs):
    outputs = functions[name](**{k: tf.constant(v) for k, v in inputs.items()})
    return {k: v.numpy() for k, v in outputs.items()}


def _decode(functions, config, z, labels):
    """z [rows, columns, K], a label for each row -> examples."""
    inputs = {'z': z.reshape(-1, z.shape[-1]).astype(np.float32)}
    row_labels = _labels(config, labels, len(z))
    inputs |= {k: np.repeat(v, z.shape[1]) for k, v in row_labels.items()}
    return _call(functions, 'decode', inputs)[config.spec.key]


def _labels(config, labels, count):
    """{'label': int32 [count]}, by default all classes in turn."""
    if not config.preset.conditional:
        if labels is not None:
            raise UserError(
                f'labels {list(labels)}: this model is not conditional, leave '
                '--labels out'
            )
        return {}
    classes = config.spec.num_classes
    labels = list(range(classes)) if labels is None else list(labels)
    if any(not 0 <= label < classes for label in labels):
        raise UserError(f'labels {labels}: use 0 to {classes - 1}')
    return {'label': np.resize(labels, count).astype(np.int32)}


def _titles(config, labels):
    return plots.titles(labels, config.spec.class_names)


def _real(config, examples, count):
    """The first `count` test examples, repeated if there are fewer."""
    batch = next(iter(examples.evaluation('test', count)))
    batch = {k: v.numpy() for k, v in batch.items()}
    if not config.preset.conditional:
        batch.pop('label', None)
    return {k: np.resize(v, (count, *v.shape[1:])) for k, v in batch.items()}


def _rows(examples, columns=COLUMNS):
    return examples.reshape(-1, columns, *examples.shape[1:])


def _require(functions, name, kind):
    if name not in functions:
        raise UserError(
            f'this model cannot draw {kind}: it serves '
            f'{", ".join(sorted(functions))}'
        )
