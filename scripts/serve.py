"""Serves exported models over TensorFlow Serving's REST API.

The front door of tfgen.commands.serve; --help names the flags.
"""

from tfgen.commands import serve

if __name__ == '__main__':
    serve.run()
