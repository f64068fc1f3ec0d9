"""Trains a preset, or resumes a run that was stopped.

    tfgen train --preset=cvae_digits --workdir=runs/cvae_digits

In a clone, `python scripts/train.py` is the same.
"""

import dataclasses

from absl import flags

from tfgen.commands import cli

cli.workdir_flag()
cli.data_flag()
cli.cache_flag()
flags.DEFINE_string(
    'preset', None, 'Preset to train; --list_presets shows all.'
)
flags.DEFINE_multi_string(
    'set', [], 'field=value: changes a field of the preset; may be repeated.'
)
flags.DEFINE_string('dataset', None, 'Short for --set dataset=...')
flags.DEFINE_string(
    'init_from',
    None,
    'Workdir or export whose weights a new run starts from.',
)
flags.DEFINE_integer(
    'seed', 0, 'Seed of weights, order and noise.', 0, 2**31 - 1
)
flags.DEFINE_string(
    'strategy', 'auto', 'auto, one, mirrored, multiworker or tpu.'
)
flags.DEFINE_integer(
    'replicas',
    0,
    'Devices of strategy mirrored; 0: all GPUs, or 2 logical CPUs.',
    0,
    256,
)
flags.DEFINE_string('jit', 'auto', 'Compiles with XLA: auto, on or off.')
flags.DEFINE_string('precision', 'float32', 'float32 or mixed_bfloat16.')
flags.DEFINE_list(
    'metrics',
    None,
    'Metrics to write to TensorBoard at each checkpoint; see tfgen evaluate.',
)
flags.DEFINE_string(
    'profile_steps',
    None,
    'FIRST,LAST: profiles these steps for TensorBoard.',
)
flags.DEFINE_bool('list_presets', False, 'Prints the presets and stops.')


def main() -> None:
    from tfgen import presets
    from tfgen.evaluation import records
    from tfgen.training import (
        profiling,
        rehearsal,
        stopping,
        strategies,
        workdir,
    )
    from tfgen.training.run import train

    if flags.FLAGS.list_presets:
        print('\n'.join(records.table()))
        return
    settings = list(flags.FLAGS.set)
    if flags.FLAGS.dataset is not None:
        settings.append(f'dataset={flags.FLAGS.dataset}')
    workdir.require_precision(flags.FLAGS.precision)
    profile_steps = profiling.parse(flags.FLAGS.profile_steps)
    directory = cli.workdir()
    name, preset = _preset(directory, settings)
    # First, because it configures TensorFlow's devices.
    strategy = strategies.make(
        flags.FLAGS.strategy,
        flags.FLAGS.replicas,
        presets.halve_cores(name, preset) and flags.FLAGS.jit != 'on',
    )
    config, examples = _config(directory, name, preset, settings)
    workdir.check(directory, config)
    for line in examples.describe():
        print(line, flush=True)
    chosen = config.preset
    if rehearsal.needed(chosen.model, chosen.settings):
        rehearsal.rehearse(config.build(), chosen)
    measure = _measure(config, examples, strategy)
    with stopping.Stop().on_signals() as stop:
        train(
            config,
            examples,
            directory,
            strategy,
            flags.FLAGS.jit,
            stop,
            measure,
            profile_steps,
        )


def _preset(directory, settings):
    """The name and the preset of a new run, or of the one in `directory`."""
    from tfgen import presets
    from tfgen.presets.settings import changed
    from tfgen.training import workdir

    name = flags.FLAGS.preset
    if name or not (directory / 'config.json').exists():
        name = cli.required('preset')
        return name, presets.get(name, settings)
    config = workdir.read_config(directory)
    texts = presets.parse(settings)
    return config.name, changed(config.preset, texts, config.name)


def _config(directory, name, preset, settings):
    """The Config of the run, and its data."""
    from tfgen import presets
    from tfgen.training import workdir

    chosen = presets.parse(settings)
    if not flags.FLAGS.preset:  # every field is that of the run
        chosen = preset.hints()
    stored = None if flags.FLAGS.preset else workdir.read_config(directory)

    def value(flag):
        """The value of a flag, or that of the run which is resumed."""
        given = flags.FLAGS[flag]
        return (
            given.value if given.present or not stored else vars(stored)[flag]
        )

    kept = None if flags.FLAGS.dataset else workdir.kept_data(directory)
    return workdir.Config.of(
        name,
        preset,
        value('seed'),
        value('precision'),
        value('data_dir'),
        value('init_from'),
        data=kept,
        chosen=chosen,
    )


def _measure(config, examples, strategy):
    """Returns the function model -> results of --metrics, or None.

    It is None if --metrics is not given, or if this worker is not the chief.
    """
    from tfgen import evaluation
    from tfgen.evaluation import classifiers
    from tfgen.evaluation.base import Settings
    from tfgen.training import strategies

    names = flags.FLAGS.metrics
    if not names or not strategies.is_chief(strategy):
        return None
    settings = Settings(num_draws=1)
    chosen = evaluation.chosen(config.build(), examples, names, settings)
    if any(metric.needs_features for metric in chosen):
        own = classifiers.features(config, cli.cache(), flags.FLAGS.data_dir)
        settings = dataclasses.replace(settings, features=own)

    def measure(model):
        found = evaluation.evaluate(model, examples, settings, names)
        return {name: figure.value for name, figure in found.items()}

    return measure


def run() -> None:
    """Runs the console command."""
    cli.run(main, __name__)
