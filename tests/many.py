"""Trains small runs of several models under one distribution strategy.

    python tests/many.py STRATEGY JIT STEPS FOLDER DATA_DIR MODEL ...

A process can hold one strategy only, and takes seconds to start: so all models
are trained in one, each into FOLDER/MODEL.
"""

import pathlib
import sys

import tiny

from tfgen.training import strategies
from tfgen.training.run import train


def settings(steps: str) -> list[str]:
    """What these runs change of those of tiny.py."""
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
