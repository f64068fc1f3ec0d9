"""Gradients that are added two at a time."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


def with_gradients(
    function: Callable[[], tuple[tf.Tensor, Any]], variables: Sequence
) -> tuple[Any, list[tf.Tensor | None]]:
    """What `function` gives beside its total, and the total's gradients.

    Where three or more gradients meet at one tensor, a tape adds them in one
    operation, whose CPU kernel takes them in the order in which buffers become
    free: the last bit differs from run to run. In a graph they are added here
    one after the other, in an order that the graph fixes, at no cost. (In
    eager mode there is only the tape.) A loss that differentiates inside
    itself, as a gradient penalty does, does that with this function as well.

    (Some layers pass their input through tf.identity: where gradients were not
    added here it made pairs. It now decides which two are added first, and so
    the last bit, which stays that of earlier runs.)

    Args:
      function: takes nothing; gives a total, which is differentiated, and
        anything else. It is called once.
      variables: variables, or tensors that `function` uses.

    Returns:
      The anything else, and one gradient for each of `variables`; None where
      it has no influence.
    """
    sources = [
        v.value if isinstance(v, keras.Variable) else v for v in variables
    ]
    if tf.executing_eagerly():
        with tf.GradientTape() as tape:
            tape.watch(sources)
            total, rest = function()
        return rest, tape.gradient(total, sources)
    total, rest = function()
    gradients = tf.gradients(
        total,
        sources,
        aggregation_method=tf.AggregationMethod.EXPERIMENTAL_TREE,
    )
    # (Several workers want to know the device of what they add.)
    return rest, [None if g is None else tf.identity(g) for g in gradients]
