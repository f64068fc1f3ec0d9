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
# For TensorFlow's CPU memory. By default each large buffer goes back to the
# system, and the next step gets fresh pages, which the system must clear. This
# allocator keeps them: a step of seven Diagonal BiLSTM layers takes two thirds
# of the time. Its limit would be 64 GB; on larger machines it is their memory.
os.environ.setdefault('TF_CPU_ALLOCATOR_USE_BFC', 'true')
if hasattr(os, 'sysconf'):
    _bytes = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    os.environ.setdefault('TF_CPU_BFC_MEM_LIMIT_IN_MB', str(_bytes >> 20))

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
