"""Presets: the settings of a run, of its data and of its model.

The fields of a preset that describe the model are the arguments of the model's
constructor. The fields that describe the data are the arguments of the loader
for the model's specs (data.sets). Types, defaults and limits of these fields
are written only there.
"""

import dataclasses
import difflib
import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any, ClassVar, Literal

from tfgen import arguments, optimizers
from tfgen.arguments import Optimizer, Positive, Share, Size
from tfgen.data import Data, opening
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
      optimizer: see optimizers.make.
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
    optimizer: str | Optimizer = 'adam'
    ema: Share = 0.0
    log_every: Size = 100
    checkpoint_every: Size = 1000

    def __post_init__(self):
        arguments.check(self.hints(), vars(self))
        optimizers.require(self.optimizer)

    @classmethod
    def hints(cls) -> dict[str, Any]:
        """Name -> type of every field."""
        return {f.name: f.type for f in dataclasses.fields(cls)}

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of the model's constructor."""
        return {k: getattr(self, k) for k in arguments.of(self.model)}

    @property
    def halve_cores(self) -> bool:
        """Whether strategies.make should halve the cores for this model."""
        streams = not self.model.cross_replica(self.settings)
        return streams and not self.model.jit_on_cpu(self.settings)

    def load_data(
        self, data_dir: str | None = None, data: Any = None, labels: Any = None
    ) -> Data:
        """The data set of the preset.

        Args:
          data_dir: where TFDS keeps it; None is its default.
          data, labels: given examples instead; see data.from_examples.

        Raises:
          UserError: the data set cannot be opened.
        """
        spec_types = self.model.spec_types
        named = {k: getattr(self, k) for k in opening.arguments_of(spec_types)}
        if data is None:
            data = self.dataset
        return opening.open_any(data, labels, spec_types, data_dir, **named)

    def of_given(self, spec: Spec) -> 'Preset':
        """This preset, with the fields that describe examples from Python."""
        told: dict[str, Any] = {'dataset': spec.name}
        for field, fact in (
            ('binarization', 'binarization'),
            ('audio_length', 'length'),
            ('text_length', 'length'),
        ):
            if field in self.hints() and hasattr(spec, fact):
                told[field] = getattr(spec, fact)
        return dataclasses.replace(self, **told)

    def build(self, spec: Spec) -> Model:
        """The model for examples of `spec`, with fresh variables."""
        return self.model(spec, **self.settings)


@functools.cache
def of(model: type[Model]) -> Callable[..., Preset]:
    """The Preset class of a model, with the model's and the data's fields."""
    found = opening.arguments_of(model.spec_types) | arguments.of(model)
    return dataclasses.make_dataclass(
        f'{model.__name__}Preset',
        [(k, hint, default) for k, (hint, default) in found.items()],
        bases=(Preset,),
        frozen=True,
        kw_only=True,
        namespace={'model': model, '__doc__': model.__doc__},
    )


def require_fields(preset: Preset, fields: Collection[str], name: str) -> None:
    """Raises UserError for a field that a preset, `name`, does not have."""
    hints = preset.hints()
    for field in fields:
        if field not in hints:
            near = difflib.get_close_matches(field, hints, 3, 0.0)
            raise UserError(
                f'preset {name!r} has no field {field!r}: did you mean '
                f'{", ".join(near)}? It has {", ".join(hints)}'
            )


def changed(preset: Preset, settings: Mapping[str, str], name: str) -> Preset:
    """A preset with fields set from texts; `name` is for messages.

    Raises:
      UserError: an unknown field, or a value of the wrong type.
    """
    require_fields(preset, settings, name)
    hints = preset.hints()
    return dataclasses.replace(
        preset,
        **{k: arguments.parse(k, v, hints[k]) for k, v in settings.items()},
    )
