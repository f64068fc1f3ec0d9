"""Pictures of a model's latent space, from its served functions alone.

They apply to every model that serves `decode`. See completion.py for their
arguments and results. `Codes` gives the range of a model's codes.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tfgen import plots
from tfgen.data import Data
from tfgen.data.readers.base import sample_rows
from tfgen.errors import UserError
from tfgen.evaluation import distances
from tfgen.models.contracts.latent import LatentVariableModel
from tfgen.pictures.calls import (
    COLUMNS,
    Pictures,
    decode,
    in_rows,
    labels_of,
    real_examples,
    require,
    titles_of,
)

if TYPE_CHECKING:
    from tfgen.export.trained import TrainedModel

_MOST = 2000  # examples to encode, at most
_TRAINING = 10_000  # training examples to search for neighbours, at most
_NEIGHBOURS = 3  # other examples that t-SNE needs per unit of perplexity


@dataclasses.dataclass(frozen=True)
class Codes:
    """Quantiles of each dimension of the codes.

    Attributes:
      model: the model that has these codes.
      sorted: [N, K], codes of examples, each dimension sorted by itself; None
        if the model has a prior, whose quantiles are then used.
    """

    model: 'TrainedModel'
    sorted: np.ndarray | None = None

    @staticmethod
    def of(model: 'TrainedModel', examples: Data | None) -> 'Codes':
        """Takes the quantiles of the prior, or else of test examples."""
        if has_prior(model):
            return Codes(model)
        require(model, 'encode', 'codes')
        batch = real_examples(model, examples, _MOST, repeat=False)
        codes = np.sort(encode(model, batch), axis=0)
        if len(codes) < 2:
            raise UserError(
                'the range of codes needs two test examples, and there is one: '
                'add examples'
            )
        return Codes(model, codes)

    def quantiles(self, uniform: np.ndarray) -> np.ndarray:
        """Maps probabilities in (0, 1), [..., K], to codes [..., K]."""
        if self.sorted is None:
            preset = self.model.config.preset
            return preset.model.prior_quantiles(uniform, preset.settings)
        last = len(self.sorted) - 1
        rows = np.round(uniform * last).astype(int)
        return np.take_along_axis(
            self.sorted, rows.reshape(-1, rows.shape[-1]), axis=0
        ).reshape(uniform.shape)


def has_prior(model: 'TrainedModel') -> bool:
    """Whether the model has a prior of codes."""
    return issubclass(model.config.preset.model, LatentVariableModel)


def encode(model: 'TrainedModel', batch: dict) -> np.ndarray:
    """Returns the codes of a batch, [N, K]: z, or the mean of q(z|x)."""
    found = model.call('encode', batch)
    return found['z'] if 'z' in found else found['mean']


def interpolation(
    model: 'TrainedModel',
    labels: Sequence[int] | None,
    seed: int,
    examples: Data | None = None,
    spherical: bool = False,
) -> Pictures:
    """Draws ten rows; each interpolates between two codes.

    Args:
      examples: if given, the codes are those of test examples, the first two
        for the first row and so on. If not, they are drawn from the prior.
      spherical: interpolate along the arc, on which the length of z changes
        evenly (White 2016, section 2.1), instead of the straight line.
    """
    require(model, 'interpolate', 'interpolation')
    if examples is None:
        ends = _drawn(model, [2, COLUMNS], seed)
        shown = labels_of(model, labels, COLUMNS)
    else:
        require(model, 'encode', 'interpolation of examples')
        batch = real_examples(model, examples, 2 * COLUMNS)
        ends = encode(model, batch).reshape(COLUMNS, 2, -1).swapaxes(0, 1)
        shown = {k: v[::2] for k, v in batch.items() if k == 'label'}
    inputs = {
        'z': np.repeat(ends[0], COLUMNS, axis=0).astype(np.float32),
        'z_to': np.repeat(ends[1], COLUMNS, axis=0).astype(np.float32),
        'weight': np.tile(
            np.linspace(0, 1, COLUMNS, dtype=np.float32), COLUMNS
        ),
        'spherical': np.full(COLUMNS**2, int(spherical), np.int32),
    }
    inputs |= {k: np.repeat(v, COLUMNS) for k, v in shown.items()}
    drawn = model.call('interpolate', inputs)[model.spec.key]
    labels = shown.get('label')
    named = None if labels is None else np.repeat(labels, COLUMNS)
    return drawn, COLUMNS, titles_of(model, named)


def traversal(
    model: 'TrainedModel',
    codes: Codes,
    labels: Sequence[int] | None,
    most: int = 20,
) -> Pictures:
    """Draws one row per dimension of the code; only that dimension varies.

    The dimension goes from its 5% quantile to its 95% quantile. The other
    dimensions are at their medians. At most `most` dimensions are drawn. All
    rows have the same label.
    """
    require(model, 'decode', 'traversal')
    size = _size(model)
    rows = min(size, most)
    uniform = np.full([rows, COLUMNS, size], 0.5)
    uniform[range(rows), :, range(rows)] = np.linspace(0.05, 0.95, COLUMNS)
    label = _one_label(model, labels)
    return (
        decode(model, codes.quantiles(uniform), label),
        COLUMNS,
        None,
    )


def manifold(
    model: 'TrainedModel',
    codes: Codes,
    labels: Sequence[int] | None,
    size: int = 20,
    dimensions: tuple[int, int] = (0, 1),
) -> Pictures:
    """Draws the plane of two dimensions of the code, with one label.

    The other dimensions are at their medians. The points of the grid are
    quantiles, so equal steps have equal probability (Kingma and Welling 2014,
    appendix A).

    Args:
      dimensions: the one that grows to the right, then the one that grows
        upwards.
    """
    require(model, 'decode', 'manifold')
    if _size(model) < 2:
        raise UserError('a manifold needs latent_size 2 or more')
    across, up = dimensions
    if across == up or max(dimensions) >= _size(model):
        raise UserError(
            f'dimensions {across},{up}: use two different ones of 0 to '
            f'{_size(model) - 1}'
        )
    uniform = np.full([size, size, _size(model)], 0.5)
    uniform[..., across] = (np.arange(size) + 0.5) / size
    uniform[..., up] = 1.0 - uniform[..., across].T
    label = _one_label(model, labels)
    z = codes.quantiles(uniform)
    return decode(model, z, label), size, None


def corners(
    model: 'TrainedModel',
    labels: Sequence[int] | None,
    seed: int,
    examples: Data | None = None,
) -> Pictures:
    """Draws a square whose corners are four codes, with one label.

    A code between the corners is their weighted mean: the nearer a corner, the
    larger its weight.

    Args:
      examples: if given, the codes are those of four test examples, of
        different classes where there are any. If not, they are drawn from the
        prior.
    """
    require(model, 'decode', 'corners')
    if examples is None:
        ends = _drawn(model, [4], seed)
    else:
        require(model, 'encode', 'corners of examples')
        ends = encode(model, _of_different_classes(model, examples))
    share = np.linspace(0, 1, COLUMNS)
    sides = np.stack([1 - share, share])  # [2, COLUMNS]
    weights = np.einsum('ar,bc->rcab', sides, sides)
    z = weights.reshape(COLUMNS, COLUMNS, 4) @ ends
    return decode(model, z, _one_label(model, labels)), COLUMNS, None


def _of_different_classes(model, examples):
    """A batch of four test examples, of different classes if there are any."""
    rows = sample_rows(examples.count('test'), 1000)
    batch = {k: v.numpy() for k, v in examples.at('test', rows).items()}
    labels = batch.get('label', np.zeros(len(rows)))
    _, first = np.unique(labels, return_index=True)
    rest = [n for n in range(len(rows)) if n not in first]
    chosen = np.resize([*np.sort(first), *rest][:4], 4)
    if not model.conditional:
        batch.pop('label', None)
    return {k: v[chosen] for k, v in batch.items()}


def styles(model: 'TrainedModel', examples: Data) -> Pictures:
    """Draws test images, each followed by all labels in its style.

    z is encoded from the image and its label, and decoded with each label. This
    is the notes' example "same style, other digit".
    """
    require(model, 'encode', 'styles')
    if not model.conditional:
        raise UserError(
            'styles needs a conditional model: train with '
            '--set conditional=true'
        )
    batch = real_examples(model, examples, COLUMNS)
    mean = encode(model, batch)
    classes = model.spec.num_classes
    z = np.repeat(mean[None], classes, axis=0)
    decoded = decode(model, z, range(classes))
    decoded = decoded.reshape(classes, -1, *model.spec.shape)
    real = batch[model.spec.key]
    grid = np.concatenate([real[None], decoded]).swapaxes(0, 1)
    named = ['test image', *titles_of(model, range(classes))] * len(grid)
    return grid.reshape(-1, *model.spec.shape), classes + 1, named


def attributes(
    model: 'TrainedModel',
    examples: Data,
    labels: Sequence[int] | None,
) -> Pictures:
    """Draws test examples of one class moving towards another class.

    The difference of the two classes' mean codes is added to the code of each
    example, 0 to 1.5 times (Radford et al. 2016, section 6.3.2; Larsen et al.
    2016, section 4.1).

    Args:
      labels: the class of the examples, then the other; default 0 and 1.
    """
    require(model, 'encode', 'attributes')
    if model.conditional or model.spec.num_classes < 2:
        raise UserError(
            'attributes need two classes and an unconditional model: use '
            '--kind=styles, or train with --set conditional=false'
        )
    labels = [0, 1] if labels is None else list(labels)
    if len(labels) != 2:
        raise UserError(
            f'labels {labels}: attributes take two labels, from and to'
        )
    first, last = labels
    codes, seen, real = _coded(model, examples, 'test')
    known = sorted({*seen.tolist()})
    for label in (first, last):
        if label not in known:
            raise UserError(
                f'no test example has label {label}, only {known[:10]}: pass '
                'two of these as --labels, or add examples'
            )
    step = codes[seen == last].mean(0) - codes[seen == first].mean(0)
    chosen = np.flatnonzero(seen == first)[:COLUMNS]
    weights = np.linspace(0, 1.5, COLUMNS - 1)
    z = codes[chosen][:, None] + weights[:, None] * step
    drawn = decode(model, z, None)
    drawn = drawn.reshape(len(chosen), -1, *model.spec.shape)
    grid = np.concatenate([real[chosen][:, None], drawn], axis=1)
    return grid.reshape(-1, *model.spec.shape), COLUMNS, None


def code_neighbours(
    model: 'TrainedModel', examples: Data, count: int
) -> Pictures:
    """Draws test examples above their nearest training examples.

    Below each row of test examples is a row of the nearest training examples by
    code, and a row of the nearest by value.
    """
    require(model, 'encode', 'code neighbours')
    codes, _, real = _coded(model, examples, 'test', count)
    known, _, training = _coded(model, examples, 'train', _TRAINING)
    by_code, _ = distances.nearest(codes, known)
    by_value, _ = distances.nearest(
        real.reshape(len(real), -1), training.reshape(len(training), -1)
    )
    columns = min(COLUMNS, len(real))
    rest = -len(real) % columns
    found = [
        np.concatenate([x, np.zeros([rest, *x.shape[1:]], x.dtype)])
        for x in (real, training[by_code], training[by_value])
    ]
    rows = np.stack([in_rows(x, columns) for x in found], axis=1)
    return rows.reshape(-1, *model.spec.shape), columns, None


def plane(model: 'TrainedModel', examples: Data, method: str) -> np.ndarray:
    """Draws the codes of test examples as a scatter plot.

    Args:
      method: the projection to two dimensions, if codes have more: 'pca', or
        'tsne' (van der Maaten and Hinton 2008).

    Returns:
      uint8 [side, side, 3]; one colour per label.
    """
    require(model, 'encode', 'a map of codes')
    codes, labels, _ = _coded(model, examples, 'test')
    codes = codes - codes.mean(0)
    if codes.shape[1] != 2:
        codes = _projected(codes, method)
    # If all codes are equal, the quantile is 0 and any extent will do.
    extent = 1.1 * float(np.quantile(np.abs(codes), 0.999)) or 1.0
    return plots.scatter(codes, extent, titles_of(model, labels))


def _projected(codes, method):
    """Projects codes [N, K] with mean 0 to [N, 2]."""
    if method == 'pca' or codes.shape[1] < 2 or not codes.any():
        _, _, axes = np.linalg.svd(codes, full_matrices=False)
        places = codes @ axes[:2].T
        # One dimension or one example gives a single axis.
        return np.pad(places, [[0, 0], [0, 2 - places.shape[1]]])
    # Imported here because it takes seconds to load.
    from sklearn.manifold import TSNE

    count = len(codes)
    if count < _NEIGHBOURS + 1:
        raise UserError(
            f'a t-SNE map needs {_NEIGHBOURS + 1} test examples or more, and '
            f'there are {count}: use --method=pca, or add examples'
        )
    perplexity = min(30.0, (count - 1) / _NEIGHBOURS)
    places = TSNE(init='pca', perplexity=perplexity, random_state=0)
    return places.fit_transform(codes)


def projector(model: 'TrainedModel', examples: Data) -> dict[str, bytes]:
    """Returns the files for TensorBoard's embedding projector: name -> bytes.

    They hold the codes of test examples, their labels and, for images, the
    pictures.
    """
    require(model, 'encode', 'a map of codes')
    codes, labels, real = _coded(model, examples, 'test')
    lines = ['\t'.join(f'{x:.6g}' for x in code) for code in codes]
    files = {'codes.tsv': '\n'.join(lines).encode()}
    settings = ['tensor_path: "codes.tsv"', 'tensor_name: "codes"']
    if labels is not None:
        named = titles_of(model, labels)
        files['labels.tsv'] = '\n'.join(named).encode()
        settings.append('metadata_path: "labels.tsv"')
    spec = model.spec
    if spec.ending == 'png':
        # The projector expects a square of sprites, row by row.
        side = int(np.ceil(np.sqrt(len(real))))
        height, width, channels = spec.shape
        filled = np.zeros([side * side, *spec.shape], np.float32)
        filled[: len(real)] = real
        sheet = filled.reshape(side, side, height, width, channels)
        sheet = sheet.swapaxes(1, 2).reshape(1, side * height, -1, channels)
        (files['sprites.png'],) = spec.encode(sheet).numpy()
        settings.append(
            'sprite { image_path: "sprites.png" '
            f'single_image_dim: {width} single_image_dim: {height} }}'
        )
    lines = ['embeddings {', *(f'  {line}' for line in settings), '}', '']
    files['projector_config.pbtxt'] = '\n'.join(lines).encode()
    return files


def _coded(model, examples, split, most=_MOST):
    """Encodes the first `most` examples of a split.

    Returns:
      Codes [N, K], labels [N] or None, and the examples [N, ...].
    """
    codes, labels, real = [], [], []
    for batch in examples.evaluation(split, 500, most):
        batch = {k: v.numpy() for k, v in batch.items()}
        labels.append(batch.get('label'))
        if not model.conditional:
            batch.pop('label', None)
        codes.append(encode(model, batch))
        real.append(batch[model.spec.key])
    labels = None if labels[0] is None else np.concatenate(labels)
    return np.concatenate(codes), labels, np.concatenate(real)


def _drawn(model, shape, seed):
    """Codes drawn from the prior: [*shape, K]."""
    if not has_prior(model):
        raise UserError(
            'this model has no prior: use test examples, with --given=test'
        )
    uniform = np.random.default_rng(seed).random([*shape, _size(model)])
    return Codes(model).quantiles(uniform)


def _size(model):
    """Returns K, the number of dimensions of a code."""
    preset = model.config.preset
    return preset.model.code_size(preset.settings)


def _one_label(model, labels):
    """Returns the first label, by default 0; None for unconditional models."""
    if labels is None:
        return [0] if model.conditional else None
    return labels[:1]
