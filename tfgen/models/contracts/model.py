"""The contract that every model implements.

Shape letters, used everywhere:
  B  examples in a batch      H, W, C  image height, width, channels
  K  latent or hidden size    T        steps of a sequence
  D  numbers of a point       N        levels, or symbols
"""

import abc
import contextlib
import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import keras
import tensorflow as tf

from tfgen import arguments, objects
from tfgen.data.specs import Spec, spec_from_dict
from tfgen.errors import UserError
from tfgen.layers import own
from tfgen.models.contracts.capabilities import (
    Classifying,
    Completing,
    Encoding,
    GenerativeModel,
)
from tfgen.models.contracts.updates import Batch, GradientUpdate, Terms, Update
from tfgen.noise import Noise


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function that an exported model serves.

    Attributes:
      function: takes the tensors of `inputs` by name and returns named
        tensors, all with the batch as first dimension. 'seed' arrives as
        `noise` (one seed per row), and the example as `example`.
      inputs: names of inputs; `Model.request_specs` describes them.
      makes: whether the result contains an example. If its spec has a file
        format, export adds a twin signature that returns files (`*_png`,
        `*_wav`).
      derived_from: another signature that gives the same answer if all inputs
        that this one lacks are 0. An export then stores its graph once.
    """

    function: Callable[..., dict[str, tf.Tensor]]
    inputs: tuple[str, ...]
    makes: bool = False
    derived_from: str = ''


class Model(keras.Model, abc.ABC):
    """Base class of all models.

    A subclass declares its settings, with types, defaults and limits, in its
    constructor and nowhere else: `__init__(self, spec, *, setting: type =
    default, ..., conditional: bool = False)`. `**settings` at the end stands
    for those of its base class. Presets and the command line read the settings
    there. The values are checked before the constructor runs.

    Args:
      spec: the type of the examples, and facts about their data set.
      conditional: whether this is p(x | label). The model then requires a
        label everywhere.

    Attributes:
      settings: the constructor's arguments except `spec`.
      num_classes: the number of labels; 0 for p(x).
    """

    # Classes of specs that the model accepts.
    spec_types: ClassVar[tuple[type[Spec], ...]]
    # Whether labels come last where they are concatenated to other numbers.
    # (Symbols and colours always come first.) training.naming uses this to find
    # the weights of a label.
    labels_last: ClassVar[bool] = True
    # Whether each epoch must start with a new batch; see Data.train.
    whole_epochs: ClassVar[bool] = False

    def __new__(cls, *given, **named):
        model = super().__new__(cls, *given, **named)
        call = cls.__signature__.bind(*given, **named)
        call.apply_defaults()
        (_, spec), *settings = call.arguments.items()
        settings = {
            k: tuple(v) if isinstance(v, list) else v for k, v in settings
        }
        if not isinstance(spec, Spec):
            raise UserError(
                f'{cls.__name__} was given {spec!r}: pass the spec of a data '
                'set, such as images.spec or data.ImageSpec(height=8, width=8)'
            )
        arguments.check_for(cls, **settings)
        cls.check(spec, **settings)
        # Keras's own setattr would wrap lists and dicts, and track them.
        object.__setattr__(model, 'settings', settings)
        return model

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        cls.__signature__ = arguments.signature(cls)
        # `.keras` files can then be read wherever the module is imported.
        keras.saving.register_keras_serializable('tfgen')(cls)

    def __init__(self, spec: Spec, conditional: bool = False):
        super().__init__()
        self.built = True  # subclasses make their weights in the constructor
        self.spec = spec
        self.num_classes = spec.num_classes if conditional else 0

    @classmethod
    def check(cls, spec: Spec, **settings: Any) -> None:
        """Checks that the model supports `spec` and these settings.

        A subclass adds its own checks.

        Raises:
          UserError: they are not supported; one line, with the remedy.
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
        """Whether XLA is faster on a CPU, as for loops of many small steps."""
        del settings
        return False

    @classmethod
    def cross_replica(cls, settings: Mapping[str, Any]) -> bool:
        """Whether a replica's loss depends on the rows of other replicas.

        Batch statistics make it so, also in a network of the user's own. With
        several replicas, XLA cannot compile such a loss by itself.
        """
        return own.has_batch_statistics(settings)

    def get_config(self) -> dict:
        """The arguments of `from_config` for an equal model, as JSON values."""
        dtype = self.dtype_policy.name
        settings = {k: objects.serialize(v) for k, v in self.settings.items()}
        return {'spec': self.spec.as_dict(), 'dtype': dtype, **settings}

    @classmethod
    def from_config(cls, config: dict) -> 'Model':
        """Makes a model from the result of `get_config`, with new weights."""
        named = dict(config)
        spec, dtype = spec_from_dict(named.pop('spec')), named.pop('dtype')
        with precision(dtype):
            return cls(spec, **named)

    # Keras's habits.

    def compile(
        self, optimizer: Any = 'adam', loss: Any = None, **options: Any
    ) -> None:
        """Sets the optimizer of `fit`.

        Args:
          optimizer: a name, an instance, or update name -> one of these.
          loss, options: must be left out: the model has its own loss.
        """
        unknown = [k for k, v in ({'loss': loss} | options).items() if v]
        if unknown:
            raise UserError(
                f'{type(self).__name__} has its own loss, and compile takes no '
                f'{unknown[0]}: leave it out, or define loss_terms in a '
                'subclass'
            )
        object.__setattr__(self, 'compiled_optimizer', optimizer)
        object.__setattr__(self, 'fit_state', None)

    def fit(self, x: Any, y: Any = None, **options: Any):
        """Trains the model in place; see training.fitting.fit.

        It is not Keras's own loop, which doubles the loss on two replicas and
        fails on several machines.
        """
        # Imported by name, because training stands above the models.
        fitting = importlib.import_module('tfgen.training.fitting')
        return fitting.fit(self, x, y, **options)

    def call(self, example: tf.Tensor, label: tf.Tensor | None = None):
        """What the model says of an example, in the sense of its family.

        A classifier gives logits, [B, classes]. A model that encodes gives the
        reconstruction, [B, *spec.shape]. A model with an exact likelihood gives
        log p(x) in nats, [B]. A GAN gives the scores of its discriminator, [B].
        Bytes of an image are scaled to [0, 1].
        """
        example = tf.convert_to_tensor(example)
        if example.dtype == tf.uint8 and self.spec.dtype.is_floating:
            example = tf.cast(example, self.spec.dtype) / 255.0
        if isinstance(self, Classifying):
            return self.class_logits(example)
        if isinstance(self, Encoding):
            return self.reconstruct(example, label)
        for name in ('log_prob', 'score'):
            if hasattr(self, name):
                return getattr(self, name)(example, label)
        raise NotImplementedError(
            f'{type(self).__name__} cannot be called: use '
            f'{", ".join(self.signatures())}'
        )

    # Methods that a subclass defines or overrides.

    def loss_terms(self, batch: Batch, noise: Noise) -> Terms:
        """Named float32 [B] terms; training minimises their sum.

        A model that is not trained by one gradient update of all its variables
        defines `updates` instead.
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
        """Assigns variables from data, once, before the first step.

        Args:
          batch: the first global batch of the training stream.
          noise: one row per example.
        """

    def signatures(self) -> dict[str, Signature]:
        """The served functions, by name; the first is the default.

        These are the signatures of the capabilities. A subclass adds its own.
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

    # Methods of all models.

    def request_specs(self) -> dict[str, tf.TensorSpec]:
        """Shape and type of each input that a signature may have.

        seed   any integer; it alone decides the noise of its row.
        label  0 .. num_classes - 1.
        mask   1 for a known value, 0 for a value to draw.
        An example is named by the key of its spec; see Spec.
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
        """The number of trainable parameters."""
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
    """Sets Keras's dtype policy for layers made inside this context."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def require_binary(model: type[Model], spec: Spec) -> None:
    """Raises UserError unless every value of the examples is 0 or 1."""
    if spec.levels != 2:
        raise UserError(
            f'{model.__name__} needs binary images, {spec.name!r} has '
            f'{spec.levels} levels: use --set binarization=dynamic'
        )


def concat_features(*features: tf.Tensor | None) -> tf.Tensor:
    """Concatenates [B, n] features along the last axis, leaving out None."""
    return tf.concat([f for f in features if f is not None], axis=-1)
