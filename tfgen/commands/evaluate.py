"""Evaluates a trained model and writes metrics.json into its workdir.

    tfgen evaluate --workdir=runs/cvae_digits

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
cli.cache_flag()
flags.DEFINE_string(
    'model_dir',
    None,
    'Evaluates an export or a pretrained model instead of a run.',
)
flags.DEFINE_list(
    'metrics', None, 'Metrics to compute; default: the usual ones of the model.'
)
flags.DEFINE_string('split', 'test', 'Split to evaluate: test or train.')
flags.DEFINE_integer(
    'batch_size', 100, 'Examples per batch.', upper_bound=_MOST
)
flags.DEFINE_integer(
    'num_samples',
    500,
    'Draws of z per example, S, in the importance weighted bound.',
    upper_bound=_MOST,
)
flags.DEFINE_integer(
    'limit',
    None,
    'Evaluates only this many examples of the split.',
    upper_bound=_MOST,
)
flags.DEFINE_integer('seed', 0, 'Seed of the noise.', 0, _MOST)
flags.DEFINE_integer(
    'num_generated',
    None,
    'Samples to draw for metrics of samples; default: the number in the '
    "metric's protocol, or the number of examples.",
    upper_bound=_MOST,
)
flags.DEFINE_integer(
    'num_draws',
    3,
    'Sets of samples to draw; results are means and deviations over sets.',
    upper_bound=_MOST,
)
flags.DEFINE_string(
    'features',
    None,
    'SavedModel whose features compare images; default: a classifier that is '
    'trained once for each data set and then kept.',
)
flags.DEFINE_string(
    'record',
    None,
    'Folder for PRESET.json, a record of the run and its results; '
    '--list_presets shows the records in results/.',
)


def main() -> None:
    from tfgen.evaluation.base import Settings

    settings = Settings(
        flags.FLAGS.split,
        flags.FLAGS.batch_size,
        flags.FLAGS.num_samples,
        flags.FLAGS.seed,
        flags.FLAGS.limit,
        flags.FLAGS.num_generated,
        flags.FLAGS.num_draws,
    )
    if flags.FLAGS.model_dir:
        _evaluate_export(settings)
    else:
        _evaluate_run(settings)


def _evaluate_run(settings):
    """Evaluates the last checkpoint of a run and writes the results."""
    from tfgen import storage
    from tfgen.evaluation import recording
    from tfgen.export import trained

    run = trained.load_run(cli.workdir())
    config = run.config
    examples = config.load_data(
        flags.FLAGS.data_dir, flags.FLAGS.dataset, run.folder
    )
    if flags.FLAGS.record:
        recording.require_whole(
            run.folder,
            config,
            run.step,
            settings,
            flags.FLAGS.metrics or None,
            flags.FLAGS.features,
        )
    metrics = _measured(run.model(), config, run.step, examples, settings)
    # Written after the figures are printed: a full disk must not lose them.
    storage.write_json(run.folder / 'metrics.json', metrics)
    if flags.FLAGS.record:
        file = cli.path(flags.FLAGS.record) / f'{config.name}.json'
        recording.write(file, run.folder, config, metrics)
        print(file)


def _evaluate_export(settings):
    """Evaluates an export from its signatures; writes nothing."""
    from tfgen.errors import UserError
    from tfgen.evaluation import exported
    from tfgen.export import trained

    if flags.FLAGS.workdir or flags.FLAGS.record:
        raise UserError(
            '--model_dir measures an export and records nothing: leave '
            '--workdir and --record out'
        )
    export = trained.load_export(flags.FLAGS.model_dir)
    config = export.config
    examples = config.load_data(flags.FLAGS.data_dir, flags.FLAGS.dataset)
    model = exported.stand_in(export.functions, config.build())
    _measured(model, config, export.step, examples, settings)


def _measured(model, config, step, examples, settings):
    """Computes and prints the metrics; returns the content of metrics.json."""
    from tfgen import evaluation
    from tfgen.evaluation import features

    begin = time.monotonic()
    metrics = flags.FLAGS.metrics or None
    if flags.FLAGS.features:
        own = features.of_saved_model(cli.path(flags.FLAGS.features))
        settings = dataclasses.replace(settings, features=own)
    chosen = evaluation.chosen(model, examples, metrics, settings)
    if metrics is None:
        lacking = evaluation.left_out(model, examples, settings)
        for name, lack in lacking.items():
            print(f'left out: {name}: {lack}', flush=True)
    trained = any(metric.needs_features for metric in chosen)
    if trained and not settings.features:
        own = _features(config, examples)
        settings = dataclasses.replace(settings, features=own)
    figures = evaluation.evaluate(model, examples, settings, metrics)
    size = examples.spec.split_sizes[settings.split]
    count = min(size, settings.limit or size)
    print(
        f'{config.name}, step {step}, {settings.split} split, {count} examples:'
    )
    for name, figure in figures.items():
        print(f'  {name}: {figure}', flush=True)
    return {
        'preset': config.name,
        'step': step,
        'seed': config.seed,
        'dataset': config.preset.dataset,
        'split': settings.split,
        'binarization': getattr(config.spec, 'binarization', None),
        'conditional': config.preset.conditional,
        'num_examples': count,
        'num_parameters': model.num_parameters(),
        'figures': {k: figure.as_dict() for k, figure in figures.items()},
        'evaluation_seed': settings.seed,
        'evaluation_seconds': round(time.monotonic() - begin, 1),
        'date': datetime.date.today().isoformat(),
        'machine': f'{platform.machine()}, {os.cpu_count()} CPU cores',
    }


def _features(config, examples):
    """Returns the classifier whose features compare images."""
    from tfgen.evaluation import classifiers

    return classifiers.features(
        config,
        cli.cache(),
        flags.FLAGS.data_dir,
        flags.FLAGS.dataset,
        examples,
    )


def run() -> None:
    """Runs the console command."""
    cli.run(main, __name__)
