"""tfgen: deep generative models for TensorFlow and Keras.

    import tfgen

    run = tfgen.train('cvae', images, labels, workdir='runs/mine')
    run.sample(8, seed=0)
    run = tfgen.load('runs/mine')

In docstrings, "the notes" are those of Hung-yi Lee's machine learning lectures
17 and 18; docs/lecture.md maps their formulas to the code.
"""

import importlib
import os

# For TensorFlow's client of gs://, which reads these when TensorFlow is
# imported. Its buffer of 64 MB for each file takes 40 ms. Its ten repetitions
# of a failed request take three minutes; six take one.
os.environ.setdefault('GCS_READ_CACHE_BLOCK_SIZE_MB', '8')
os.environ.setdefault('GCS_RETRY_CONFIG_MAX_RETRIES', '6')

__version__ = '0.1.0'

# Loaded when they are used, because TensorFlow takes seconds to import.
_FUNCTIONS = {'train': 'interface', 'load': 'interface'}
_MODULES = ('data', 'evaluation', 'layers', 'models', 'noise', 'presets')
__all__ = [
    'data',
    'evaluation',
    'layers',
    'load',
    'models',
    'noise',
    'presets',
    'train',
]


def __getattr__(name):
    if name in _FUNCTIONS:
        module = importlib.import_module(f'tfgen.{_FUNCTIONS[name]}')
        return getattr(module, name)
    if name in _MODULES:
        return importlib.import_module(f'tfgen.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__():
    return __all__
