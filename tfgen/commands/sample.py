"""Draws a PNG grid from a workdir or from an exported model.

A model of sounds gives a grid of spectrograms and a folder of WAV files.

    tfgen-sample --workdir=runs/cvae_digits --kind=styles
    tfgen-sample --model_dir=exports/cvae_digits --labels=7,8

In a clone, `python scripts/sample.py` is the same.
"""

from absl import flags

from tfgen.commands import cli

_KINDS = (
    'samples',
    'interpolation',
    'traversal',
    'manifold',
    'reconstruction',
    'styles',
    'attributes',
    'completion',
    'neighbours',
    'code_neighbours',
    'map',
    'projector',
    'history',
)
_MOST = 1_000_000
_NEED_DATA = {
    'reconstruction',
    'styles',
    'attributes',
    'completion',
    'neighbours',
    'code_neighbours',
    'map',
    'projector',
}
# Pictures of codes. They need examples if the model has no prior.
_IN_CODES = {'interpolation', 'traversal', 'manifold'}
# Pictures whose rows are also written as animations.
_MOVING = {'interpolation', 'traversal'}
cli.workdir_flag()
cli.data_flag()
cli.dataset_flag()
flags.DEFINE_string(
    'model_dir', None, 'Folder of an exported model, or a pretrained one.'
)
flags.DEFINE_list('kind', ['samples'], 'Pictures to draw: ' + ', '.join(_KINDS))
flags.DEFINE_list(
    'labels',
    None,
    'Labels of the samples, for example 3,1,4, repeated in turn.',
)
flags.DEFINE_integer(
    'count',
    None,
    'Number of samples (default: 100; points: 2500) or of completed rows (10).',
    upper_bound=_MOST,
)
flags.DEFINE_enum(
    'given',
    None,
    ['test', 'samples'],
    'Source of the examples to complete (default: test) or to interpolate '
    '(default: samples, which need no data).',
)
flags.DEFINE_bool(
    'spherical', False, 'Interpolates along an arc instead of a line.'
)
flags.DEFINE_enum(
    'method', 'pca', ['pca', 'tsne'], 'Projection of a map of codes.'
)
flags.DEFINE_integer(
    'tries', 8, 'Number of completions of each example.', 1, _MOST
)
flags.DEFINE_integer('seed', 0, 'Seed of the first sample.', 0, 2**62)
flags.DEFINE_string(
    'output',
    None,
    'PNG file to write; default: KIND.png in the workdir or model_dir.',
)


def main() -> None:
    from tfgen.errors import UserError

    kinds = flags.FLAGS.kind
    unknown = [kind for kind in kinds if kind not in _KINDS]
    if unknown or not kinds:
        raise UserError(
            f'unknown kind {",".join(unknown)!r}: use {", ".join(_KINDS)}'
        )
    if flags.FLAGS.output and len(kinds) > 1:
        raise UserError(f'--output is one file: pass one --kind, not {kinds}')
    if flags.FLAGS.count is not None and flags.FLAGS.count < 1:
        raise UserError(f'count is {flags.FLAGS.count}: use 1 or more')
    labels = _labels()
    if 'history' in kinds:
        output = flags.FLAGS.output
        _write_history(cli.workdir(), cli.path(output) if output else None)
        kinds = [kind for kind in kinds if kind != 'history']
    if not kinds:
        return
    model = _open()
    need = _NEED_DATA.intersection(kinds)
    if flags.FLAGS.given == 'samples':
        need.discard('completion')
    if 'encode' in model.functions and _of_examples(model):
        need |= _IN_CODES.intersection(kinds)
    examples = (
        model.config.load_data(flags.FLAGS.data_dir, flags.FLAGS.dataset)
        if need
        else None
    )
    for kind in kinds:
        output = flags.FLAGS.output
        if kind == 'projector':
            folder = cli.path(output or str(model.folder / kind))
            _write_projector(folder, model, examples)
            continue
        file = cli.path(output or str(model.folder / f'{kind}.png'))
        if kind == 'map':
            _write_map(file, model, examples)
        else:
            drawn = _draw(kind, model, labels, examples)
            _write(file, model, *drawn)
            if kind in _MOVING:
                _write_moving(file.with_suffix('.gif'), model, *drawn)
        print(file)


def _of_examples(model):
    """Whether codes are those of test examples.

    They are with --given=test, and by default if the model has no prior.
    """
    from tfgen.pictures import latent_space

    given = flags.FLAGS.given
    if given is None:
        return not latent_space.has_prior(model)
    return given == 'test'


def _write_map(file, model, examples):
    """Writes a scatter plot of the codes of test examples."""
    from tfgen import storage
    from tfgen.pictures import latent_space

    method = flags.FLAGS.method
    picture = latent_space.plane(model, examples, method)
    storage.write_picture(file, picture)


