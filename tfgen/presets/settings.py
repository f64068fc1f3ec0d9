"""The settings of a run: one frozen dataclass per kind of model."""

import dataclasses

from tfgen import data
from tfgen.data import AudioSpec, DataSpec
from tfgen.data.readers.base import EDITION
from tfgen.errors import UserError
from tfgen.models.base import GenerativeModel
from tfgen.models.gan import DCGAN
from tfgen.models.pixelrnn import PixelRNN
from tfgen.models.vae import CVAE
from tfgen.models.wavenet import WaveNet

_LARGEST = 1e38  # of float32
SCHEDULES = ('constant', 'cosine')


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """The fields that every run has.

    Attributes:
      dataset: see data.load and data.load_audio.
      batch_size: examples per update, over all replicas.
      steps: training steps; in a step every player makes its updates.
      learning_rate: of Adam, at the start.
      schedule: 'constant', or 'cosine' down to 0 at the last step.
      beta_1: of Adam.
      ema: decay of a moving average of the weights, which evaluation and
        export then use; 0 for none.
      conditional: on the label of the data set.
      log_every, checkpoint_every: in steps.
      parameters, expect: trainable numbers and the figure that the record of
        the run shows; not settings.
    """

    dataset: str = 'digits'
    batch_size: int = 64
    steps: int = 1000
    learning_rate: float = 1e-3
    schedule: str = 'constant'
    beta_1: float = 0.9
    ema: float = 0.0
    conditional: bool = False
    log_every: int = 100
    checkpoint_every: int = 1000
    parameters: int = 0
    expect: str = ''

    def __post_init__(self):
        for name in ('batch_size', 'steps', 'log_every', 'checkpoint_every'):
            if getattr(self, name) < 1:
                raise UserError(
                    f'{name} is {getattr(self, name)}: use 1 or more'
                )
        if not 0 < self.learning_rate < _LARGEST:
            raise UserError(
                f'learning_rate is {self.learning_rate}: use a number above 0 '
                f'and below {_LARGEST}'
            )
        if not 0 <= self.beta_1 < 1:
            raise UserError(f'beta_1 is {self.beta_1}: use 0 up to below 1')
        if not 0 <= self.ema < 1:
            raise UserError(f'ema is {self.ema}: use 0 up to below 1')
        if self.schedule not in SCHEDULES:
            raise UserError(
                f'unknown schedule {self.schedule!r}: use '
                f'{" or ".join(SCHEDULES)}'
            )
        for name in _SIZES & vars(self).keys():
            size = getattr(self, name)
            sizes = size if isinstance(size, tuple) else (size,)
            if any(s is not None and s < 1 for s in sizes):
                raise UserError(f'{name} is {size}: use 1 or more')
        for name, value in vars(self).items():
            numbers = value if isinstance(value, tuple) else (value,)
            if any(isinstance(n, int) and n >= 2**31 for n in numbers):
                raise UserError(f'{name} is {value}: use less than 2^31')

    @property
    def halve_cores(self) -> bool:
        """Whether strategies.make should halve them for this model."""
        return False

    def load_data(
        self, data_dir: str | None = None, edition: int = EDITION
    ) -> data.Data:
        """The data set."""
        raise NotImplementedError

    def build(self, spec: DataSpec | AudioSpec) -> GenerativeModel:
        """The model for examples of `spec`, with fresh variables."""
        raise NotImplementedError

    def num_classes(self, spec: DataSpec | AudioSpec) -> int:
        """The model's `num_classes`; 0 if it is not conditional."""
        if not self.conditional:
            return 0
        if not spec.num_classes:
            raise UserError(
                f'data set {spec.name!r} has no labels: '
                'use --set conditional=false'
            )
        return spec.num_classes


