"""A model's signatures as graph functions that refuse bad input.

The same functions are exported as a SavedModel and draw the pictures of
scripts/sample.py, so that what is served is what was seen.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfgen import plots
from tfgen.models.base import GenerativeModel, Signature
from tfgen.noise import RowNoise


def functions(model: GenerativeModel) -> dict[str, Callable]:
    """The model's signatures, and a twin of each that makes images or sounds.

    Every function takes keyword tensors with the batch as first dimension and
    returns a dict of such tensors. Bad input (a value out of range, NaN, rows
    that do not match) raises InvalidArgumentError with a message that names
    the input; no rows are answered with no rows. A twin `*_png` returns
    'image_bytes', one encoded PNG per row, in place of 'image'; a twin `*_wav`
    returns 'audio_bytes'.
    """
    served = {}
    for name, signature in model.signatures().items():
        served[name] = _function(model, signature, None)
        if signature.makes:
            ending, encode = _ENCODERS[signature.makes]
            served[f'{name}_{ending}'] = _function(model, signature, encode)
    return served


def encode_png(
    images: tf.Tensor, palette: Sequence[Sequence[int]] | None = None
) -> tf.Tensor:
    """[B, H, W, C] in [0, 1] -> string [B]; C is 1 or 3.

    A value v becomes the byte round(255 v), or with a palette of N colours,
    colour round((N - 1) v).
    """
    pixels = tf.cast(plots.pixels(images, palette), tf.uint8)
    return tf.map_fn(
        tf.io.encode_png,
        pixels,
        fn_output_signature=tf.TensorSpec([], tf.string),
    )


def encode_wav(audio: tf.Tensor, sample_rate: int) -> tf.Tensor:
    """[B, T] in [-1, 1] -> string [B], 16-bit mono.

    A value v becomes round(2^15 v), at most 2^15 - 1.
    """
    return tf.map_fn(
        lambda sound: tf.audio.encode_wav(sound[:, None], sample_rate),
        audio,
        fn_output_signature=tf.TensorSpec([], tf.string),
    )


_LARGEST_Z = 100.0
_ENCODERS = {
    'image': ('png', lambda model, x: encode_png(x, model.palette)),
    'audio': ('wav', lambda model, x: encode_wav(x, model.sample_rate)),
}


def _function(model: GenerativeModel, signature: Signature, encode):
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
        if 'seed' in inputs:
            inputs['noise'] = RowNoise(inputs.pop('seed'))
        outputs = signature.function(**inputs)
        if encode:
            made = signature.makes
            outputs = {f'{made}_bytes': encode(model, outputs[made])}
        return {name: value[:rows] for name, value in outputs.items()}

    # Concrete now: a signature is traced once, for any batch size. No XLA:
    # TensorFlow Serving cannot run jitted functions on every platform.
    return tf.function(call, autograph=False).get_concrete_function(
        **{name: specs[name] for name in signature.inputs}
    )


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
    return [
        _CHECKS[name](model, value)
        for name, value in inputs.items()
        if name in _CHECKS
    ]


def _check_label(model, label):
    return _assert(
        tf.reduce_all((label >= 0) & (label < model.num_classes)),
        f'label must be in 0..{model.num_classes - 1}, got',
        label,
    )


def _check_image(model, image):
    # A comparison with NaN is false, so NaN fails as well.
    return _assert(
        tf.reduce_all((image >= 0.0) & (image <= 1.0)),
        'image must have values in [0, 1], got',
        tf.reduce_min(image),
        tf.reduce_max(image),
    )


def _check_audio(model, audio):
    return _assert(
        tf.reduce_all((audio >= -1.0) & (audio <= 1.0)),
        'audio must have samples in [-1, 1], got',
        tf.reduce_min(audio),
        tf.reduce_max(audio),
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


def _assert(condition, message, *values):
    return tf.debugging.Assert(condition, [message, *values], summarize=16)


_CHECKS = {
    'label': _check_label,
    'image': _check_image,
    'audio': _check_audio,
    'mask': _check_mask,
    'z': _check_z,
}
