"""Publishes a trained model as a SavedModel for TensorFlow Serving.

The front door of tfgen.commands.export; --help names the flags.
"""

from tfgen.commands import export

if __name__ == '__main__':
    export.run()
