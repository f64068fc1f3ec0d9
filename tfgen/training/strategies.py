"""Distribution strategies: one device, several, several machines, or a TPU."""

import contextlib
import os

import tensorflow as tf

from tfgen.errors import UserError
from tfgen.training import workers

_THREADS = {'TF_NUM_INTEROP_THREADS', 'TF_NUM_INTRAOP_THREADS'}
_AFFINITY = hasattr(os, 'sched_getaffinity')  # not on macOS
STRATEGIES = ('auto', 'one', 'mirrored', 'multiworker', 'tpu')


def make(
    name: str = 'auto', replicas: int = 0, halve_cores: bool = False
) -> tf.distribute.Strategy:
    """The distribution strategy of a name.

    Call it before TensorFlow does anything else in the process.

    Args:
      name: 'one' device; 'mirrored' over the GPUs of this machine, or over
        logical CPU devices if it has none; 'multiworker' over the machines of
        the TF_CONFIG environment variable; 'tpu'; 'auto' takes multiworker if
        TF_CONFIG is set, tpu if a TPU is attached, mirrored if there are
        several GPUs, else one.
      replicas: for 'mirrored': how many devices, 0 for all GPUs or 2 CPUs.
      halve_cores: for 'one' on a CPU: whether two operations run at a time,
        each on half of the cores. This is for models whose two streams (see
        training.loop) consist of TensorFlow's own operations; an XLA program
        spreads over the cores by itself. TF_NUM_INTRAOP_THREADS and
        TF_NUM_INTEROP_THREADS in the environment take precedence.

    Raises:
      UserError: the devices that `name` needs are not there.
    """
    if name not in STRATEGIES:
        raise UserError(
            f'unknown strategy {name!r}: use one of {", ".join(STRATEGIES)}'
        )
    if name == 'auto':
        name = _choose()
    if name == 'multiworker':
        return _multiworker()
    if name == 'tpu':
        return _tpu()
    if name == 'mirrored':
        return _mirrored(replicas)
    if halve_cores and not tf.config.list_physical_devices('GPU'):
        _halve_cores()
    return tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the run's files."""
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_type is None:
        return True
    return resolver.task_type == 'chief' or (
        resolver.task_type == 'worker'
        and resolver.task_id == 0
        and not resolver.cluster_spec().as_dict().get('chief')
    )


def is_single_process(strategy: tf.distribute.Strategy) -> bool:
    """Whether one process alone trains."""
    return not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_tpu(strategy: tf.distribute.Strategy) -> bool:
    """Whether the strategy runs on a TPU."""
    return isinstance(strategy, tf.distribute.TPUStrategy)


def _choose():
    """The name that 'auto' stands for."""
    if os.environ.get('TF_CONFIG'):
        return 'multiworker'
    if os.environ.get('TPU_NAME') or tf.config.list_physical_devices('TPU'):
        return 'tpu'
    if len(tf.config.list_physical_devices('GPU')) > 1:
        return 'mirrored'
    return 'one'


def side_by_side() -> bool:
    """Whether TensorFlow's CPU runs more than one operation at a time."""
    asked = os.environ.get('TF_NUM_INTEROP_THREADS', '')
    return _cores() > 1 and asked != '1'


def _cores():
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if _AFFINITY else os.cpu_count()


def _halve_cores():
    """Makes TensorFlow run two operations at a time, each on half the cores."""
    # TensorFlow's own variables in the environment take precedence.
    if _cores() > 1 and not _THREADS & os.environ.keys():
        # TensorFlow may run already, as in a notebook. It then keeps its
        # threads, and the last bit of a sum may differ from a run's that began
        # on the command line.
        with contextlib.suppress(RuntimeError):
            tf.config.threading.set_inter_op_parallelism_threads(2)
            tf.config.threading.set_intra_op_parallelism_threads(_cores() // 2)


def _mirrored(replicas):
    """Replicas on the GPUs, or on logical CPU devices."""
    gpus = tf.config.list_physical_devices('GPU')
    if gpus:
        if replicas > len(gpus):
            raise UserError(
                f'--replicas={replicas}: this machine has {len(gpus)} GPUs'
            )
        count = replicas or len(gpus)
        return tf.distribute.MirroredStrategy(
            [f'GPU:{i}' for i in range(count)]
        )
    count = replicas or 2
    try:
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices('CPU')[0],
            [tf.config.LogicalDeviceConfiguration() for _ in range(count)],
        )
    except RuntimeError:  # initialized, perhaps with as many devices
        if len(tf.config.list_logical_devices('CPU')) < count:
            raise UserError(
                f'--strategy=mirrored needs {count} logical CPU devices, and '
                'TensorFlow runs already with fewer: train before anything '
                'else in the process'
            ) from None
    return tf.distribute.MirroredStrategy([f'CPU:{i}' for i in range(count)])


def _multiworker():
    """Replicas on the machines of TF_CONFIG, when all have started."""
    workers.gather(workers.cluster())
    return tf.distribute.MultiWorkerMirroredStrategy()


def _tpu():
    """Replicas on a TPU, attached or remote."""
    # A TPU VM has its chips attached; TPU_NAME names a remote TPU.
    name = os.environ.get('TPU_NAME') or 'local'
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(
            name
        )
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise UserError(
            f'no TPU found ({" ".join(str(error).split())[:120]}): run on a '
            'TPU VM with tensorflow-tpu (up to 2.20), or use --strategy=auto'
        ) from None
    return tf.distribute.TPUStrategy(resolver)