# Fields of the model presets that must be positive.
_SIZES = {
    'image_size',
    'audio_length',
    'embedding_size',
    'skip_units',
    'num_stacks',
    'layers_per_stack',
    'latent_size',
    'filters',
    'units',
    'num_layers',
    'generator_filters',
    'discriminator_filters',
    'discriminator_updates',
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImagePreset(Preset):
    """The fields of every model of images.

    Attributes:
      binarization, image_size: see data.load.
    """

    binarization: str = 'none'
    image_size: tuple[int, int] | None = None

    def load_data(
        self, data_dir: str | None = None, edition: int = EDITION
    ) -> data.ImageData:
        return data.load(
            self.dataset,
            data_dir,
            self.binarization,
            self.image_size,
            edition,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CVAEPreset(ImagePreset):
    """See models.vae.CVAE."""

    latent_size: int = 16
    filters: tuple[int, ...] = (32, 64)
    likelihood: str = 'bernoulli'
    kl: str = 'analytic'

    @property
    def halve_cores(self) -> bool:
        return True

    def build(self, spec: DataSpec) -> CVAE:
        _require_grey_values(self, spec)
        if self.likelihood == 'bernoulli' and spec.levels != 2:
            raise UserError(
                f'likelihood=bernoulli needs binary images, {spec.name!r} has '
                f'{spec.levels} levels: use --set binarization=dynamic or '
                '--set likelihood=gaussian'
            )
        return CVAE(
            spec.shape,
            self.latent_size,
            self.filters,
            self.likelihood,
            self.kl,
            self.num_classes(spec),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelRNNPreset(ImagePreset):
    """See models.pixelrnn.PixelRNN.

    Attributes:
      levels: 0 takes those of the data.
      embedding_size: of the vector that each level of a palette is given.
    """

    levels: int = 0
    cell: str = 'lstm'
    units: int = 128
    num_layers: int = 2
    kernel_size: int = 7
    gated: bool = False
    embedding_size: int = 16
    dropout: float = 0.0

    @property
    def halve_cores(self) -> bool:
        return self.cell == 'pixelcnn'

    def build(self, spec: DataSpec) -> PixelRNN:
        return PixelRNN(
            spec.shape,
            self.levels or spec.levels,
            self.cell,
            self.units,
            self.num_layers,
            self.kernel_size,
            self.gated,
            self.dropout,
            self.num_classes(spec),
            spec.palette,
            self.embedding_size,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DCGANPreset(ImagePreset):
    """See models.gan.DCGAN."""

    latent_size: int = 64
    generator_filters: tuple[int, int] = (128, 64)
    discriminator_filters: tuple[int, int] = (64, 128)
    generator_loss: str = 'non_saturating'
    discriminator_updates: int = 1
    dropout: float = 0.0
    learning_rate: float = 2e-4
    beta_1: float = 0.5  # Radford et al. 2016

    def build(self, spec: DataSpec) -> DCGAN:
        _require_grey_values(self, spec)
        return DCGAN(
            spec.shape,
            self.latent_size,
            self.generator_filters,
            self.discriminator_filters,
            self.generator_loss,
            self.discriminator_updates,
            self.dropout,
            self.num_classes(spec),
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class WaveNetPreset(Preset):
    """See models.wavenet.WaveNet; audio_length: see data.load_audio."""

    dataset: str = 'tones'
    audio_length: int = 4096
    units: int = 32
    skip_units: int = 64
    num_stacks: int = 2
    layers_per_stack: int = 9

    def load_data(
        self, data_dir: str | None = None, edition: int = EDITION
    ) -> data.AudioData:
        return data.load_audio(
            self.dataset, data_dir, self.audio_length, edition
        )

    def build(self, spec: AudioSpec) -> WaveNet:
        return WaveNet(
            spec.length,
            spec.sample_rate,
            self.units,
            self.skip_units,
            self.num_stacks,
            self.layers_per_stack,
            self.num_classes(spec),
        )


def _require_grey_values(preset, spec):
    if spec.palette:
        raise UserError(
            f'data set {spec.name!r} names colours by index, which '
            f'{type(preset).__name__[:-6]} would take for shades: use a '
            'PixelRNN preset'
        )
