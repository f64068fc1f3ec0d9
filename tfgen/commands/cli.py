"""Helpers of all commands: shared flags and one-line error messages."""

import importlib.util
import logging
import os
import pathlib
import signal
import sys

# TensorFlow's C++ log messages would hide our own lines.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
# Without a home folder, Keras would create a folder named ~ here.
if os.path.expanduser('~') == '~':
    os.environ.setdefault('KERAS_HOME', os.devnull)

from absl import app, flags
from absl import logging as absl_logging

from tfgen import errors, lines, storage
from tfgen.errors import UserError


def run(main, module: str = '__main__', arguments: bool = False) -> None:
    """Runs `main()` with parsed flags.

    Exit status: 0; 2 after one line for a user's mistake; 130 after Ctrl-C,
    143 after SIGTERM.

    Args:
      main: the command.
      module: the name of its module; --help shows its docstring and flags.
      arguments: whether to accept positional arguments; main receives them.
    """
    sys.modules['__main__'].__doc__ = sys.modules[module].__doc__
    for flag in flags.FLAGS.flags_by_module_dict().get(module, ()):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    errors.name_flags()
    # Own layers and functions may be in modules of this folder.
    sys.path.append('')
    _open_streams()
    # Names that a terminal cannot show are escaped.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors='backslashreplace')
    # Pillow logs errors that it also raises.
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
        'Folder of prepared TFDS data sets; by default that of TFDS.',
        module_name=sys.argv[0],  # --help shows the flags of this module
    )


def cache_flag() -> None:
    """Defines --cache_dir."""
    flags.DEFINE_string(
        'cache_dir',
        None,
        'Folder for trained classifiers of data sets; default: ~/.cache/tfgen.',
        module_name=sys.argv[0],
    )


def dataset_flag() -> None:
    """Defines --dataset for scripts that need it only if a folder has moved."""
    flags.DEFINE_string(
        'dataset',
        None,
        'folder:PATH or palette:PATH: the new place of data that has moved.',
        module_name=sys.argv[0],
    )


def required(name: str) -> str:
    """Returns the value of a required flag.

    Raises:
      UserError: the flag is missing.
    """
    value = flags.FLAGS[name].value
    if not value:
        raise UserError(f'--{name} is missing: pass --{name}=...')
    return value


def workdir() -> pathlib.Path:
    """Returns --workdir as a path."""
    return path(required('workdir'))


def cache() -> pathlib.Path | None:
    """Returns --cache_dir as a path, or None."""
    given = flags.FLAGS.cache_dir
    return path(given) if given else None


def path(text: str) -> pathlib.Path:
    """Converts a user's text to a path; see storage.place."""
    return storage.place(text)


def require_matplotlib() -> None:
    """Raises UserError if matplotlib is not installed."""
    if importlib.util.find_spec('matplotlib') is None:
        raise UserError(
            'matplotlib is missing, which draws the curves: pip install '
            'matplotlib'
        )


def _open_streams():
    """Opens closed standard streams, as after `>&-`, on the null device.

    Otherwise the next opened file would take the stream's number and receive
    its output.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number
    sys.stdout = sys.stdout or os.fdopen(1, 'w')
    sys.stderr = sys.stderr or os.fdopen(2, 'w')


def _parse(given, arguments):
    """Parses the flags; exits with one line for a mistake."""
    absl_logging.set_verbosity(absl_logging.WARNING)
    absl_logging.get_absl_handler().setFormatter(None)
    try:
        rest = flags.FLAGS(given)
    except flags.Error as error:
        _fail(error)
    if rest[1:] and not arguments:
        _fail(f'unexpected argument {rest[1]!r}: flags begin with --')
    return rest


def _require_places():
    """Raises UserError if an address among the flags cannot be used.

    Without this check, the work would be lost when its results are written.
    --dataset is not checked here, because its value may be folder:PATH.
    """
    for name in set(flags.FLAGS) - {'dataset'}:
        value = flags.FLAGS[name].value
        if isinstance(value, str) and storage.is_address(value):
            path(value)


def _import_tensorflow():
    """Imports TensorFlow without its banner.

    No setting silences the banner: the C++ libraries write it to file
    descriptor 2 before any log level applies. A failing import still raises,
    with its traceback.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    try:
        import tensorflow as tf

        # Hides Python warnings about deliberate choices, such as exporting
        # without gradients.
        tf.get_logger().setLevel('ERROR')
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(silence)


def _guarded(main):
    """Runs main; user mistakes and known failures end with one line."""
    try:
        _require_places()
        _import_tensorflow()
        main()
        sys.stdout.flush()  # here, where a failure is known
    except UserError as error:
        _fail(error)
    except BrokenPipeError:
        # The reader has closed the pipe, as `| head` does. Python would report
        # an error when it flushes the remaining output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        from tfgen.training.stopping import Stopped

        if isinstance(error, Stopped):
            lines.write(f'{error}\n', sys.stderr)
            sys.exit(error.status)
        if _is_memory_error(error):
            _fail(
                f'out of memory ({storage.reason(error)}): use a '
                'smaller model, batch_size or count'
            )
        if _is_unavailable(error):  # outside of the training loop
            from tfgen.training import workers

            if os.environ.get('TF_CONFIG'):
                _fail(workers.lost(error))
            _fail(
                f'the storage does not answer ({storage.reason(error)}): check '
                'the network and run the same command again'
            )
        if not storage.is_disk_error(error):
            raise
        _fail(
            f'a file cannot be written or read ({error}): fix this and run '
            'the same command again'
        )
    except KeyboardInterrupt:
        sys.stderr.write('\ninterrupted: the same command continues the run\n')
        sys.exit(130)


def _is_unavailable(error):
    """Whether another worker has ended, or object storage does not answer."""
    import tensorflow as tf

    kinds = (tf.errors.UnavailableError, tf.errors.AbortedError)
    return isinstance(error, kinds)


def _is_memory_error(error):
    import tensorflow as tf

    if isinstance(error, MemoryError):
        return True
    # A full disk raises ResourceExhaustedError as well.
    full = isinstance(error, tf.errors.ResourceExhaustedError)
    return full and not storage.is_disk_error(error)


def _fail(error):
    """Prints the error in one line and exits with status 2."""
    line = ' '.join(str(error).split())
    sys.stderr.write(f'error: {line}\n')
    sys.exit(2)
