"""Exports a trained model as a SavedModel for TensorFlow Serving.

    tfgen export --workdir=runs/cvae_digits --model_dir=exports/cvae_digits

In a clone, `python scripts/export.py` is the same.
"""

from absl import flags

from tfgen.commands import cli

cli.workdir_flag()
cli.data_flag()
cli.dataset_flag()
flags.DEFINE_string('model_dir', None, 'Folder that the server watches.')


def main() -> None:
    from tfgen.export import saved_model, trained

    model_dir = cli.path(cli.required('model_dir'))
    run = trained.load_run(cli.workdir())
    examples = run.config.load_data(
        flags.FLAGS.data_dir, flags.FLAGS.dataset, run.folder
    )
    version = saved_model.export(
        run.model(), run.config, run.step, examples, model_dir
    )
    print(version.resolve())


def run() -> None:
    """Runs the console command."""
    cli.run(main, __name__)