def _write_projector(folder, model, examples):
    """Writes files that `tensorboard --logdir=FOLDER` shows."""
    from tfgen import storage
    from tfgen.pictures import latent_space

    made = latent_space.projector(model, examples)
    storage.write({folder / name: content for name, content in made.items()})
    print(folder)


def _write_moving(file, model, drawn, columns, titles):
    """Writes a GIF that moves along all rows at once, there and back."""
    from PIL import Image

    from tfgen import plots, storage

    rows = drawn.reshape(-1, columns, *drawn.shape[1:])
    some = max(1, round(len(rows) ** 0.5))
    frames = [
        Image.fromarray(model.spec.draw(rows[:, column], some).squeeze())
        for column in [*range(columns), *range(columns - 2, 0, -1)]
    ]
    storage.write({file: plots.moving(frames, seconds=0.12)})
    print(file)


def _write(file, model, drawn, columns, titles):
    """Writes the picture and, if spec.one_file_each, a file per example."""
    from tfgen import storage
    from tfgen.pictures import completion

    spec = model.spec
    picture = spec.draw(
        drawn,
        columns,
        titles,
        completion.density(model),
        completion.score(model),
    )
    if not spec.one_file_each:
        storage.write_picture(file, picture)
        return
    folder = file.with_name(f'{file.stem}_{spec.ending}')
    made = {}
    for index, content in enumerate(spec.encode(drawn).numpy()):
        row, column = divmod(index, columns)
        name = f'row{row:02d}_column{column:02d}.{spec.ending}'
        made[folder / name] = content
    # One call, so that picture and files always belong together.
    storage.write(made | {file: storage.encode_picture(file, picture)})
    # Remove the files of an earlier, larger grid.
    for old in folder.glob(f'row*_column*.{spec.ending}'):
        if old not in made:
            old.unlink()


def _write_history(directory, strip):
    """Writes a strip and a GIF of the samples drawn during training."""
    from PIL import Image

    from tfgen import plots, storage
    from tfgen.errors import UserError

    found = sorted((directory / 'samples').glob('step_*.png'))
    if not found:
        raise UserError(
            f'{str(directory)!r} holds no samples of a training: pass the '
            '--workdir of one'
        )
    frames = [Image.open(file) for file in found]
    strip = strip or directory / 'history.png'
    moving = strip.with_suffix('.gif')
    storage.write(
        {
            strip: storage.encode_picture(strip, plots.strip(frames)),
            moving: plots.moving(frames),
        }
    )
    print(strip)
    print(moving)


def _draw(kind, model, labels, examples):
    """Makes the picture of one --kind: its examples, columns and titles."""
    from tfgen.pictures import completion, latent_space

    count, seed = flags.FLAGS.count, flags.FLAGS.seed
    if kind == 'samples':
        count = count or max(100, model.spec.shown)
        return completion.samples(model, labels, count, seed)
    if kind == 'interpolation':
        return latent_space.interpolation(
            model,
            labels,
            seed,
            examples if _of_examples(model) else None,
            flags.FLAGS.spherical,
        )
    if kind in _IN_CODES:
        codes = latent_space.Codes.of(model, examples)
        draw = (
            latent_space.manifold
            if kind == 'manifold'
            else latent_space.traversal
        )
        return draw(model, codes, labels)
    if kind == 'reconstruction':
        return completion.reconstruction(model, examples)
    if kind == 'styles':
        return latent_space.styles(model, examples)
    if kind == 'attributes':
        return latent_space.attributes(model, examples, labels)
    if kind == 'code_neighbours':
        return latent_space.code_neighbours(model, examples, count or 20)
    if kind == 'neighbours':
        return completion.neighbours(model, examples, count or 20, seed)
    if flags.FLAGS.given == 'samples':
        examples = None
    return completion.completion(
        model, examples, count or 10, flags.FLAGS.tries, seed
    )


def _labels():
    """Returns --labels as whole numbers, or None."""
    from tfgen.errors import UserError

    if flags.FLAGS.labels is None:
        return None
    try:
        labels = [int(label) for label in flags.FLAGS.labels]
    except ValueError:
        labels = []
    if not labels:
        raise UserError(
            f'labels {flags.FLAGS.labels}: write whole numbers, for example '
            '--labels=3,1,4'
        )
    return labels


def _open():
    """Returns the TrainedModel of --workdir or --model_dir."""
    from tfgen.errors import UserError
    from tfgen.export import pretrained, trained

    if bool(flags.FLAGS.workdir) == bool(flags.FLAGS.model_dir):
        raise UserError('pass either --workdir or --model_dir')
    if flags.FLAGS.workdir:
        return trained.load_run(flags.FLAGS.workdir)
    model = trained.load_export(flags.FLAGS.model_dir)
    if model.folder.parent == pretrained.folder() and not flags.FLAGS.output:
        raise UserError(
            f'{flags.FLAGS.model_dir!r} comes with tfgen, and its folder is '
            'not for pictures: pass --output=FILE.png'
        )
    return model


def run() -> None:
    """Runs the console command."""
    cli.run(main, __name__)
