"""Reports of a run: progress line, TensorBoard summaries, sample grids."""

import contextlib
import functools
import math
import pathlib
import time
from collections.abc import Callable, Mapping

import tensorflow as tf

from tfgen import plots, storage
from tfgen.errors import UserError
from tfgen.models.contracts.capabilities import GenerativeModel
from tfgen.models.contracts.model import Model
from tfgen.models.gan import GAN
from tfgen.noise import RowNoise
from tfgen.training.history import events
from tfgen.training.progress import Progress
from tfgen.training.workdir import Config

_NEVER = 2**31 - 1  # values in a queue, or milliseconds
_MINUTE = 60.0  # seconds between two uploads of the summaries


class Reporter:
    """Writes progress line, TensorBoard summaries and sample grids.

    Args:
      directory: the workdir.
      config, model: of the run.
      done: the step at which the run resumes. Later points in the summaries
        were left by a killed run and are removed.
      chief: whether this process is the chief; other processes write nothing.
      measure: model -> results by name, written with each grid of samples.
    """

    def __init__(
        self,
        directory: pathlib.Path,
        config: Config,
        model: Model,
        done: int,
        chief: bool,
        measure: Callable[[Model], Mapping[str, float]] | None = None,
    ):
        preset = config.preset
        self._directory, self._spec, self._model = directory, config.spec, model
        self._log_every, self._chief = preset.log_every, chief
        self._progress = Progress(done, preset.steps, preset.batch_size)
        self._measure = measure
        self._recent: dict = {}  # since the last point of the summaries
        self._unseen: dict = {}  # since the last line
        self._draw = tf.function(self._sample, autograph=False)
        # Values for the summaries that are not written yet: (step, write).
        self._waiting: list = []
        self._flushed = time.monotonic()
        self._writer = tf.summary.create_noop_writer()
        if chief:
            with _writing(directory):
                remove_later_points(directory / 'summaries', done)
                # In object storage each of its own flushes would upload the
                # whole file.
                never = _NEVER if storage.is_remote(directory) else None
                self._writer = tf.summary.create_file_writer(
                    str(directory / 'summaries'),
                    max_queue=never,
                    flush_millis=never,
                )
                if not done:
                    self._facts(config)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self._progress.close()
        # An error while closing must not hide the error that ended the run.
        ignored = Exception if kind else ()
        with contextlib.suppress(ignored), _writing(self._directory):
            self._flush()
            self._writer.close()

    def _facts(self, config):
        """Writes a description of the run: a text, and a row of HParams."""
        # Imported here, because code that only evaluates does not need it.
        from tensorboard.plugins.hparams import api as hparams

        content = config.as_dict()
        fields = content.pop('fields')
        told = {
            'preset': config.name,
            'model': type(self._model).__name__,
            'parameters': f'{self._model.num_parameters():,}',
            'data': config.spec.words(),
            'seed': config.seed,
            'precision': config.precision,
            'init_from': config.init_from,
            'versions': ', '.join(map(' '.join, content['versions'].items())),
        }
        table = ''.join(
            f'| {name} | {value} |\n' for name, value in (told | fields).items()
        )
        values = {
            name: value if isinstance(value, (bool, int, float)) else str(value)
            for name, value in fields.items()
        }
        with self._writer.as_default(step=0):
            tf.summary.text('run', f'| | |\n|---|---|\n{table}')
            hparams.hparams({'seed': config.seed, **values})
            self._writer.flush()

    def compiling(self) -> None:
        """Says that the first step takes longer than the others."""
        if self._chief:
            self._progress.say('compiling the first step ...')

    def terms(self, done: int, history: dict, stopped: bool = False) -> None:
        """Collects the terms of the last steps and shows their means.

        The summaries get them every `log_every` steps, after the last step, and
        when the run was stopped, so that no step is lost. The progress line
        shows them then, and every few seconds.

        Args:
          done: steps done.
          history: 'update/term' -> float32 [n], for the last n steps.
          stopped: whether the run was stopped.
        """
        if not self._chief:
            return
        for name, values in history.items():
            self._recent.setdefault(name, []).extend(values)
            self._unseen.setdefault(name, []).extend(values)
        last = stopped or done == self._progress.total
        logged = not done % self._log_every or last
        if logged or self._progress.due():
            self._progress.show(done, _means(self._unseen))
            self._unseen.clear()
        if not logged:
            return
        means = _means(self._recent)
        self._recent.clear()
        means['examples_per_second'] = self._progress.examples_per_second
        self._scalars(done, means)
        # A flush uploads the whole file to object storage once more.
        quiet = time.monotonic() - self._flushed
        if not storage.is_remote(self._directory) or quiet >= _MINUTE:
            self._flush()

    def samples(self, done: int) -> None:
        """Writes a grid of samples, and the results of `measure`.

        The samples have the same seeds each time. Both use the current weights,
        not their moving averages.
        """
        if not self._chief:
            return
        figures = self._measure(self._model) if self._measure else {}
        grids = []
        if isinstance(self._model, GenerativeModel):
            grids.append(self._grid())
            file = self._directory / 'samples' / f'step_{done:07d}.png'
            storage.write_picture(file, grids[0])
        for grid in grids:
            self._waiting.append(
                (
                    done,
                    functools.partial(tf.summary.image, 'samples', grid[None]),
                )
            )
        self._scalars(done, {f'metrics/{k}': v for k, v in figures.items()})
        self._flush()

    def _scalars(self, done, values):
        """Notes numbers for the summaries."""
        self._waiting += [
            (done, functools.partial(tf.summary.scalar, name, value))
            for name, value in values.items()
        ]

    def _flush(self):
        """Writes the values that wait for the summaries.

        In object storage a failed upload is a warning: the next one uploads all
        values.
        """
        self._flushed = time.monotonic()
        try:
            with _writing(self._directory):
                with self._writer.as_default():
                    while self._waiting:
                        step, write = self._waiting.pop(0)
                        write(step=step)
                self._writer.flush()
        except UserError as error:
            if not storage.is_remote(self._directory):
                raise
            self._progress.say(f'the summaries are not written now: {error}')

    def _grid(self):
        """A picture of samples, with labels and scores where there are any."""
        drawn = self._draw().numpy()
        labels = self._labels(len(drawn))
        return self._spec.draw(
            drawn,
            plots.label_columns(labels, 8),
            plots.titles(labels, self._spec.class_names),
            score=self._score(),
        )

    def _score(self):
        """points [N, D] -> the discriminator's scores; None if not a GAN.

        Also None for a conditional GAN, and for one whose d judges packs.
        """
        model = self._model
        if not isinstance(model, GAN) or model.num_classes or model.pack > 1:
            return None
        return lambda points: model.score(tf.constant(points)).numpy()

    def _labels(self, count):
        """All classes in turn, `count` labels; None if unconditional."""
        classes = self._model.num_classes
        return [i % classes for i in range(count)] if classes else None

    def _sample(self):
        """Samples [spec.shown, ...] of fixed seeds."""
        count = self._spec.shown
        labels = self._labels(count)
        return self._model.sample(
            RowNoise(tf.range(count)),
            None if labels is None else tf.constant(labels),
        )


def _means(terms):
    return {k: math.fsum(v) / len(v) for k, v in terms.items()}


def remove_later_points(folder: pathlib.Path, step: int) -> None:
    """Rewrites TensorBoard's files in `folder` without points after `step`.

    A killed run resumes from its last checkpoint. Points that it wrote after
    that checkpoint would otherwise be in the curves twice.
    """
    for file in sorted(storage.entries(folder)):
        if 'tfevents' not in file.name:
            continue
        found = list(events(file))
        records = [record for record, event in found if event.step <= step]
        if len(records) < len(found):
            # TensorBoard must not read the temporary file.
            aside = file.with_name(f'.{file.name.replace("tfevents", "new")}')
            try:
                with tf.io.TFRecordWriter(str(aside)) as writer:
                    for record in records:
                        writer.write(record)
                aside.replace(file)
            finally:
                aside.unlink(missing_ok=True)


@contextlib.contextmanager
def _writing(directory):
    """Turns errors of a full or failing disk into a UserError."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        what = storage.remedy(error, 'free some space', directory)
        raise UserError(
            f'workdir {str(directory)!r} cannot be written '
            f'({storage.reason(error)}): {what} and run the same command '
            'again; it continues from its last checkpoint'
        ) from None
