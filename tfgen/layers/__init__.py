"""Layers that Keras lacks, one kind per file."""
