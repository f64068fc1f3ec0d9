"""Measures a trained model and writes metrics.json into its workdir.

python scripts/evaluate.py --workdir=runs/cvae_digits
"""

import datetime
import os
import platform
import time

from absl import flags

from tfgen.commands import cli

cli.workdir_flag()
cli.data_flag()
cli.dataset_flag()
flags.DEFINE_string('split', 'test', 'test or train.')
_MOST = 2**31 - 1
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


def main() -> None:
    from tfgen import evaluation, files
    from tfgen.training import workdir

    directory = cli.workdir()
    config = workdir.read_config(directory)
    examples = config.load_data(flags.FLAGS.data_dir, flags.FLAGS.dataset)
    model, step = config.restore(directory)
    begin = time.monotonic()
    figures = evaluation.evaluate(
        model,
        examples,
        flags.FLAGS.split,
        flags.FLAGS.batch_size,
        flags.FLAGS.num_samples,
        flags.FLAGS.seed,
        flags.FLAGS.limit,
    )
    size = examples.spec.split_sizes[flags.FLAGS.split]
    metrics = {
        'preset': config.name,
        'step': step,
        'seed': config.seed,
        'dataset': config.preset.dataset,
        'split': flags.FLAGS.split,
        'binarization': getattr(config.spec, 'binarization', None),
        'conditional': config.preset.conditional,
        'num_examples': min(size, flags.FLAGS.limit or size),
        'num_parameters': model.num_parameters(),
        'figures': figures,
        'evaluation_seed': flags.FLAGS.seed,
        'evaluation_seconds': round(time.monotonic() - begin, 1),
        'date': datetime.date.today().isoformat(),
        'machine': f'{platform.machine()}, {os.cpu_count()} CPU cores',
    }
    print(
        f'{config.name}, step {step}, {flags.FLAGS.split} split, '
        f'{metrics["num_examples"]} examples:'
    )
    for name, figure in figures.items():
        line = f'  {name}: {figure["mean"]:.4f}'
        if figure['standard_error'] is not None:
            line += f' +- {figure["standard_error"]:.4f}'
        line += f' {figure.get("unit", "")}'
        for rate in ('bits_per_dim', 'bits_per_sample', 'nats_per_second'):
            if rate in figure:
                line += f', {figure[rate]:.4f} {rate.replace("_per_", "/")}'
        print(line, flush=True)
    # Last: a full disk shall not cost the figures.
    files.write_json(directory / 'metrics.json', metrics)


def run() -> None:
    """The command."""
    cli.run(main, __name__)
