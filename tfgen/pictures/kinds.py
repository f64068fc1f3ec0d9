"""The kinds of pictures that a trained model draws, by name."""

import dataclasses
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from tfgen import arguments, plots
from tfgen.arguments import Count, Size
from tfgen.data import Data
from tfgen.errors import UserError
from tfgen.pictures import completion, drawing, latent_space
from tfgen.pictures.calls import Pictures, require
from tfgen.pictures.picture import Picture

if TYPE_CHECKING:
    from tfgen.export.trained import TrainedModel


@dataclasses.dataclass(frozen=True)
class Options:
    """How to draw.

    Attributes:
      labels: of the samples, repeated in turn; None takes all classes in turn.
      count: number of samples (default: 100; points: 2500), of drawings (16),
        of samples or test examples with their neighbours (20), or of rows of
        completions (10).
      given: the examples to complete (default: 'test'), to interpolate or to
        take as corners: 'test' for test examples, 'samples' for samples of the
        model, which need no data. The two last default to 'samples' if the
        model has a prior.
      spherical: whether to interpolate along an arc instead of a line.
      method: the projection of codes for a 'map'.
      dimensions: of the code, that span a 'manifold'.
      tries: number of completions of each example.
      seed: of the first sample.
    """

    labels: Sequence[int] | None = None
    count: Size | None = None
    given: Literal['test', 'samples'] | None = None
    spherical: bool = False
    method: Literal['pca', 'tsne'] = 'pca'
    dimensions: tuple[Count, Count] = (0, 1)
    tries: Size = 8
    seed: Count = 0


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of picture.

    Attributes:
      draw: (model, examples or None, options) -> Pictures, or a Picture.
      needs: functions that the model must serve.
      data: (model, options) -> whether it needs examples.
      moving: whether its columns are also the frames of an animation.
      applies: whether a model that serves these functions can draw it.
    """

    draw: Callable[['TrainedModel', Any, Options], Pictures | Picture]
    needs: tuple[str, ...]
    data: Callable[['TrainedModel', Options], bool] = lambda model, options: (
        True
    )
    moving: bool = False
    applies: Callable[['TrainedModel'], bool] = lambda model: True


def of(model: 'TrainedModel') -> list[str]:
    """Names of the kinds that a model can draw."""
    return [
        name
        for name, kind in KINDS.items()
        if all(need in model.functions for need in kind.needs)
        and kind.applies(model)
        and (name != 'history' or (model.folder / 'samples').is_dir())
    ]


def draw(
    model: 'TrainedModel',
    name: str,
    examples: Data | None = None,
    **options: Any,
) -> Picture:
    """Draws a picture.

    Args:
      model: the model.
      name: one of KINDS.
      examples: the model's data; None opens them if they are needed.
      options: fields of Options.

    Raises:
      UserError: unknown name or option, or the model cannot draw it.
    """
    if name not in KINDS:
        raise UserError(f'unknown kind {name!r}: use {", ".join(of(model))}')
    unknown = options.keys() - Options.__dataclass_fields__.keys()
    if unknown:
        raise UserError(
            f'a picture has no option {min(unknown)!r}: use '
            f'{", ".join(Options.__dataclass_fields__)}'
        )
    checked = {k: v for k, v in options.items() if k != 'labels'}
    arguments.check_for(Options, **checked)
    kind, how = KINDS[name], Options(**options)
    if examples is None and needs_data(model, name, how):
        examples = model.data()
    drawn = kind.draw(model, examples, how)
    if isinstance(drawn, Picture):
        return drawn
    return _picture(model, *drawn, moving=kind.moving)


def needs_data(model: 'TrainedModel', name: str, options: Options) -> bool:
    """Whether a kind of picture needs the model's data."""
    return KINDS[name].data(model, options)


def _picture(model, drawn, columns, titles, moving):
    """The picture of examples in rows of `columns`."""
    spec = model.spec
    pixels = spec.draw(
        drawn,
        columns,
        titles,
        completion.density(model),
        completion.score(model),
    )
    files, frames = {}, None
    if spec.one_file_each:
        for index, content in enumerate(spec.encode(drawn).numpy()):
            row, column = divmod(index, columns)
            files[f'row{row:02d}_column{column:02d}.{spec.ending}'] = content
    if moving:
        frames = _frames(spec, drawn, columns)
    return Picture(pixels, drawn, files, frames)


