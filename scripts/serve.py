"""Serves exported models over TensorFlow Serving's REST API.

Runs tfgen.commands.serve; --help lists the flags.
"""

from tfgen.commands import serve

if __name__ == '__main__':
    serve.run()
