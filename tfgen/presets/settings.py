"""Presets: the settings of a run, of its data and of its model.

The fields of a preset that describe the model are the arguments of the model's
constructor. The fields that describe the data are the arguments of the loader
for the model's specs (data.sets). Types, defaults and limits of these fields
are written only there.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

from tfgen import arguments
from tfgen.arguments import Positive, Share, Size
from tfgen.data import sets
from tfgen.data.specs import Spec
from tfgen.errors import UserError
from tfgen.models.contracts.model import Model


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """The fields that every run has.

    Attributes:
      dataset: see data.sets.
      batch_size: examples per update, over all replicas.
      steps: training steps. A step runs all updates; see Update.repeats.
      learning_rate: of Adam, at the start.
      schedule: 'constant', or 'cosine' down to 0 at the last step.
      beta_1: of Adam.
      ema: decay of a moving average of the weights, in [0, 1). Evaluation and
        export then use the average; 0 for none.
      log_every, checkpoint_every: in steps.
    """

    model: ClassVar[type[Model]]
    # The value for models whose constructor has no argument `conditional`.
    conditional: ClassVar[bool] = False

    dataset: str = 'digits'
    batch_size: Size = 64
    steps: Size = 1000
    learning_rate: Positive = 1e-3
    schedule: Literal['constant', 'cosine'] = 'constant'
    beta_1: Share = 0.9
    ema: Share = 0.0
    log_every: Size = 100
    checkpoint_every: Size = 1000

    def __post_init__(self):
        arguments.check(self.hints(), vars(self))

    @classmethod
    def hints(cls) -> dict[str, Any]:
        """Name -> type of every field."""
        return {f.name: f.type for f in dataclasses.fields(cls)}

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the model's constructor."""
        return {k: getattr(self, k) for k in arguments.of(self.model.__init__)}

    @property
    def halve_cores(self) -> bool:
        """Whether strategies.make should halve the cores for this model."""
        streams = not self.model.cross_replica(self.settings)
        return streams and not self.model.jit_on_cpu(self.settings)

    def load_data(self, data_dir: str | None = None) -> sets.Data:
        """The data set of the preset.

        Args:
          data_dir: where TFDS keeps it; None is its default.

        Raises:
          UserError: the data set cannot be opened; see data.load.
        """
        kinds = self.model.spec_types
        named = {k: getattr(self, k) for k in sets.arguments_of(kinds)}
        return sets.load_any(self.dataset, kinds, data_dir, **named)

    def build(self, spec: Spec) -> Model:
        """The model for examples of `spec`, with fresh variables."""
        return self.model(spec, **self.settings)


@functools.cache
def of(model: type[Model]) -> Callable[..., Preset]:
    """The Preset class of a model, with the model's and the data's fields."""
    found = sets.arguments_of(model.spec_types) | arguments.of(model.__init__)
    return dataclasses.make_dataclass(
        f'{model.__name__}Preset',
        [(k, hint, default) for k, (hint, default) in found.items()],
        bases=(Preset,),
        frozen=True,
        kw_only=True,
        namespace={'model': model, '__doc__': model.__doc__},
    )


def changed(preset: Preset, settings: Mapping[str, str], name: str) -> Preset:
    """A preset with fields set from texts; `name` is for messages.

    Raises:
      UserError: an unknown field, or a value of the wrong type.
    """
    hints = preset.hints()
    for field in settings:
        if field not in hints:
            raise UserError(
                f'preset {name!r} has no field {field!r}: use one of '
                f'{", ".join(hints)}'
            )
    return dataclasses.replace(
        preset,
        **{k: arguments.parse(k, v, hints[k]) for k, v in settings.items()},
    )
