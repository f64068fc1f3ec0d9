"""Trains a preset, or resumes a run that was stopped.

Runs tfgen.commands.train; --help lists the flags.
"""

from tfgen.commands import train

if __name__ == '__main__':
    train.run()
