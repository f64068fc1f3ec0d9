"""Exports a trained model as a SavedModel for TensorFlow Serving.

Runs tfgen.commands.export; --help lists the flags.
"""

from tfgen.commands import export

if __name__ == '__main__':
    export.run()
