"""Evaluates a trained model and writes metrics.json into its workdir.

Runs tfgen.commands.evaluate; --help lists the flags.
"""

from tfgen.commands import evaluate

if __name__ == '__main__':
    evaluate.run()
