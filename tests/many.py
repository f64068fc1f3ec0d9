"""Trains small runs of several models under one distribution strategy.

    python tests/many.py STRATEGY JIT STEPS FOLDER DATA_DIR MODEL ...

A process takes seconds to start and can hold one strategy only. So one process
trains all models, each into FOLDER/MODEL.
"""

import pathlib
import sys

import tiny

from tfgen.training import strategies
from tfgen.training.run import train


def settings(steps: str) -> list[str]:
    """Returns the settings that differ from those of tiny.py."""
    return [
        f'steps={steps}',
        f'checkpoint_every={steps}',
        'log_every=1',
        'schedule=constant',
    ]


def main() -> None:
    name, jit, steps, folder, data_dir, *models = sys.argv[1:]
    strategy = strategies.make(name)
    for model in models:
        config, examples = tiny.load(model, data_dir, *settings(steps))
        path = pathlib.Path(folder, model)
        train(config, examples, path, strategy, jit)


if __name__ == '__main__':
    main()
