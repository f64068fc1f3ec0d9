"""The contract that every model fulfils, and nothing else.

Shape letters, used everywhere:
  B  examples in a batch      H, W, C  image height, width, channels
  K  latent or hidden size    T        steps of a sequence
  D  numbers of a point       N        levels, or symbols
"""

import abc
import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfgen import arguments
from tfgen.data.specs import Spec, spec_from_dict
from tfgen.errors import UserError
from tfgen.models.contracts.capabilities import (
    Classifying,
    Completing,
    GenerativeModel,
)
from tfgen.models.contracts.updates import Batch, GradientUpdate, Terms, Update
from tfgen.noise import Noise


@dataclasses.dataclass(frozen=True)
class Signature:
    """One function that an exported model serves.

    Attributes:
      function: takes the tensors of `inputs` by name ('seed' arrives as
        `noise`, one seed per row, the example as `example`) and returns named
        tensors; all have the batch as first dimension.
      inputs: names of `Model.request_specs`, which says what they
        hold.
      makes: whether the result has an example. Where its kind has a file
        format, export then adds a twin that returns files (`*_png`, `*_wav`).
      derived_from: another signature, which answers the same if all inputs that
        this one lacks are 0; an export then holds its graph once.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: tuple[str, ...]
    makes: bool = False
    derived_from: str = ''


class Model(keras.Model, abc.ABC):
    """What is trained, measured and exported; every concrete class is final.

    A subclass names its settings, with types, defaults and limits, in its
    constructor and nowhere else: `__init__(self, spec, *, setting: type =
    default, ..., conditional: bool = False)`. Presets and command line read
    them there, and their values are checked before it runs.

    Args:
      spec: the kind of example, and what is known of the set of them.
      conditional: whether this is p(x | label); the model then requires a
        label everywhere.

    Attributes:
      settings: the constructor's arguments but for `spec`.
      num_classes: 0 for p(x), or the number of labels.
    """

    # The kinds of examples it can model.
    spec_types: ClassVar[tuple[type[Spec], ...]]
    # Whether a label stands last where it is concatenated to other numbers
    # (symbols stand first): by this training.naming finds the weights of each.
    labels_last: ClassVar[bool] = True
    # Whether every epoch must begin with a batch; see Data.train.
    whole_epochs: ClassVar[bool] = False

    def __new__(cls, *given, **named):
        model = super().__new__(cls, *given, **named)
        call = inspect.signature(cls.__init__).bind(model, *given, **named)
        call.apply_defaults()
        _, (_, spec), *settings = call.arguments.items()
        settings = {
            k: tuple(v) if isinstance(v, list) else v for k, v in settings
        }
        if not isinstance(spec, Spec):
            raise UserError(
                f'{cls.__name__} was given {spec!r}: pass the spec of a data '
                'set, such as images.spec or data.ImageSpec(height=8, width=8)'
            )
        arguments.check_for(cls.__init__, **settings)
        cls.check(spec, **settings)
        # (Keras would wrap lists and dicts, and track them.)
        object.__setattr__(model, 'settings', settings)
        return model

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        # A `.keras` file is then read where the model's module is imported.
        keras.saving.register_keras_serializable('tfgen')(cls)

    def __init__(self, spec: Spec, conditional: bool = False):
        super().__init__()
        self.built = True  # subclasses make their weights when constructed
        self.spec = spec
        self.num_classes = spec.num_classes if conditional else 0

    @classmethod
    def check(cls, spec: Spec, **settings: Any) -> None:
        """Checks that the model can take examples of `spec`.

        A subclass adds its own demands.

        Raises:
          UserError: it cannot; one line, with the remedy.
        """
        if type(spec) not in cls.spec_types:
            wanted = ' or '.join(kind.noun for kind in cls.spec_types)
            raise UserError(
                f'data set {spec.name!r} has {spec.noun}, and {cls.__name__} '
                f'models {wanted}: use such a set, or a preset of another model'
            )
        if settings.get('conditional') and not spec.num_classes:
            raise UserError(
                f'data set {spec.name!r} has no labels: '
                'use --set conditional=false'
            )

    @classmethod
    def jit_on_cpu(cls, settings: Mapping[str, Any]) -> bool:
        """Whether it is faster with XLA on a CPU: loops, many small steps."""
        del settings
        return False

    @classmethod
    def cross_replica(cls, settings: Mapping[str, Any]) -> bool:
        """Whether the loss of one replica needs the others: batch statistics.

        Over several replicas such a loss cannot be compiled by XLA alone.
        """
        del settings
        return False

    def get_config(self) -> dict:
        """What `from_config` makes an equal model of, as JSON has it."""
        dtype = self.dtype_policy.name
        return {'spec': self.spec.as_dict(), 'dtype': dtype, **self.settings}

    @classmethod
    def from_config(cls, config: dict) -> 'Model':
        """The inverse of `get_config`; weights are new."""
        named = dict(config)
        spec, dtype = spec_from_dict(named.pop('spec')), named.pop('dtype')
        with precision(dtype):
            return cls(spec, **named)

    def fit(self, *_, **__):
        """Not this way."""
        raise UserError(
            f'{type(self).__name__} is not trained by fit, which cannot '
            'resume exactly and fails on several replicas: use '
            'tfgen.training.run.train or scripts/train.py'
        )

    # What a subclass gives.

    def loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """Named float32 [B] terms, whose sum is minimised.

        A model with other updates than this one gives `updates` instead.
        """
        raise NotImplementedError(
            f'{type(self).__name__} gives neither loss_terms nor updates'
        )

    def updates(self) -> tuple[Update, ...]:
        """The updates of each training step, in order."""
        return (
            GradientUpdate('model', self.loss_terms, self.trainable_variables),
        )

    def initialize_from(self, batch: Batch, noise: Noise) -> None:
        """Starts from data: assigns, once, before the first step.

        Args:
          batch: the first of the training stream, all its rows.
          noise: a row for each.
        """

    def signatures(self) -> dict[str, Signature]:
        """The served functions, by name; the first is the default.

        Here those of the capabilities; a subclass adds its own.
        """
        found = {}
        if isinstance(self, GenerativeModel):
            found['sample'] = Signature(
                self._serve_sample, self.with_label('seed'), makes=True
            )
        if isinstance(self, Completing):
            found['complete'] = Signature(
                self._serve_complete,
                self.with_label(self.spec.key, 'mask', 'seed'),
                makes=True,
            )
        if isinstance(self, Classifying):
            found['classify'] = Signature(
                self._serve_classify, (self.spec.key,)
            )
        return found

    # For all models.

    def request_specs(self) -> dict[str, tf.TensorSpec]:
        """What each input of a signature holds.

        seed   any integer; decides its row's noise, alone.
        label  0 .. num_classes - 1.
        mask   1 where a value is known, 0 where it is asked for.
        And an example, under its key; see its Spec.
        """
        spec = self.spec
        mask_shape = [None, *spec.mask_shape]
        specs = {
            'seed': tf.TensorSpec([None], tf.int64, 'seed'),
            'mask': tf.TensorSpec(mask_shape, tf.float32, 'mask'),
            spec.key: tf.TensorSpec([None, *spec.shape], spec.dtype, spec.key),
        }
        if self.num_classes:
            specs['label'] = tf.TensorSpec([None], tf.int32, 'label')
        return specs

    def with_label(self, *inputs: str) -> tuple[str, ...]:
        """`inputs`, and 'label' if the model is conditional."""
        return (*inputs, 'label') if self.num_classes else inputs

    def one_hot(self, label: tf.Tensor | None) -> tf.Tensor | None:
        """[B] -> float32 [B, num_classes]; None for an unconditional model.

        Raises:
          ValueError: a conditional model was given no label.
        """
        if not self.num_classes:
            return None
        if label is None:
            raise ValueError(
                f'this model is conditional on {self.num_classes} classes: '
                'pass label'
            )
        return tf.one_hot(label, self.num_classes)

    def num_parameters(self) -> int:
        """Trainable numbers."""
        return sum(v.shape.num_elements() for v in self.trainable_variables)

    def _serve_sample(self, noise, label=None):
        return {self.spec.key: self.sample(noise, label)}

    def _serve_complete(self, example, mask, noise, label=None):
        completed = self.complete(example, mask, noise, label)
        return {self.spec.key: completed}

    def _serve_classify(self, example):
        logits = self.class_logits(example)
        return {
            'class': tf.argmax(logits, axis=1, output_type=tf.int32),
            'probabilities': tf.nn.softmax(logits),
        }


@contextlib.contextmanager
def precision(policy: str):
    """Keras's dtype policy of the layers that are made meanwhile."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def require_binary(model: type[Model], spec: Spec) -> None:
    """Raises UserError for examples whose values are not 0 or 1."""
    if spec.levels != 2:
        raise UserError(
            f'{model.__name__} needs binary images, {spec.name!r} has '
            f'{spec.levels} levels: use --set binarization=dynamic'
        )


def concat_features(*features: tf.Tensor | None) -> tf.Tensor:
    """Concatenates [B, n] features along the last axis, leaving out None."""
    return tf.concat([f for f in features if f is not None], axis=-1)
