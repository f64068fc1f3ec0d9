"""Lists the presets: their data, sizes, and what their runs have reached.

tfgen list
"""

from tfgen.commands import cli


def main() -> None:
    from tfgen.evaluation import records

    print('\n'.join(records.table()))


def run() -> None:
    """Runs the console command."""
    cli.run(main, __name__)
