"""Compiles presets for a TPU, on a machine without one.

    pip install '.[tpu-check]'
    python scripts/check_tpu.py                     # all presets, half an hour
    python scripts/check_tpu.py conv_vae_mnist dcgan_mnist

Two functions of each preset are compiled. One is the whole training step: the
loss and gradient of every update, its optimizer, and the averages. The other
is the first signature that the model serves, which is the sampler if it draws.
libtpu compiles ahead of time on any machine. So this finds what a TPU would
refuse: unknown operations, or too much memory. It does not check speed,
numbers or tf.distribute's TPUStrategy. Exit status 1 if a function is refused.

Prints the compiler's count of flops and memory (a loop's body counts once),
and notes on operations that a TPU runs slowly or otherwise than a CPU. The
path from TensorFlow through HLO and StableHLO to libtpu is no stable
interface. It is known to work with the versions of the extra.
"""

import datetime
import importlib.metadata
import importlib.util
import json
import os
import re
import sys
import time

import numpy as np
from absl import flags

from tfgen.commands import cli

cli.data_flag()
flags.DEFINE_integer('rows', 64, 'Of a request; a step has its batch.', 1)
flags.DEFINE_string('precision', 'float32', 'float32 or mixed_bfloat16.')
flags.DEFINE_string('record', None, 'Folder whose tpu_compile.json is kept.')

TOPOLOGY = 'v5e:2x2'  # the smallest in libtpu; only one chip is used
_ENVIRONMENT = {
    'JAX_PLATFORMS': 'cpu',
    # Prevents a search for a real TPU.
    'TPU_SKIP_MDS_QUERY': '1',
    'TPU_ACCELERATOR_TYPE': 'v5litepod-4',
    'TPU_WORKER_HOSTNAMES': 'localhost',
    'TPU_LOG_DIR': 'disabled',
    'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
}
# These operations choose a random generator by device.
_OF_DEVICE = {'StatelessRandomGetKeyCounter', 'StatelessRandomGetAlg'}


def main(*names: str) -> None:
    from tfgen import presets
    from tfgen.errors import UserError
    from tfgen.training import workdir

    workdir.require_precision(flags.FLAGS.precision)
    chosen = {name: presets.get(name) for name in names or presets.PRESETS}
    if importlib.util.find_spec('libtpu') is None:
        raise UserError(
            'libtpu is missing, which compiles for a TPU: pip install '
            "'.[tpu-check]'"
        )
    compiler = Compiler()
    refused = 0
    print(f'{"preset":28}{"what":12}{"seconds":>8}{"GFLOP":>10}{"MiB":>8}')
    for name, preset in chosen.items():
        try:
            config, examples = workdir.Config.of(
                name,
                preset,
                precision=flags.FLAGS.precision,
                data_dir=flags.FLAGS.data_dir,
            )
        except UserError as error:
            print(f'{name:28}skipped: {error}', flush=True)
            continue
        found = {}
        for what, function in functions(config, examples).items():
            found[what] = compiler.compiled(function)
            _print(name, what, found[what])
            refused += 'refused' in found[what]
        if flags.FLAGS.record:
            _record(name, found)
    if refused:
        sys.exit(1)


class Compiler:
    """libtpu's compiler for one chip of TOPOLOGY."""

    def __init__(self):
        os.environ.update(_ENVIRONMENT)
        import jax
        from jax._src.interpreters import mlir
        from jax.experimental import topologies
        from jax.extend.mlir import hlo_to_stablehlo
        from jaxlib import xla_client
        from jaxlib.mlir import ir

        chip = topologies.get_topology_desc(TOPOLOGY, 'tpu').devices[0]
        self._devices = xla_client.DeviceList((chip,))
        self._client = chip.client
        context = mlir.make_ir_context()
        self._module = lambda hlo: ir.Module.parse(
            hlo_to_stablehlo(hlo), context
        )
        self._refusal = jax.errors.JaxRuntimeError
        self._options = xla_client.CompileOptions()
        self._options.num_replicas = self._options.num_partitions = 1
        self._options.device_assignment = xla_client.DeviceAssignment.create(
            np.array([[chip.id]], np.int32)
        )

    def compiled(self, function) -> dict:
        """Compiles a function without arguments.

        Returns:
          A dict with 'seconds'. If the compiler refuses the function, also
          'refused', the reason in one line. If not, also 'flops', 'arguments'
          and 'temporaries' in bytes, and 'notes' on operations that a TPU
          runs slowly or differently.
        """
        import tensorflow as tf

        began = time.perf_counter()
        traced = tf.function(function, jit_compile=True, autograph=False)
        notes = _notes(traced.get_concrete_function().graph)
        try:
            # TensorFlow raises here if XLA does not know an operation.
            hlo = traced.experimental_get_compiler_ir()(
                stage='hlo_serialized', platform_name='CPU'
            )
            module = self._module(hlo)
            _remove_copies(module)
            program = self._client.compile(module, self._devices, self._options)
        except (ValueError, tf.errors.OpError, self._refusal) as error:
            return {
                'refused': _reason(error),
                'seconds': round(time.perf_counter() - began, 1),
            }
        memory = program.get_compiled_memory_stats()
        return {
            'flops': int(program.cost_analysis().get('flops', 0)),
            'arguments': memory.argument_size_in_bytes,
            'temporaries': memory.temp_size_in_bytes,
            'notes': notes,
            'seconds': round(time.perf_counter() - began, 1),
        }


