"""Trained models: one class for runs, exports and pretrained models."""

import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfgen import evaluation, storage
from tfgen.data import Data, Spec, like
from tfgen.errors import UserError
from tfgen.evaluation import classifiers, exported
from tfgen.evaluation.base import Evaluation, Settings
from tfgen.export import pretrained, saved_model, signatures
from tfgen.export.served import ServedModel
from tfgen.models.contracts.model import Model
from tfgen.pictures import kinds
from tfgen.pictures.picture import Picture
from tfgen.training import workdir
from tfgen.training.history import History, read_history


class TrainedModel(ServedModel):
    """A trained model: a run, an export, or a pretrained model.

        run = tfgen.load('runs/mine')
        run.sample(8, seed=0)                  # [8, H, W, C]
        run.show('interpolation')              # a picture
        run.evaluate()['negative_elbo']        # 71.2 +- 0.4 nats
        run['sample'](seed=[1, 2], label=[3, 7])

    `sample`, `reconstruct`, `complete`, `encode`, `decode`, `log_prob`, `elbo`
    and `classify` call the functions that an export serves. They take and
    return NumPy arrays, one row per example. They raise UserError if the model
    does not serve the function.

    Attributes:
      config: of the run.
      step: the number of training steps done.
      folder: the workdir of a run, or the folder of an export.
      live: a run's Keras model; None for an export, which has only functions.
    """

    def __init__(
        self,
        config: workdir.Config,
        step: int,
        folder: pathlib.Path,
        live: Model | None = None,
        functions: Mapping[str, Callable] | None = None,
    ):
        """One of `live` and `functions` is given."""
        self.config, self.step, self.folder = config, step, folder
        self.live, self._functions = live, functions

    # What it is.

    @property
    def name(self) -> str:
        """The name of the preset."""
        return self.config.name

    @property
    def spec(self) -> Spec:
        """The type of the examples, and facts about their data set."""
        return self.config.spec

    @property
    def conditional(self) -> bool:
        """Whether this is p(x | label)."""
        return self.config.preset.conditional

    def model(self) -> Model:
        """The Keras model of a run.

        Raises:
          UserError: this is an export, which has only functions.
        """
        if self.live is None:
            raise UserError(
                f'{str(self.folder)!r} is an export, which holds no Keras '
                'model: pass its run'
            )
        return self.live

    @functools.cached_property
    def functions(self) -> Mapping[str, Callable]:
        """The served functions by name: keyword tensors -> dict of tensors.

        A wrong value raises InvalidArgumentError; see export.signatures.
        """
        if self._functions is not None:
            return self._functions
        return signatures.functions(self.model())

    @property
    def history(self) -> History:
        """The curves of the training: 'step' and each term, as arrays.

        Raises:
          UserError: this is an export.
        """
        if self.live is None:
            raise UserError(
                f'{str(self.folder)!r} is an export, which holds no curves: '
                'load its run'
            )
        return read_history(self.folder)

    def __repr__(self) -> str:
        what = f'run in {str(self.folder)!r}'
        if self.live is None:
            what = f'export in {str(self.folder)!r}'
            if self.folder.parent == pretrained.folder():
                what = 'pretrained model'
        kind = self.config.preset.model.__name__
        given = ' given label' if self.conditional else ''
        return (
            f'{kind} {self.config.name!r}, {what}\n'
            f'  step {self.step:,}, {self.spec.words()}{given}\n'
            f'  functions: {", ".join(sorted(self.functions))}\n'
            f'  pictures:  {", ".join(kinds.of(self))}\n'
            f'  next: {self._next()}'
        )

    def _next(self):
        """Calls that this model allows, for `repr`."""
        calls = ['.sample(8)'] if 'sample' in self.functions else []
        calls += [f'.show({kind!r})' for kind in kinds.of(self)[:1]]
        calls += ['.evaluate()']
        calls += [] if self.live is None else ['.export(folder)']
        return ', '.join(calls)

    # Its data, figures, pictures, and its export.

    def data(self, data: Any = None, labels: Any = None) -> Data:
        """The data set of the run, or other data of the same shape.

        Raises:
          UserError: the run's data set is missing or has changed, or the other
            data have another kind or shape.
        """
        if data is not None:
            return like(self.spec, data, labels)
        return self.config.load_data(workdir=self.folder)

    def evaluate(
        self,
        data: Any = None,
        labels: Any = None,
        metrics: Sequence[str] | None = None,
        **settings: Any,
    ) -> Evaluation:
        """Measures the model: results by name, with errors and units.

        Args:
          data, labels: other data, all of which is measured; None takes the
            run's own.
          metrics: names; None takes the default metrics of the model.
          settings: fields of evaluation.Settings, such as split='train',
            num_samples=5000, limit=1000.

        Raises:
          UserError: see evaluation.chosen.
        """
        unknown = settings.keys() - Settings.__dataclass_fields__.keys()
        if unknown:
            raise UserError(
                f'evaluate takes no {min(unknown)!r}: use '
                f'{", ".join(Settings.__dataclass_fields__)}'
            )
        if isinstance(metrics, str):
            metrics = metrics.split(',')
        examples, how = self.data(data, labels), Settings(**settings)
        model = self.live or exported.stand_in(
            self.functions, self.config.build()
        )
        chosen = evaluation.chosen(model, examples, metrics, how)
        if any(m.needs_features for m in chosen) and how.features is None:
            own = classifiers.features(self.config, examples=examples)
            how = Settings(**settings | {'features': own})
        return evaluation.evaluate(model, examples, how, metrics)

    def show(
        self, kind: str = 'samples', data: Any = None, **options: Any
    ) -> Picture:
        """Draws a picture, which a notebook shows.

        Args:
          kind: see pictures.kinds; `repr` lists those of this model.
          data: test examples, such as those to reconstruct; None takes the
            run's own.
          options: of this kind, such as labels, count, seed.

        Raises:
          UserError: the model cannot draw this kind.
        """
        examples = None if data is None else self.data(data)
        return kinds.draw(self, kind, examples, **options)

    def export(
        self, model_dir: str | pathlib.Path, data: Any = None
    ) -> 'TrainedModel':
        """Publishes a run as the next version in `model_dir`.

        Args:
          model_dir: the folder that a server watches.
          data: examples that verify the export; None takes the run's own.

        Returns:
          The exported model.

        Raises:
          UserError: this is an export, the run's data are missing, or
            `model_dir` cannot be written.
        """
        version = saved_model.export(
            self.model(),
            self.config,
            self.step,
            self.data(data),
            storage.place(model_dir),
        )
        return load_export(version)


