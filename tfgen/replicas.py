"""Means over all replicas, computed inside a replica."""

import tensorflow as tf


def mean(values: tf.Tensor) -> tf.Tensor:
    """The mean of `values` over the replicas; gradients pass through it.

    All replicas have equally many rows, so a mean over a replica's rows becomes
    the mean over the global batch. With one replica, and outside any strategy,
    it returns `values`.
    """
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return values
    return replica.all_reduce(tf.distribute.ReduceOp.MEAN, values)


def count() -> int:
    """The number of replicas; 1 outside any strategy."""
    replica = tf.distribute.get_replica_context()
    return 1 if replica is None else replica.num_replicas_in_sync
