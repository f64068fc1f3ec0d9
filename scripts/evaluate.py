"""Measures a trained model and writes metrics.json into its workdir.

The front door of tfgen.commands.evaluate; --help names the flags.
"""

from tfgen.commands import evaluate

if __name__ == '__main__':
    evaluate.run()
