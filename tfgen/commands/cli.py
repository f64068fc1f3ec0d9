"""What the scripts share: flags, and one line for a user's mistake."""

import importlib.util
import logging
import os
import pathlib
import signal
import sys

# TensorFlow's C++ notes would hide our own lines.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
# Of a user without a home, Keras would make a folder here that is named ~.
if os.path.expanduser('~') == '~':
    os.environ.setdefault('KERAS_HOME', os.devnull)

from absl import app, flags
from absl import logging as absl_logging

from tfgen import lines, storage
from tfgen.errors import UserError


def run(main, module: str = '__main__', arguments: bool = False) -> None:
    """Runs `main()` with parsed flags.

    Exit status: 0; 2 after one line for a user's mistake; 130 after Ctrl-C,
    143 after SIGTERM.

    Args:
      main: the command.
      module: the name of its module, whose docstring and flags --help shows.
      arguments: whether it takes what is no flag; main is then given these.
    """
    sys.modules['__main__'].__doc__ = sys.modules[module].__doc__
    for flag in flags.FLAGS.flags_by_module_dict().get(module, ()):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    _open_streams()
    # Names that a terminal cannot show are escaped.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors='backslashreplace')
    # Pillow logs what it then raises.
    logging.getLogger('PIL').setLevel(logging.CRITICAL)
    app.run(
        lambda given: _guarded(lambda: main(*given[1:])),
        flags_parser=lambda given: _parse(given, arguments),
    )


def workdir_flag() -> None:
    """Defines --workdir."""
    flags.DEFINE_string(
        'workdir', None, 'Folder of the run.', module_name=sys.argv[0]
    )


def data_flag() -> None:
    """Defines --data_dir."""
    flags.DEFINE_string(
        'data_dir',
        None,
        "Folder of prepared TFDS data sets; default: TFDS's.",
        module_name=sys.argv[0],  # --help shows the flags of this module
    )


def cache_flag() -> None:
    """Defines --cache_dir."""
    flags.DEFINE_string(
        'cache_dir',
        None,
        'Where the classifier of a data set is kept; default: ~/.cache/tfgen.',
        module_name=sys.argv[0],
    )


def dataset_flag() -> None:
    """Defines --dataset of the scripts that need it only for a moved folder."""
    flags.DEFINE_string(
        'dataset',
        None,
        'folder:PATH or palette:PATH, where the data lies now if it has moved.',
        module_name=sys.argv[0],
    )


def required(name: str) -> str:
    """The value of a flag that must be given."""
    value = flags.FLAGS[name].value
    if not value:
        raise UserError(f'--{name} is missing: pass --{name}=...')
    return value


def workdir() -> pathlib.Path:
    """The --workdir, as a path."""
    return path(required('workdir'))


def cache() -> pathlib.Path | None:
    """The --cache_dir, if there is one."""
    given = flags.FLAGS.cache_dir
    return path(given) if given else None


def path(text: str) -> pathlib.Path:
    """A path that a user gave; see storage.local."""
    return storage.local(text)


def require_matplotlib() -> None:
    """Raises UserError where the library that draws curves is not there."""
    if importlib.util.find_spec('matplotlib') is None:
        raise UserError(
            'matplotlib is missing, which draws the curves: pip install '
            'matplotlib'
        )


def _open_streams():
    """Gives a stream that was closed, as `>&-` does, to nobody.

    The next file that is opened would take its number, and its lines.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number
    sys.stdout = sys.stdout or os.fdopen(1, 'w')
    sys.stderr = sys.stderr or os.fdopen(2, 'w')


def _parse(given, arguments):
    absl_logging.set_verbosity(absl_logging.WARNING)
    absl_logging.get_absl_handler().setFormatter(None)
    try:
        rest = flags.FLAGS(given)
    except flags.Error as error:
        _fail(error)
    if rest[1:] and not arguments:
        _fail(f'unexpected argument {rest[1]!r}: flags begin with --')
    return rest


def _refuse_addresses():
    """Refuses an address in any flag, before work whose end would be lost.

    A data set names its own path, as in folder:PATH; data.sets refuses it.
    """
    for name in set(flags.FLAGS) - {'dataset'}:
        value = flags.FLAGS[name].value
        if isinstance(value, str) and storage.is_address(value):
            path(value)


def _import_tensorflow():
    """Imports TensorFlow without the banner that no setting silences.

    Its C++ libraries write to file descriptor 2 before any log level counts.
    A failing import still raises, with its traceback.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    try:
        import tensorflow as tf

        # Python notes on what we chose to do, such as exporting without
        # gradients.
        tf.get_logger().setLevel('ERROR')
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(silence)


def _guarded(main):
    try:
        _refuse_addresses()
        _import_tensorflow()
        main()
    except UserError as error:
        _fail(error)
    except BrokenPipeError:
        # Who has read it is gone, as `| head` is; Python would complain of
        # what is still to be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        from tfgen.training.stopping import Stopped

        if isinstance(error, Stopped):
            lines.write(f'{error}\n', sys.stderr)
            sys.exit(error.status)
        if _is_memory_error(error):
            _fail(
                f'it does not fit into memory ({storage.reason(error)}): use a '
                'smaller model, batch_size or count'
            )
        if _is_lost_worker(error):
            _fail(
                f'another worker has ended ({storage.reason(error)}): see what '
                'it says, mend that, and start all of them again'
            )
        if not storage.is_disk_error(error):
            raise
        _fail(
            f'a file cannot be written or read ({error}): mend that and run '
            'the same command again'
        )
    except KeyboardInterrupt:
        sys.stderr.write('\ninterrupted: the same command continues the run\n')
        sys.exit(130)


def _is_lost_worker(error):
    import tensorflow as tf

    lost = (tf.errors.UnavailableError, tf.errors.AbortedError)
    return isinstance(error, lost)


def _is_memory_error(error):
    import tensorflow as tf

    if isinstance(error, MemoryError):
        return True
    # (A full disk is one of these as well.)
    full = isinstance(error, tf.errors.ResourceExhaustedError)
    return full and not storage.is_disk_error(error)


def _fail(error):
    line = ' '.join(str(error).split())
    sys.stderr.write(f'error: {line}\n')
    sys.exit(2)
