"""Compares Gaussian mixtures with different numbers of components.

    python scripts/experiments/components.py --workdir=runs/components --most=12

Fits mixtures of 1, 2, ... components. For each it prints the nats per example
of the training and test splits, and the Bayesian information criterion,
-2 log L + p log N for p free parameters and N examples (Schwarz 1978). The
lowest criterion is marked. Finished fits are not repeated.
"""

import math

import tensorflow as tf
from absl import flags

from tfgen.commands import cli

cli.workdir_flag()
cli.data_flag()
flags.DEFINE_string('preset', 'gmm_two_moons', 'Of a mixture; all but M.')
flags.DEFINE_string('dataset', None, 'Other data than those of the preset.')
flags.DEFINE_integer('most', 10, 'The largest mixture.', 1)
flags.DEFINE_integer('steps', None, "Of each; default: the preset's.", 1)
_EXAMPLES = 20_000  # of a split at most, to estimate log L


def main() -> None:
    from tfgen import presets
    from tfgen.errors import UserError
    from tfgen.models.gmm import GMM
    from tfgen.training import workdir
    from tfgen.training.run import train

    name = flags.FLAGS.preset
    given = []
    for field in ('dataset', 'steps'):
        if flags.FLAGS[field].value is not None:
            given.append(f'{field}={flags.FLAGS[field].value}')
    if presets.get(name).model is not GMM:
        raise UserError(f'preset {name!r} is no mixture: use gmm_two_moons')
    # Reports invalid settings of the largest mixture before any fit.
    largest = presets.get(name, [*given, f'num_components={flags.FLAGS.most}'])
    config, _ = workdir.Config.of(name, largest, data_dir=flags.FLAGS.data_dir)
    config.build()
    found = []
    for count in range(1, flags.FLAGS.most + 1):
        preset = presets.get(name, [*given, f'num_components={count}'])
        config, examples = workdir.Config.of(
            name, preset, data_dir=flags.FLAGS.data_dir
        )
        model = train(config, examples, cli.workdir() / str(count))
        nats = {
            split: _nats(model, examples, split) for split in ('train', 'test')
        }
        size = examples.spec.split_sizes['train']
        bic = 2 * size * nats['train'] + model.num_free() * math.log(size)
        found.append((count, model.num_free(), nats, bic))
    best = min(found, key=lambda row: row[-1])
    print('components  parameters  train nats  test nats             BIC')
    for row in found:
        count, free, nats, bic = row
        mark = '  <- lowest' if row is best else ''
        print(
            f'{count:10}  {free:10}  {nats["train"]:10.4f}  '
            f'{nats["test"]:9.4f}  {bic:14.1f}{mark}'
        )


def _nats(model, examples, split):
    """Returns the mean of -log p(x) over a split, in nats."""
    log_prob = tf.function(model.log_prob, reduce_retracing=True)
    key, total, count = examples.spec.key, 0.0, 0
    for batch in examples.evaluation(split, 1000, _EXAMPLES):
        values = log_prob(batch[key])
        total, count = total - float(tf.reduce_sum(values)), count + len(values)
    return total / count


if __name__ == '__main__':
    cli.run(main)
