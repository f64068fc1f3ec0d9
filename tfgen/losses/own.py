"""Losses and penalties that are functions of the user's own."""

import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfgen import objects
from tfgen.errors import UserError


def per_example(
    given: Callable[..., Any] | str,
    name: str,
    arguments: tuple[str, ...],
    optional: bool = False,
) -> Callable[..., Any]:
    """A user's function whose results are checked: one number per example.

    Args:
      given: the function, which gives float [B]; or its stored name, see
        objects.
      name: of the setting, for messages.
      arguments: what it takes, by position; their names are free.
      optional: whether it may give None.

    Returns:
      The function. It raises UserError if the result is not as it must be.

    Raises:
      UserError: the function takes other arguments.
    """
    function: Callable[..., Any] = objects.restore_function(given, name)
    shown = f'{name}={function.__qualname__}'
    parameters = inspect.signature(function).parameters.values()
    needed = [p for p in parameters if p.default is p.empty]
    variable = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if len(needed) != len(arguments) and not variable:
        raise UserError(
            f'{shown} takes ({", ".join(p.name for p in needed)}), and must '
            f'take ({", ".join(arguments)})'
        )

    def checked(*values):
        try:
            made = function(*values)
        except UserError:
            raise
        except Exception as error:
            last = values[-1] if isinstance(values[-1], str) else ''
            what = f' for {arguments[-1]} {last!r}' if last else ''
            raise UserError(
                f'{shown} fails{what} ({type(error).__name__}: '
                f'{objects.one_line(error)}): mend the function'
            ) from error
        if made is None and optional:
            return None
        if made is None:
            raise UserError(
                f'{shown} gives None, and must give one number per example, '
                '[B]: return it'
            )
        made = tf.convert_to_tensor(made)
        if made.shape.rank != 1 or not made.dtype.is_floating:
            raise UserError(
                f'{shown} gives {made.dtype.name} of shape {made.shape}, and '
                'must give one float per example, [B]: sum over all axes but '
                'the first'
            )
        return tf.cast(made, tf.float32)

    return checked