def load_run(source: str | pathlib.Path) -> TrainedModel:
    """Loads the last checkpoint of the run in a workdir.

    Raises:
      UserError: `source` is no workdir, or has no checkpoint.
    """
    path = storage.place(source)
    config = workdir.read_config(path)
    model, step = config.restore(path)
    return TrainedModel(config, step, path, live=model)


def load_export(source: str | pathlib.Path) -> TrainedModel:
    """Loads the newest version of an export, or a model of `pretrained.names`.

    Args:
      source: the folder of an exported model, or of one version; or the name of
        a pretrained model, if no export is in a folder of that name.

    Raises:
      UserError: there is no such model.
    """
    path = storage.place(source)
    if str(source) in pretrained.names() and not saved_model.versions(path):
        path = pretrained.folder() / source
    if not path.is_dir():
        raise UserError(
            f'no trained model {str(source)!r}: pass the folder of a run or of '
            f'an export, or one of {", ".join(pretrained.names())}'
        )
    functions, info = saved_model.load(path)
    config = workdir.Config.from_dict(info)
    return TrainedModel(config, info['step'], path, functions=functions)


def load(source: str | pathlib.Path) -> TrainedModel:
    """Loads a run, an export or a pretrained model: `tfgen.load`.

    Args:
      source: a workdir, or see `load_export`.

    Raises:
      UserError: there is no such model.
    """
    if (storage.place(source) / 'config.json').exists():
        return load_run(source)
    return load_export(source)
