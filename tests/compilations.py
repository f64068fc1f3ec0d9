"""Counts what training compiles: once at its start, and never again.

    python tests/compilations.py MODEL ...    small models, of tiny.py
    python tests/compilations.py PRESET ...   presets, at their own size

Prints a line of JSON for each, with the numbers of graphs and XLA modules after
the first step, after further chunks of four and of five steps, and after the
first step and the rest of a run that resumes at step five.
"""

import json
import os
import pathlib
import sys
import tempfile

_DUMP = tempfile.TemporaryDirectory(prefix='compilations-')
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
os.environ['XLA_FLAGS'] = ' '.join(
    [
        os.environ.get('XLA_FLAGS', ''),
        f'--xla_dump_to={_DUMP.name}',
        '--xla_dump_hlo_as_text',
        '--xla_dump_hlo_pass_re=^$',
    ]
)

import tensorflow as tf  # noqa: E402
import tiny  # noqa: E402
from tensorflow.python.eager import context  # noqa: E402

from tfgen import presets  # noqa: E402
from tfgen.training import loop, run, workdir  # noqa: E402


def compiled() -> tuple[int, int]:
    """Returns the numbers of graphs and XLA modules of this process so far."""
    modules = pathlib.Path(_DUMP.name).glob('*.before_optimizations.txt')
    return len(context.context().list_function_names()), len(list(modules))


def count(config, examples) -> dict[str, list[tuple[int, int]]]:
    """Counts what is compiled after each chunk of a run, also a resumed one."""
    strategy = tf.distribute.get_strategy()
    loop.make_repeatable()
    found = {}
    for name, chunks in (
        ('run', [(0, 1), (1, 4), (5, 5)]),
        ('resumed', [(5, 1), (6, 4)]),
    ):
        before = compiled()
        model = config.build()
        updates = run.make_updates(model, config.preset)
        rows = loop.BatchSplit.of(strategy, model, config.preset.batch_size)
        jit = run.use_jit('auto', model, strategy)
        steps = loop.make_loop(strategy, updates, rows, config.seed, jit)
        start = chunks[0][0] * loop.batches_per_step(updates)
        batches = run.batch_iterator(strategy, examples, config, start)
        found[name] = []
        for first, length in chunks:
            steps(batches, first, length)
            now = compiled()
            found[name].append((now[0] - before[0], now[1] - before[1]))
    return found


def main(names):
    data_dir = os.environ.get('TFGEN_DATA_DIR')
    for name in names:
        if name in tiny.SETTINGS:
            config, examples = tiny.load(name, data_dir)
        else:
            config, examples = workdir.Config.of(
                name, presets.get(name), data_dir=data_dir
            )
        print(json.dumps({'name': name} | count(config, examples)), flush=True)


if __name__ == '__main__':
    main(sys.argv[1:])
