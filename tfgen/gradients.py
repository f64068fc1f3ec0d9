"""Gradients that are added in pairs, in a fixed order."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


def with_gradients(
    function: Callable[[], tuple[tf.Tensor, Any]], variables: Sequence
) -> tuple[Any, list[tf.Tensor | None]]:
    """Differentiates the total that `function` returns, reproducibly.

    Where three or more gradients meet at one tensor, a tape adds them in one
    operation. On a CPU this operation adds them in the order in which buffers
    become free, so the last bit differs from run to run. In a graph, this
    function adds them in pairs, in an order that the graph fixes, at no cost.
    (Eager mode has only the tape.) A loss that contains a gradient, such as a
    gradient penalty, computes it with this function as well.

    Args:
      function: takes no arguments. It returns a total, which is differentiated,
        and any other result. It is called once.
      variables: variables, or tensors that `function` uses.

    Returns:
      The other result, and one gradient for each of `variables`: None for one
      that has no influence.
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
    # tf.identity gives each gradient a device, which several workers need to
    # add them.
    return rest, [None if g is None else tf.identity(g) for g in gradients]
