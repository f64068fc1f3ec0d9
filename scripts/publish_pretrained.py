"""Exports a trained run into pretrained/, with a model card.

    python scripts/publish_pretrained.py --workdir=runs/cvae_digits

The run must be the one that results/ records: a complete run of an unchanged
preset.
"""

import json
import pathlib
import shutil
import tempfile

from absl import flags

from tfgen.commands import cli

ROOT = pathlib.Path(__file__).resolve().parents[1]

cli.workdir_flag()
cli.data_flag()
flags.DEFINE_string('results', str(ROOT / 'results'), 'Folder of records.')
flags.DEFINE_string('pretrained', str(ROOT / 'pretrained'), 'Where it is put.')
flags.DEFINE_integer('largest', 4 * 2**20, 'Bytes that an export may have.')

_DIGITS = (
    "scikit-learn's 1,797 handwritten digits of 8x8 pixels (Alpaydin and "
    'Kaynak, UCI), CC BY 4.0'
)
_OURS = 'made by tfgen, Apache 2.0'
_MNIST = 'MNIST (LeCun, Cortes and Burges), CC BY-SA 3.0'
DATA = {
    'digits': _DIGITS,
    'mnist': _MNIST,
    'binarized_mnist': f'{_MNIST}, binarized by Salakhutdinov and Murray 2008',
    'spoken_digit': 'Free Spoken Digit Dataset (Jackson et al.), CC BY-SA 4.0',
    'tones': f'tones of ten pitches, {_OURS}',
    'numerals': f'numbers in English and Chinese words, {_OURS}',
    'two_moons': f'two half circles of points, {_OURS}',
    'moon_phases': f'pictures of the moon, {_OURS}',
}
LIMITS = {
    'CVAE': 'It decodes means, so its pictures are smoother than the data.',
    'PixelRNN': 'It draws pixel after pixel, row after row: what is known '
    'after a hidden pixel has no influence on it.',
    'WaveNet': 'It draws sample after sample, and knows nothing but the '
    'sounds it was trained on.',
    'Gaussian': 'One ellipse, whatever the data.',
    'GMM': 'As many ellipses as it has components, and nothing between them.',
    'TextVAE': 'It knows the words of numbers and nothing else; what lies '
    'between two lines need not be a number.',
    'GAN': 'It has no likelihood, and what it leaves out shows in its '
    'coverage.',
}


def main() -> None:
    from tfgen.errors import UserError
    from tfgen.evaluation import recording
    from tfgen.evaluation.base import Settings
    from tfgen.export import saved_model, trained

    run = trained.load_run(cli.workdir())
    config = run.config
    file = cli.path(flags.FLAGS.results) / f'{config.name}.json'
    if not file.exists():
        raise UserError(
            f'there is no record {str(file)!r}: make it with '
            'scripts/evaluate.py --record'
        )
    record = json.loads(file.read_text())
    if record['seed'] != config.seed:
        raise UserError(
            f'{str(file)!r} records seed {record["seed"]}, and the run has '
            f'{config.seed}: publish the run that was recorded'
        )
    examples = config.load_data(flags.FLAGS.data_dir)
    recording.require_whole(run.folder, config, run.step, Settings(), None)
    place = cli.path(flags.FLAGS.pretrained) / config.name
    with tempfile.TemporaryDirectory() as scratch:
        made = pathlib.Path(scratch) / config.name
        saved_model.export(run.live, config, run.step, examples, made)
        size = sum(f.stat().st_size for f in made.rglob('*') if f.is_file())
        if size > flags.FLAGS.largest:
            raise UserError(
                f'the export of {config.name!r} has {size} bytes, and may '
                f'have {flags.FLAGS.largest}: publish a smaller one'
            )
        (made / 'README.md').write_text(card(config.preset, record, size))
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(made, place)
    print(place)


def card(preset, record: dict, size: int) -> str:
    """Returns the model card: data, results, training and limits."""
    from tfgen.evaluation import records

    name, training = record['preset'], record['training']
    kind = preset.model.__name__
    given = ', given the label' if preset.conditional else ''
    points = {
        'What': f'{kind}{given}, {record["num_parameters"]:,} parameters, '
        f'{size:,} bytes.',
        'Data': f'{DATA.get(preset.dataset, preset.dataset)}.',
        'Figure': f'{"; ".join(records.figures(record))} '
        f'({record["split"]} split, {record["num_examples"]:,} examples, '
        'mean +- standard error).',
        'Made by': f'`{training["command"]}`, then '
        f'`python scripts/publish_pretrained.py --workdir=runs/{name}`: '
        f'{training["steps"]:,} steps of {training["batch_size"]}, '
        f'{training["seconds"]:,} s, seed {record["seed"]}, commit '
        f'{training["commit"]}, {record["date"]}, {record["machine"]}.',
        'Limits': LIMITS.get(kind, 'Those of its data.'),
    }
    lines = [f'# {name}', '']
    lines += [f'- **{key}**: {text}' for key, text in points.items()]
    lines += ['', '```python', 'import tfgen', '']
    lines += [f"model = tfgen.load('{name}')"]
    lines += ['model.functions.keys(), model.config', '```', '']
    return '\n'.join(lines)


if __name__ == '__main__':
    cli.run(main)
