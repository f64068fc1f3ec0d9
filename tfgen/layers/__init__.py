"""Layers that Keras does not have; one kind in each file."""
