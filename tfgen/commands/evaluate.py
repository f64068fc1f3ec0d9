"""Measures a trained model and writes metrics.json into its workdir.

    tfgen-evaluate --workdir=runs/cvae_digits

In a clone, `python scripts/evaluate.py` is the same.
"""

import dataclasses
import datetime
import os
import platform
import time

from absl import flags

from tfgen.commands import cli

_MOST = 2**31 - 1
cli.workdir_flag()
cli.data_flag()
cli.dataset_flag()
flags.DEFINE_list('measures', None, 'Which; default: all that apply.')
flags.DEFINE_string('split', 'test', 'test or train.')
flags.DEFINE_integer(
    'batch_size', 100, 'Examples at a time.', upper_bound=_MOST
)
flags.DEFINE_integer(
    'num_samples', 500, 'S of the importance bound.', upper_bound=_MOST
)
flags.DEFINE_integer(
    'limit', None, 'Only the first examples of the split.', upper_bound=_MOST
)
flags.DEFINE_integer('seed', 0, 'Of the noise.', 0, _MOST)
flags.DEFINE_integer(
    'num_generated',
    None,
    'Samples of a set, where samples are measured; default: as many as the '
    'protocol of the measure says, or as there are of data.',
    upper_bound=_MOST,
)
flags.DEFINE_integer(
    'num_draws',
    3,
    'Sets of samples, over which the deviation is taken.',
    upper_bound=_MOST,
)
flags.DEFINE_string(
    'features',
    None,
    'SavedModel in whose features images are compared; default: a classifier '
    'that is trained once for each data set, and kept.',
)
flags.DEFINE_string(
    'cache_dir', None, 'Where it is kept; default: ~/.cache/tfgen.'
)
flags.DEFINE_string(
    'record',
    None,
    'Folder in which PRESET.json shall record the run and its figures; '
    '--list_presets and the README read those of results/.',
)


def main() -> None:
    from tfgen import evaluation, files
    from tfgen.evaluation.base import Settings
    from tfgen.training import recording, workdir

    directory = cli.workdir()
    config = workdir.read_config(directory)
    examples = config.load_data(flags.FLAGS.data_dir, flags.FLAGS.dataset)
    model, step = config.restore(directory)
    begin = time.monotonic()
    settings = Settings(
        flags.FLAGS.split,
        flags.FLAGS.batch_size,
        flags.FLAGS.num_samples,
        flags.FLAGS.seed,
        flags.FLAGS.limit,
        flags.FLAGS.num_generated,
        flags.FLAGS.num_draws,
    )
    measures = flags.FLAGS.measures or None
    if flags.FLAGS.record:
        recording.require_whole(
            directory, config, step, settings, measures, flags.FLAGS.features
        )
    chosen = evaluation.chosen(model, examples, measures)
    if any(measure.needs_features for measure in chosen):
        settings = dataclasses.replace(settings, features=_features(config))
    figures = evaluation.evaluate(model, examples, settings, measures)
    size = examples.spec.split_sizes[settings.split]
    metrics = {
        'preset': config.name,
        'step': step,
        'seed': config.seed,
        'dataset': config.preset.dataset,
        'split': settings.split,
        'binarization': getattr(config.spec, 'binarization', None),
        'conditional': config.preset.conditional,
        'num_examples': min(size, settings.limit or size),
        'num_parameters': model.num_parameters(),
        'figures': {k: figure.as_dict() for k, figure in figures.items()},
        'evaluation_seed': settings.seed,
        'evaluation_seconds': round(time.monotonic() - begin, 1),
        'date': datetime.date.today().isoformat(),
        'machine': f'{platform.machine()}, {os.cpu_count()} CPU cores',
    }
    print(
        f'{config.name}, step {step}, {settings.split} split, '
        f'{metrics["num_examples"]} examples:'
    )
    for name, figure in figures.items():
        print(f'  {name}: {figure}', flush=True)
    # Last: a full disk shall not cost the figures.
    files.write_json(directory / 'metrics.json', metrics)
    if flags.FLAGS.record:
        file = cli.path(flags.FLAGS.record) / f'{config.name}.json'
        recording.write(file, directory, config, metrics)
        print(file)


def _features(config):
    """The network in whose features images are compared."""
    from tfgen.evaluation import features
    from tfgen.training import classifiers

    if flags.FLAGS.features:
        return features.of_saved_model(cli.path(flags.FLAGS.features))
    cache = flags.FLAGS.cache_dir
    return classifiers.features(
        config,
        cli.path(cache) if cache else None,
        flags.FLAGS.data_dir,
        flags.FLAGS.dataset,
    )


def run() -> None:
    """The console command."""
    cli.run(main, __name__)
