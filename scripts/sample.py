"""Draws a PNG grid from a workdir or from an exported model.

The front door of tfgen.commands.sample; --help names the flags.
"""

from tfgen.commands import sample

if __name__ == '__main__':
    sample.run()
