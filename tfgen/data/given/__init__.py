"""Data that are passed in Python: arrays, tf.data, random-access sources.

`from_examples` opens all of them. Like the loaders of data.sets it returns a
Data.
"""

from tfgen.data.given.files import load_arrays, save_arrays
from tfgen.data.given.opening import from_examples

__all__ = ['from_examples', 'load_arrays', 'save_arrays']
