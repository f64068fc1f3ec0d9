"""tfgen: deep generative models for TensorFlow and Keras."""

__version__ = '0.1.0'
