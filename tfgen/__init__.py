"""tfgen: deep generative models for TensorFlow and Keras."""

__version__ = '0.1.0'


def load(source: str):
    """Loads a trained model by name or path; see export.pretrained.load."""
    from tfgen.export import pretrained

    return pretrained.load(source)
