"""Trains a preset, or continues a run that was stopped.

The front door of tfgen.commands.train; --help names the flags.
"""

from tfgen.commands import train

if __name__ == '__main__':
    train.run()