def _frames(spec, drawn, columns):
    """Frames that run through the columns of all rows, forth and back."""
    rows = drawn.reshape(-1, columns, *drawn.shape[1:])
    some = max(1, round(len(rows) ** 0.5))
    return [
        Image.fromarray(spec.draw(rows[:, column], some).squeeze())
        for column in [*range(columns), *range(columns - 2, 0, -1)]
    ]


def _samples(model, examples, how):
    count = how.count or max(100, model.spec.shown)
    return completion.samples(model, how.labels, count, how.seed)


def _interpolation(model, examples, how):
    if how.given == 'test':
        require(model, 'encode', 'interpolation of examples')
    return latent_space.interpolation(
        model,
        how.labels,
        how.seed,
        examples if _between_examples(model, how) else None,
        how.spherical,
    )


def _between_examples(model, how):
    """Whether codes are those of test examples.

    They are with given='test', and by default if the model has no prior.
    """
    if how.given is None:
        return not latent_space.has_prior(model)
    return how.given == 'test'


def _codes_need_data(model, how):
    return 'encode' in model.functions and _between_examples(model, how)


def _traversal(model, examples, how):
    codes = latent_space.Codes.of(model, examples)
    return latent_space.traversal(model, codes, how.labels)


def _manifold(model, examples, how):
    codes = latent_space.Codes.of(model, examples)
    return latent_space.manifold(
        model, codes, how.labels, dimensions=how.dimensions
    )


def _corners(model, examples, how):
    if how.given == 'test':
        require(model, 'encode', 'corners of examples')
    given = examples if _between_examples(model, how) else None
    return latent_space.corners(model, how.labels, how.seed, given)


def _drawing(model, examples, how):
    return drawing.drawing(model, how.labels, how.count or 16, how.seed)


def _completion(model, examples, how):
    if how.given == 'samples':
        examples = None
    return completion.completion(
        model, examples, how.count or 10, how.tries, how.seed
    )


def _neighbours(model, examples, how):
    return completion.neighbours(model, examples, how.count or 20, how.seed)


def _history(model, examples, how):
    return history(model.folder)


def history(folder) -> Picture:
    """A strip and an animation of the samples drawn during a training.

    Raises:
      UserError: the folder holds none.
    """
    found = sorted((folder / 'samples').glob('step_*.png'))
    if not found:
        raise UserError(
            f'{str(folder)!r} holds no samples of a training: pass the '
            '--workdir of a run'
        )
    frames = [Image.open(io.BytesIO(file.read_bytes())) for file in found]
    return Picture(plots.strip(frames), frames=frames, seconds=0.4)


def _never(model, how):
    return False


KINDS: dict[str, Kind] = {
    'samples': Kind(_samples, ('sample',), _never),
    'interpolation': Kind(
        _interpolation, ('interpolate',), _codes_need_data, moving=True
    ),
    'traversal': Kind(_traversal, ('decode',), _codes_need_data, moving=True),
    'manifold': Kind(_manifold, ('decode',), _codes_need_data),
    'corners': Kind(_corners, ('decode',), _codes_need_data),
    'drawing': Kind(
        _drawing,
        ('sample',),
        _never,
        applies=drawing.is_autoregressive,
    ),
    'receptive_field': Kind(
        lambda model, examples, how: drawing.receptive_field(model),
        ('sample',),
        _never,
        applies=drawing.has_dilations,
    ),
    'reconstruction': Kind(
        lambda model, examples, how: completion.reconstruction(model, examples),
        ('reconstruct',),
    ),
    'styles': Kind(
        lambda model, examples, how: latent_space.styles(model, examples),
        ('encode', 'decode'),
        applies=lambda model: model.conditional,
    ),
    'attributes': Kind(
        lambda model, examples, how: latent_space.attributes(
            model, examples, how.labels
        ),
        ('encode', 'decode'),
        applies=lambda model: (
            not model.conditional and model.spec.num_classes > 1
        ),
    ),
    'completion': Kind(
        _completion,
        ('complete',),
        lambda model, how: how.given != 'samples',
    ),
    'neighbours': Kind(_neighbours, ('sample',)),
    'code_neighbours': Kind(
        lambda model, examples, how: latent_space.code_neighbours(
            model, examples, how.count or 20
        ),
        ('encode',),
    ),
    'map': Kind(
        lambda model, examples, how: Picture(
            latent_space.plane(model, examples, how.method)
        ),
        ('encode',),
    ),
    'history': Kind(_history, (), _never),
}
