"""A model's signatures as graph functions that refuse bad input.

The same functions are exported as a SavedModel and draw the pictures of
scripts/sample.py, so a server returns the examples that these pictures show.
"""

from collections.abc import Callable

import tensorflow as tf

from tfgen.models.contracts.model import Model, Signature
from tfgen.noise import RowNoise


def functions(model: Model) -> dict[str, Callable]:
    """The model's signatures by name, and for some a twin that returns files.

    Every function takes keyword tensors with the batch as first dimension and
    returns a dict of such tensors. Bad input (a value out of range, NaN, rows
    that do not match) raises InvalidArgumentError with a message that names
    the input. An empty batch gives empty outputs.

    A signature that makes examples has a twin if its spec has a file format.
    `*_png` returns 'image_bytes', one encoded PNG per row, in place of 'image';
    `*_wav` returns 'audio_bytes'.
    """
    signatures, ending = model.signatures(), model.spec.ending
    served = {}
    # Signatures that others are derived from come first.
    for name in sorted(
        signatures, key=lambda n: bool(signatures[n].derived_from)
    ):
        signature = signatures[name]
        served[name] = _function(
            model, signature, served.get(signature.derived_from)
        )
    for name, signature in signatures.items():
        if signature.makes and ending:
            served[f'{name}_{ending}'] = _as_files(model, served[name])
    return served


def arguments(model: Model, inputs: dict[str, tf.Tensor]) -> dict:
    """The arguments of a Signature's function, from the inputs of a request.

    'seed' becomes `noise`, and the example gets the name `example`.
    """
    given = dict(inputs)
    if 'seed' in given:
        given['noise'] = RowNoise(given.pop('seed'))
    if model.spec.key in given:
        given['example'] = given.pop(model.spec.key)
    return given


_LARGEST_Z = 100.0


def _function(model, signature: Signature, other: Callable | None):
    """The graph function of one signature.

    Args:
      model: serves the signature.
      signature: of the model.
      other: the graph function that it is derived from; None if it is not.
    """
    specs = model.request_specs()

    def call(**inputs):
        # Each check waits for the checks before it, and the model waits for all
        # of them. Otherwise several could fail at once on the same input, and
        # the client might get the wrong error.
        for check in (_check_shapes, _check_rows, _check_values):
            with tf.control_dependencies(check(model, specs, inputs)):
                inputs = {k: tf.identity(v) for k, v in inputs.items()}
        rows = tf.shape(next(iter(inputs.values())))[0]
        inputs = {k: _at_least_one(v, rows) for k, v in inputs.items()}
        if other:
            outputs = other(**inputs, **_zeros(other, inputs))
        else:
            outputs = signature.function(**arguments(model, inputs))
        return {name: value[:rows] for name, value in outputs.items()}

    # A signature is traced once, now, for any batch size. XLA is not used:
    # TensorFlow Serving cannot run jitted functions on every platform.
    return tf.function(call, autograph=False).get_concrete_function(
        **{name: specs[name] for name in signature.inputs}
    )


def _as_files(model, function):
    """A graph function that encodes the examples of `function` as files."""
    specs, key = function.structured_input_signature[1], model.spec.key

    def call(**inputs):
        example = function(**inputs)[key]
        rows = tf.shape(example)[0]
        files = model.spec.encode(_at_least_one(example, rows))
        return {f'{key}_bytes': files[:rows]}

    return tf.function(call, autograph=False).get_concrete_function(**specs)


def _zeros(function, inputs):
    """Zeros for the arguments of `function` that are not in `inputs`."""
    rows = tf.shape(next(iter(inputs.values())))[0]
    return {
        name: tf.zeros([rows, *spec.shape[1:]], spec.dtype)
        for name, spec in function.structured_input_signature[1].items()
        if name not in inputs
    }


def _at_least_one(value, rows):
    """Adds a row of zeros if there are no rows: some kernels need one."""
    missing = tf.cast(tf.equal(rows, 0), tf.int32)
    row = tf.zeros([missing, *value.shape[1:]], value.dtype)
    return tf.concat([value, row], 0)


def _check_shapes(model, specs, inputs):
    """Assertions that each input has the shape of its spec."""
    checks = []
    for name, value in inputs.items():
        sides = [str(side) for side in specs[name].shape[1:]]
        # Shapes are compared as text. A server feeds any shape, and TensorFlow
        # trusts the signature's static shape when it compares numbers.
        shape = tf.strings.reduce_join(
            tf.strings.as_string(tf.shape(value)), separator='x'
        )
        checks.append(
            _assert(
                tf.strings.regex_full_match(
                    shape, 'x'.join(['[0-9]+', *sides])
                ),
                f'{name} must have shape [{", ".join(["rows", *sides])}], got',
                tf.shape(value),
            )
        )
    return checks


def _check_rows(model, specs, inputs):
    """Assertions that all inputs have the same number of rows."""
    (first, rows), *others = [(k, tf.shape(v)[0]) for k, v in inputs.items()]
    return [
        _assert(
            tf.equal(rows, count),
            f'{first} and {name} must have the same number of rows:',
            rows,
            count,
        )
        for name, count in others
    ]


def _check_values(model, specs, inputs):
    """Assertions that the values of the inputs are in range."""
    checks = {
        'label': _check_label,
        'mask': _check_mask,
        'z': _check_z,
        'z_to': _check_z,
        'weight': _check_weight,
        'spherical': _check_spherical,
        model.spec.key: _check_example,
    }
    return [
        checks[name](model, value)
        for name, value in inputs.items()
        if name in checks
    ]


def _check_label(model, label):
    return _assert(
        tf.reduce_all((label >= 0) & (label < model.num_classes)),
        f'label must be in 0..{model.num_classes - 1}, got',
        label,
    )


def _check_example(model, example):
    valid, rule = model.spec.valid(example)
    return _assert(
        valid,
        f'{model.spec.key} {rule}, got',
        tf.reduce_min(example),
        tf.reduce_max(example),
    )


def _check_mask(model, mask):
    return _assert(
        tf.reduce_all(tf.equal(mask, 0.0) | tf.equal(mask, 1.0)),
        'mask must be 1 (known) or 0 (hidden), got',
        tf.reduce_min(mask),
        tf.reduce_max(mask),
    )


def _check_z(model, z):
    # A decoder overflows far beyond the prior, and JSON has no NaN. The
    # comparison also refuses NaN in z.
    return _assert(
        tf.reduce_all(tf.abs(z) <= _LARGEST_Z),
        f'z must be finite and in [{-_LARGEST_Z}, {_LARGEST_Z}], got',
        tf.reduce_min(z),
        tf.reduce_max(z),
    )


def _check_weight(model, weight):
    return _assert(
        tf.reduce_all((weight >= 0.0) & (weight <= 1.0)),
        'weight must be in [0, 1], got',
        tf.reduce_min(weight),
        tf.reduce_max(weight),
    )


def _check_spherical(model, spherical):
    return _assert(
        tf.reduce_all((spherical == 0) | (spherical == 1)),
        'spherical must be 1 (along an arc) or 0 (straight), got',
        spherical,
    )


def _assert(condition, message, *values):
    """An assertion; its error shows the message and the values."""
    return tf.debugging.Assert(condition, [message, *values], summarize=16)
