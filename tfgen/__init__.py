"""tfgen: deep generative models for TensorFlow and Keras."""

__version__ = '0.1.0'


def load(source: str):
    """Loads a trained model by name or path; see export.trained.load."""
    from tfgen.export import trained

    return trained.load(source)
