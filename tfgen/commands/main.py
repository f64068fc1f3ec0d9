"""The command tfgen, with train, evaluate, sample, export, serve and list."""

import difflib
import importlib
import sys

_COMMANDS = {
    'train': 'trains a model, or resumes a run',
    'evaluate': 'measures a trained model',
    'sample': 'draws pictures from a trained model',
    'export': 'exports a run for TensorFlow Serving',
    'serve': 'serves exported models on this machine',
    'list': 'lists the presets and their results',
}


def run() -> None:
    """Runs the command that the first argument names."""
    name, *rest = sys.argv[1:] or ['--help']
    if name in _COMMANDS:
        sys.argv = [f'tfgen {name}', *rest]
        importlib.import_module(f'tfgen.commands.{name}').run()
    elif name in ('-h', '--help', 'help'):
        print(_usage())
    else:
        near = difflib.get_close_matches(name, _COMMANDS, 1, 0.0)
        sys.stderr.write(
            f'error: tfgen has no command {name!r}: did you mean '
            f'tfgen {near[0]}?\n'
        )
        sys.exit(2)


def _usage():
    lines = ['tfgen COMMAND [flags]', '']
    lines += [f'  {name:10}{what}' for name, what in _COMMANDS.items()]
    lines += ['', 'tfgen COMMAND --help lists the flags of a command.']
    return '\n'.join(lines)