def _reason(error):
    """Returns in one line why a function is refused."""
    unknown = re.findall(r'(\w+) \(No registered', str(error))
    if unknown:
        return f'no TPU has {", ".join(sorted(set(unknown)))}'
    return ' '.join(str(error).split())[:300]


def _remove_copies(module):
    """Removes TensorFlow's copy of each variable's new value.

    StableHLO has no copy operation. The values stay the same.
    """
    from jaxlib.mlir import ir

    copies = []

    def collect(operation):
        if operation.name == 'mhlo.copy':
            copies.append(operation)
        return ir.WalkResult.ADVANCE

    module.operation.walk(collect)
    for copy in copies:
        copy.result.replace_all_uses_with(copy.operands[0])
        copy.operation.erase()


def functions(config, examples) -> dict:
    """Returns the functions to compile: name -> function without arguments.

    'step' is a training step. The other is the model's first signature. Their
    data are in variables.
    """
    import tensorflow as tf

    from tfgen.export import signatures
    from tfgen.training import loop
    from tfgen.training.run import make_updates

    loop.make_repeatable()
    model, size = config.build(), config.preset.batch_size
    updates = make_updates(model, config.preset)
    per_step = loop.batches_per_step(updates)
    rows = loop.BatchSplit(size, size, 1)
    make_step = loop.step_function(updates, rows, config.seed, jit=False)
    stream = examples.train(
        config.seed, size, whole_epochs=config.preset.model.whole_epochs
    )
    batches = [_variables(batch) for batch in stream.take(per_step)]
    number = tf.Variable(0, dtype=tf.int64, trainable=False)

    def step():
        taken = [
            {k: v.read_value() for k, v in batch.items()} for batch in batches
        ]
        return make_step(taken, number.read_value())

    name, signature = next(iter(model.signatures().items()))
    specs = model.request_specs()
    inputs = _variables({k: _zeros(specs[k]) for k in signature.inputs})

    def served():
        given = {k: v.read_value() for k, v in inputs.items()}
        return signature.function(**signatures.arguments(model, given))

    return {'step': step, name: served}


def _variables(tensors):
    """Puts values into variables, so that they are no constants."""
    import tensorflow as tf

    return {k: tf.Variable(v, trainable=False) for k, v in tensors.items()}


def _zeros(spec):
    """Returns a request of --rows rows, all zero."""
    import tensorflow as tf

    return tf.zeros([flags.FLAGS.rows, *spec.shape[1:]], spec.dtype)


def _notes(graph):
    """Lists a graph's operations that a TPU runs slowly or differently."""
    import tensorflow as tf

    found, whole = set(), graph.as_graph_def()
    nodes = [*whole.node]
    for function in whole.library.function:
        nodes += function.node_def
    for node in nodes:
        if node.op in _OF_DEVICE:
            found.add(f'{node.op}: other random numbers on a TPU')
        for key in ('T', 'dtype', 'DstT'):
            if node.attr[key].type == tf.float64.as_datatype_enum:
                found.add('float64, in software')
        if node.op in ('Where', 'Unique', 'UniqueV2'):
            found.add(f'{node.op}: a shape that hangs on values')
    return sorted(found)


def _print(name, what, found):
    line = f'{name:28}{what:12}{found["seconds"]:8.1f}'
    if 'refused' in found:
        line += f'  refused: {found["refused"]}'
    else:
        mebibytes = (found['arguments'] + found['temporaries']) / 2**20
        line += f'{found["flops"] / 1e9:10.3f}{mebibytes:8.1f}'
        line += ''.join(f'  {note}' for note in found['notes'])
    print(line, flush=True)


def _record(name, found):
    """Adds a preset to the file and keeps the others."""
    from tfgen import storage
    from tfgen.evaluation import recording

    path = cli.path(flags.FLAGS.record) / 'tpu_compile.json'
    record = json.loads(path.read_text()) if path.exists() else {}
    record['topology'] = TOPOLOGY
    record.setdefault('presets', {})[name] = found | {
        'precision': flags.FLAGS.precision,
        'rows': flags.FLAGS.rows,
        'commit': recording.commit(),
        'date': datetime.date.today().isoformat(),
        'versions': {
            package: importlib.metadata.version(package)
            for package in ('tensorflow', 'jax', 'libtpu')
        },
    }
    storage.write_json(path, record)


if __name__ == '__main__':
    cli.run(main, arguments=True)
