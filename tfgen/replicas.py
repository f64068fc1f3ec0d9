"""Means over the global batch, inside a replica."""

import tensorflow as tf


def mean(values: tf.Tensor) -> tf.Tensor:
    """The mean of `values` over the replicas; gradients pass through it.

    Of one replica, and outside of any strategy, `values` itself. A mean over
    a replica's rows becomes that over the global batch, for every replica has
    as many rows.
    """
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return values
    return replica.all_reduce(tf.distribute.ReduceOp.MEAN, values)


def count() -> int:
    """How many replicas there are; 1 outside of any strategy."""
    replica = tf.distribute.get_replica_context()
    return 1 if replica is None else replica.num_replicas_in_sync
