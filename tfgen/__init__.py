"""tfgen: deep generative models for TensorFlow and Keras."""

__version__ = '0.1.0'


def load(source: str):
    """A trained model, by name or by path; see tfgen.export.pretrained.load."""
    from tfgen.export import pretrained

    return pretrained.load(source)
