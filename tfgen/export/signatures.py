"""A model's signatures as graph functions that refuse bad input.

The same functions are exported as a SavedModel and draw the pictures of
scripts/sample.py, so that what is served is what was seen.
"""

from collections.abc import Callable

import tensorflow as tf

from tfgen.models.contracts.model import Model, Signature
from tfgen.noise import RowNoise


def functions(model: Model) -> dict[str, Callable]:
    """The model's signatures, and a twin of each that makes examples.

    Every function takes keyword tensors with the batch as first dimension and
    returns a dict of such tensors. Bad input (a value out of range, NaN, rows
    that do not match) raises InvalidArgumentError with a message that names
    the input; no rows are answered with no rows. Where the kind of example has
    a file format, a twin returns files: `*_png` 'image_bytes', one encoded PNG
    per row, in place of 'image', `*_wav` 'audio_bytes'.
    """
    signatures, ending = model.signatures(), model.spec.ending
    served = {}
    # Those that others are made of come first.
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
    """What a Signature's function takes, of what a request holds."""
    given = dict(inputs)
    if 'seed' in given:
        given['noise'] = RowNoise(given.pop('seed'))
    if model.spec.key in given:
        given['example'] = given.pop(model.spec.key)
    return given


_LARGEST_Z = 100.0


def _function(model, signature: Signature, other: Callable | None):
    specs = model.request_specs()

    def call(**inputs):
        # What is checked waits for what it relies on, and the model for all:
        # were one to fail on the same input at the same time, its error could
        # be the one that the client is told.
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

    # Concrete now: a signature is traced once, for any batch size. No XLA:
    # TensorFlow Serving cannot run jitted functions on every platform.
    return tf.function(call, autograph=False).get_concrete_function(
        **{name: specs[name] for name in signature.inputs}
    )


def _as_files(model, function):
    """What `function` makes, encoded."""
    specs, key = function.structured_input_signature[1], model.spec.key

    def call(**inputs):
        example = function(**inputs)[key]
        rows = tf.shape(example)[0]
        files = model.spec.encode(_at_least_one(example, rows))
        return {f'{key}_bytes': files[:rows]}

    return tf.function(call, autograph=False).get_concrete_function(**specs)


def _zeros(function, inputs):
    """What `function` takes beside `inputs`, as zeros of as many rows."""
    rows = tf.shape(next(iter(inputs.values())))[0]
    return {
        name: tf.zeros([rows, *spec.shape[1:]], spec.dtype)
        for name, spec in function.structured_input_signature[1].items()
        if name not in inputs
    }


def _at_least_one(value, rows):
    """A row of zeros for a request of none, which not every kernel stands."""
    missing = tf.cast(tf.equal(rows, 0), tf.int32)
    row = tf.zeros([missing, *value.shape[1:]], value.dtype)
    return tf.concat([value, row], 0)


def _check_shapes(model, specs, inputs):
    checks = []
    for name, value in inputs.items():
        sides = [str(side) for side in specs[name].shape[1:]]
        # As text, for a server feeds any shape, and where TensorFlow compares
        # numbers it believes the shape that the signature states.
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
    # Far beyond the prior a decoder overflows, and NaN is no JSON. (Of NaN
    # the comparison is false.)
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
    return tf.debugging.Assert(condition, [message, *values], summarize=16)
