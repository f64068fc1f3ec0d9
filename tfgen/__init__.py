"""tfgen: deep generative models for TensorFlow and Keras.

In docstrings, "the notes" are those of Hung-yi Lee's machine learning lectures
17 and 18; docs/lecture.md maps their formulas to the code.
"""

__version__ = '0.1.0'


def load(source: str):
    """Loads a trained model by name or path; see export.trained.load."""
    from tfgen.export import trained

    return trained.load(source)
