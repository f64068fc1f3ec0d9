"""Starts a new run from the weights of another run or of an export."""

import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from tfgen import storage
from tfgen.errors import UserError
from tfgen.models.contracts.model import Model
from tfgen.training import checkpoints, naming, workdir


def begin_from(model: Model, source: str) -> str:
    """Gives `model` the weights of a trained run or an export.

    Variables are matched by their index in the model. Within a variable, the
    weights of classes, symbols and colours are matched by name; new names keep
    their initial weights. A run with `ema` gives its averaged weights, as its
    exports do. The optimizers and the step start afresh. An export holds only
    the weights that it serves, such as a GAN without its discriminator; the
    rest keeps its initial weights.

    Args:
      model: the new run's model, with its initial weights.
      source: a workdir, the folder of an exported model, or of one version.

    Returns:
      A line that says which weights were taken.

    Raises:
      UserError: `source` has no weights, or those of another model; `model` is
        unchanged.
    """
    path = storage.place(source)
    prefix = _find(path)
    try:
        stored = _numbered(tf.train.load_checkpoint(str(prefix)))
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise UserError(
            f'init_from {source!r} cannot be read '
            f'({storage.reason(error)}): pass another run or export'
        ) from None
    if not stored:
        raise UserError(
            f'init_from {source!r} was exported by an older tfgen, which did '
            'not number its weights: pass the run, or export it again'
        )
    config = _config(path, prefix)
    _require_alike(model, config, source)
    variables = model.variables
    if max(stored) >= len(variables):
        raise _another(source, f'{max(stored) + 1} variables')
    for number, value in stored.items():
        if value.shape != tuple(variables[number].shape):
            shape = 'x'.join(map(str, value.shape))
            raise _another(
                source, f'{variables[number].path} of shape {shape or "1"}'
            )
    values, moved = naming.arranged(model, config.spec, stored)
    for number, value in values.items():
        variables[number].assign(value)
    anew = len(variables) - len(stored)
    rest = f'; {anew} others are new' if anew else ''
    moved = f'; {moved}' if moved else ''
    return f'starts from {len(stored)} variables of {prefix}{rest}{moved}'


def share(model: Model, strategy: tf.distribute.Strategy) -> None:
    """Gives every worker the weights of the first one.

    Workers may have read different checkpoints, if the source is still being
    trained. Call it inside the strategy's scope.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return

    @tf.function(autograph=False)
    def of_the_first():
        """The weights of the first replica: a sum in which the others are 0."""
        replica = tf.distribute.get_replica_context()
        first = tf.equal(replica.replica_id_in_sync_group, 0)
        own = [
            tf.where(first, v.value, tf.zeros_like(v.value))
            for v in model.variables
        ]
        return replica.all_reduce(tf.distribute.ReduceOp.SUM, own)

    found = strategy.run(of_the_first)
    for variable, value in zip(model.variables, found, strict=True):
        variable.assign(strategy.experimental_local_results(value)[0])


def _config(path, prefix):
    """The Config of the run at `path`, or of the export at `prefix`."""
    if prefix.parent.name == 'variables':
        return workdir.read_export(prefix.parents[1])
    return workdir.read_config(path)


def _require_alike(model, config, source):
    """Raises UserError if `config` is of another model or of other data."""
    theirs = config.preset
    if type(model) is not theirs.model:
        raise _another(source, theirs.model.__name__)
    conditional = model.settings.get('conditional', False)
    if conditional != theirs.conditional:
        raise UserError(
            f'init_from {source!r} was trained with conditional='
            f'{theirs.conditional}, not {conditional}: use the same value, '
            'or leave --init_from out'
        )
    different = naming.differences(model, config.spec)
    if different:
        raise UserError(
            f'init_from {source!r} was trained on other data than '
            f'{model.spec.name!r}, which has {different}: use data of the '
            'same shape, or leave --init_from out'
        )


def _find(path):
    """The prefix of the files that hold the weights."""
    for version in (path, *storage.versions(path).values()):
        # In object storage, an export without this file is not complete.
        if (version / 'saved_model.pb').exists():
            return version / 'variables' / 'variables'
    prefix = checkpoints.newest_readable(path / 'checkpoints')
    if prefix is None:
        raise UserError(
            f'init_from {str(path)!r} holds neither a trained run nor an '
            'export: pass the --workdir of tfgen train, or the '
            '--model_dir of tfgen export'
        )
    return prefix


def _numbered(reader):
    """Reads the stored weights: index in the model -> value.

    They are the moving averages, if the checkpoint has any.
    """
    graph = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
        reader.get_tensor('_CHECKPOINTABLE_OBJECT_GRAPH')
    )

    def children(node):
        """The children of a node of the object graph, by name."""
        return {c.local_name: graph.nodes[c.node_id] for c in node.children}

    kinds = children(graph.nodes[0])
    kind = kinds.get(checkpoints.AVERAGES) or kinds.get(checkpoints.MODEL)
    # The object graph gives the key, because a variable may be stored under
    # another of its names.
    return {
        int(number): reader.get_tensor(variable.attributes[0].checkpoint_key)
        for number, variable in (children(kind).items() if kind else ())
    }


def _another(source, what):
    """The UserError for weights of another model, described by `what`."""
    return UserError(
        f'init_from {source!r} holds another model, with {what}: train with '
        'the preset and fields of that run'
    )
