"""Losses and penalties that are functions of the user's own."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfgen import objects
from tfgen.errors import UserError


def per_example(
    function: Callable[..., Any] | str, name: str
) -> Callable[..., Any]:
    """A user's function whose results are checked: one number per example.

    Args:
      function: gives float32 [B], or None; or its stored name, see objects.
      name: of the setting, for messages.

    Returns:
      The function. It raises UserError if the result has another shape.
    """
    function = objects.restore_function(function, name)

    def checked(*given, **named):
        made = function(*given, **named)
        if made is None:
            return None
        made = tf.cast(made, tf.float32)
        if made.shape.rank != 1:
            raise UserError(
                f'{name}={function.__qualname__} gives a tensor of shape '
                f'{made.shape}, and must give one number per example, [B]: '
                'sum over all axes but the first'
            )
        return made

    return checked
