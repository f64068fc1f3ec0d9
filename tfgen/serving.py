"""A model's signatures as graph functions that refuse bad input.

The same functions are exported as a SavedModel and draw the pictures of
scripts/sample.py, so that what is served is what was seen.
"""

from collections.abc import Callable

import tensorflow as tf

from tfgen.models.base import GenerativeModel, Signature
from tfgen.noise import RowNoise


def functions(model: GenerativeModel) -> dict[str, Callable]:
    """The model's signatures, and a `*_png` twin of each that makes images.

    Every function takes keyword tensors with the batch as first dimension and
    returns a dict of such tensors. Bad input (a value out of range, NaN, rows
    that do not match) raises InvalidArgumentError with a message that names
    the input. A twin returns 'image_bytes', one encoded PNG per row, in
    place of 'image'.
    """
    served = {}
    for name, signature in model.signatures().items():
        served[name] = _function(model, signature, png=False)
        if signature.makes_image:
            served[f'{name}_png'] = _function(model, signature, png=True)
    return served


def encode_png(images: tf.Tensor) -> tf.Tensor:
    """[B, H, W, C] in [0, 1] -> string [B]; C is 1 or 3.

    A value v becomes the byte round(255 v).
    """
    pixels = tf.cast(tf.round(images * 255.0), tf.uint8)
    return tf.map_fn(
        tf.io.encode_png,
        pixels,
        fn_output_signature=tf.TensorSpec([], tf.string),
    )


def _function(model: GenerativeModel, signature: Signature, png: bool):
    specs = model.request_specs()

    def call(**inputs):
        _check_rows(inputs)
        for name, value in inputs.items():
            if name in _CHECKS:
                _CHECKS[name](model, value)
        if 'seed' in inputs:
            inputs['noise'] = RowNoise(inputs.pop('seed'))
        outputs = signature.function(**inputs)
        if png:
            outputs = {'image_bytes': encode_png(outputs['image'])}
        return outputs

    # Concrete now: a signature is traced once, for any batch size. No XLA:
    # TensorFlow Serving cannot run jitted functions on every platform.
    return tf.function(call, autograph=False).get_concrete_function(
        **{name: specs[name] for name in signature.inputs}
    )


def _check_rows(inputs):
    (first, rows), *others = [(k, tf.shape(v)[0]) for k, v in inputs.items()]
    for name, count in others:
        tf.debugging.Assert(
            tf.equal(rows, count),
            [f'{first} and {name} must have the same number of rows:', rows]
            + [count],
        )


def _check_label(model, label):
    tf.debugging.Assert(
        tf.reduce_all((label >= 0) & (label < model.num_classes)),
        [f'label must be in 0..{model.num_classes - 1}, got', label],
    )


def _check_image(model, image):
    # A comparison with NaN is false, so NaN fails as well.
    tf.debugging.Assert(
        tf.reduce_all((image >= 0.0) & (image <= 1.0)),
        ['image must have values in [0, 1], got', tf.reduce_min(image)]
        + [tf.reduce_max(image)],
    )


def _check_mask(model, mask):
    tf.debugging.Assert(
        tf.reduce_all(tf.equal(mask, 0.0) | tf.equal(mask, 1.0)),
        ['mask must be 1 (known) or 0 (hidden), got', mask],
    )


def _check_z(model, z):
    tf.debugging.Assert(
        tf.reduce_all(tf.math.is_finite(z)), ['z must be finite, got', z]
    )


_CHECKS = {
    'label': _check_label,
    'image': _check_image,
    'mask': _check_mask,
    'z': _check_z,
}
