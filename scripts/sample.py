"""Draws a PNG grid from a workdir or from an exported model.

Runs tfgen.commands.sample; --help lists the flags.
"""

from tfgen.commands import sample

if __name__ == '__main__':
    sample.run()
