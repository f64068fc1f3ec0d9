"""Draws pictures from a workdir or from an exported model.

A model of sounds gives a grid of spectrograms and a folder of WAV files.

    tfgen sample --workdir=runs/cvae_digits --kind=styles
    tfgen sample --model_dir=exports/cvae_digits --labels=7,8

In a clone, `python scripts/sample.py` is the same.
"""

from absl import flags

from tfgen.commands import cli

_KINDS = (
    'samples',
    'interpolation',
    'traversal',
    'manifold',
    'corners',
    'drawing',
    'receptive_field',
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
    'Number of samples (default: 100; points: 2500), of drawings (16) or of '
    'completed rows (10).',
    upper_bound=_MOST,
)
flags.DEFINE_enum(
    'given',
    None,
    ['test', 'samples'],
    'Source of the examples to complete (default: test), to interpolate or to '
    'take as corners (default: samples, which need no data).',
)
flags.DEFINE_bool(
    'spherical', False, 'Interpolates along an arc instead of a line.'
)
flags.DEFINE_enum(
    'method', 'pca', ['pca', 'tsne'], 'Projection of a map of codes.'
)
flags.DEFINE_list(
    'dimensions', ['0', '1'], 'Two dimensions of the code, for a manifold.'
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

    names = flags.FLAGS.kind
    unknown = [name for name in names if name not in _KINDS]
    if unknown or not names:
        raise UserError(
            f'unknown kind {",".join(unknown)!r}: use {", ".join(_KINDS)}'
        )
    if flags.FLAGS.output and len(names) > 1:
        raise UserError(f'--output is one file: pass one --kind, not {names}')
    if flags.FLAGS.count is not None and flags.FLAGS.count < 1:
        raise UserError(f'count is {flags.FLAGS.count}: use 1 or more')
    options = {
        'labels': _labels(),
        'count': flags.FLAGS.count,
        'given': flags.FLAGS.given,
        'spherical': flags.FLAGS.spherical,
        'method': flags.FLAGS.method,
        'dimensions': _dimensions(),
        'tries': flags.FLAGS.tries,
        'seed': flags.FLAGS.seed,
    }
    if 'history' in names:
        _write_history(cli.workdir())
        names = [name for name in names if name != 'history']
    if names:
        _draw(_open(), names, options)


def _draw(model, names, options):
    """Draws and writes the pictures of `names`."""
    from tfgen.pictures import kinds

    examples = None
    if 'projector' in names or any(
        kinds.needs_data(model, name, kinds.Options(**options))
        for name in names
        if name != 'projector'
    ):
        # Opened before anything is drawn, so that nothing is lost.
        examples = model.config.load_data(
            flags.FLAGS.data_dir, flags.FLAGS.dataset, model.folder
        )
    for name in names:
        output = flags.FLAGS.output
        if name == 'projector':
            folder = cli.path(output or str(model.folder / name))
            _write_projector(folder, model, examples)
            continue
        picture = kinds.draw(model, name, examples, **options)
        file = cli.path(output or str(model.folder / f'{name}.png'))
        print(*picture.save(file), sep='\n')


def _write_projector(folder, model, examples):
    """Writes files that `tensorboard --logdir=FOLDER` shows."""
    from tfgen import storage
    from tfgen.pictures import latent_space

    made = latent_space.projector(model, examples)
    storage.write({folder / name: content for name, content in made.items()})
    print(folder)


def _write_history(directory):
    """Writes a strip and a GIF of the samples drawn during training."""
    from tfgen.pictures import kinds

    output = flags.FLAGS.output
    file = cli.path(output) if output else directory / 'history.png'
    print(*kinds.history(directory).save(file), sep='\n')


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


def _dimensions():
    """Returns --dimensions as two whole numbers."""
    from tfgen.errors import UserError

    given = flags.FLAGS.dimensions
    try:
        across, up = map(int, given)
    except ValueError:
        raise UserError(
            f'dimensions {",".join(given)!r}: write two whole numbers, for '
            'example --dimensions=0,1'
        ) from None
    return across, up


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
