"""Trains a preset, or continues a run that was stopped.

python scripts/train.py --preset=cvae_digits --workdir=runs/cvae_digits
"""

from absl import flags

from tfgen.commands import cli

cli.workdir_flag()
cli.data_flag()
flags.DEFINE_string('preset', None, 'What to train; see --list_presets.')
flags.DEFINE_multi_string('set', [], 'field=value: changes one preset field.')
flags.DEFINE_string('dataset', None, 'Short for --set dataset=...')
flags.DEFINE_integer('seed', 0, 'Weights, order and noise.', 0, 2**31 - 1)
flags.DEFINE_string('strategy', 'auto', 'auto, one, mirrored, multiworker, tpu')
flags.DEFINE_integer(
    'replicas',
    0,
    'Devices of mirrored; 0: all GPUs, or 2 logical CPUs.',
    0,
    256,
)
flags.DEFINE_string('jit', 'auto', 'XLA: auto, on, off.')
flags.DEFINE_string('precision', 'float32', 'float32 or mixed_bfloat16.')
flags.DEFINE_bool('list_presets', False, 'Prints the presets and stops.')


def main() -> None:
    from tfgen import presets
    from tfgen.errors import UserError
    from tfgen.training import loop, strategies, workdir

    if flags.FLAGS.list_presets:
        presets.print_table()
        return
    settings = list(flags.FLAGS.set)
    if flags.FLAGS.dataset:
        settings.append(f'dataset={flags.FLAGS.dataset}')
    if flags.FLAGS.precision not in workdir.PRECISIONS:
        raise UserError(
            f'unknown precision {flags.FLAGS.precision!r}: use '
            f'{" or ".join(workdir.PRECISIONS)}'
        )
    name = cli.required('preset')
    directory = cli.workdir()
    preset = presets.get(name, settings)
    # Before anything else that TensorFlow does.
    strategy = strategies.make(
        flags.FLAGS.strategy,
        flags.FLAGS.replicas,
        preset.halve_cores and flags.FLAGS.jit != 'on',
    )
    config, examples = workdir.Config.of(
        name,
        preset,
        flags.FLAGS.seed,
        flags.FLAGS.precision,
        flags.FLAGS.data_dir,
        workdir.known_edition(directory),
    )
    workdir.check(directory, config)
    for line in examples.describe():
        print(line, flush=True)
    loop.train(config, examples, directory, strategy, flags.FLAGS.jit)


def run() -> None:
    """The command."""
    cli.run(main, __name__)
