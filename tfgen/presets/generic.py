"""Presets whose sizes follow from the data.

They are used as `--preset=vae --dataset=folder:PATH`, or in Python as
`tfgen.train('vae', images, ...)`. Fields that the user sets stay as they are.

- VAEs and GANs of images have convolutions of stride 2, one to five, until the
  shorter side is at most 7: one for side 8, two for 28, four for 64, five for
  256. The first one has 32 channels; each next one has twice as many, up to
  256. For points a VAE has two dense layers, a GAN three. Other models have the
  layers of their defaults.
- A code has 8 numbers if an example has at most 64 values, and 2 more for each
  doubling of the values, up to 64. The code of a point has the point's size.
- The likelihood of a VAE is Bernoulli for binary images, categorical for
  palettes, else Gaussian.
- `cvae`, `dcgan`, `text_vae`, `pixelrnn`, `pixelcnn` and `wavenet` are
  conditional if there are two classes or more. The others are not.
- Training makes 30 passes over the data, or 10 for models that draw value by
  value, but at least 2,000 and at most 50,000 steps. A stream, whose size is
  unknown, gets 2,000 steps. GMM makes 50 passes, one for each iteration of EM.
  PCA makes one pass. The passes of a GAN are those of its generator.
- Checkpoints and points of the curves come after each tenth of these steps (for
  PCA and GMM as in any preset).
"""

import dataclasses
import math
from collections.abc import Callable, Collection
from typing import Any

from tfgen.data.specs import ImageSpec, PaletteSpec, PointSpec, Spec
from tfgen.errors import UserError
from tfgen.models import (
    CVAE,
    GAN,
    GMM,
    PCA,
    RBM,
    VAEGAN,
    AutoEncoder,
    BiGAN,
    PixelRNN,
    TextVAE,
    WaveNet,
)
from tfgen.presets import settings
from tfgen.presets.settings import Preset

Fields = dict[str, Any]
_COSINE = {'schedule': 'cosine'}
_ADVERSARIAL = {'learning_rate': 2e-4, 'beta_1': 0.5, 'ema': 0.999}
_R1 = {'penalty': 'r1', 'penalty_weight': 1.0}
_CRITIC = {
    'loss': 'wasserstein',
    'penalty': 'gradient_penalty',
    'discriminator_updates': 5,
}


def _halvings(spec):
    """Number of convolutions of stride 2 for images of this size."""
    shorter = min(spec.height, spec.width)
    return min(5, max(1, math.ceil(math.log2(shorter / 7))))


def _channels(spec, first=32, most=256):
    """Channels of these convolutions."""
    return tuple(min(most, first * 2**i) for i in range(_halvings(spec)))


def _code_size(spec):
    """Numbers in a code."""
    if isinstance(spec, PointSpec):
        return spec.size
    doublings = math.log2(max(64, spec.dimensions) / 64)
    return min(64, 8 + 2 * math.ceil(doublings))


def _labels(spec):
    return {'conditional': spec.num_classes > 1}


def _steps(spec, preset, passes=30, least=2000, most=50_000):
    """Training steps; a checkpoint and a log point after each tenth of them."""
    size = spec.split_sizes.get('train', 0)
    steps = min(most, max(least, math.ceil(passes * size / preset.batch_size)))
    tenth = max(1, steps // 10)
    return {'steps': steps, 'checkpoint_every': tenth, 'log_every': tenth}


def _vae(spec, preset):
    found = {'latent_size': _code_size(spec), **_steps(spec, preset)}
    if not isinstance(spec, ImageSpec):
        return found | {'units': (128, 128), 'likelihood': 'gaussian'}
    found['likelihood'] = 'bernoulli' if spec.levels == 2 else 'gaussian'
    if isinstance(spec, PaletteSpec):
        found['likelihood'] = 'categorical'
    return found | {'filters': _channels(spec)}


def _cvae(spec, preset):
    return _vae(spec, preset) | _labels(spec)


def _value_by_value(spec, preset):
    return _labels(spec) | _steps(spec, preset, passes=10)


def _gan(spec, preset):
    found = {'latent_size': _code_size(spec), **_steps(spec, preset)}
    if isinstance(spec, ImageSpec):
        units = _channels(spec)
        return found | {
            'generator_units': units[::-1],
            'discriminator_units': units,
        }
    return found | {
        'network': 'mlp',
        'generator_units': (128, 128, 128),
        'discriminator_units': (128, 128, 128),
        'learning_rate': 1e-3,
    }


def _conditional_gan(spec, preset):
    return _gan(spec, preset) | _labels(spec)


def _autoencoder(spec, preset):
    return {'latent_size': _code_size(spec), **_steps(spec, preset)}


def _known_size(spec):
    if 'train' not in spec.split_sizes:
        raise UserError(
            'this model computes statistics of all examples, and the data set '
            'is streamed: pass arrays or a random-access source'
        )
    return spec.split_sizes['train']


def _pca(spec, preset):
    size = _known_size(spec)
    batches = math.ceil(size / preset.batch_size)
    most = min(spec.dimensions, size - 1)
    return {'latent_size': min(_code_size(spec), most), 'steps': batches}


def _gmm(spec, preset):
    batches = math.ceil(_known_size(spec) / preset.batch_size)
    wide = spec.dimensions > 16
    return {
        'num_components': max(10, 2 * spec.num_classes),
        'covariance': 'diagonal' if wide else 'full',
        'variance_floor': 1e-3 if wide else 1e-6,
        'steps': 50 * batches,
    }


def _rbm(spec, preset):
    return {
        'hidden_size': min(500, spec.dimensions),
        **_steps(spec, preset),
    }


def _text_vae(spec, preset):
    return _labels(spec) | _steps(spec, preset)


@dataclasses.dataclass(frozen=True)
class Generic:
    """A preset, and the rule that gives its sizes.

    Attributes:
      preset: with default sizes, which `rule` replaces.
      rule: (spec, preset) -> fields.
    """

    preset: Preset
    rule: Callable[[Spec, Preset], Fields]

    def with_sizes(self, preset: Preset, spec: Spec, chosen: Collection[str]):
        """`preset` with sizes for `spec`; fields in `chosen` stay."""
        sizes = self.rule(spec, preset)
        sizes = {k: v for k, v in sizes.items() if k not in chosen}
        return dataclasses.replace(preset, **sizes)


_of = settings.of
_GANS = _ADVERSARIAL | _R1
GENERIC: dict[str, Generic] = {
    'vae': Generic(_of(CVAE)(**_COSINE), _vae),
    'cvae': Generic(_of(CVAE)(**_COSINE), _cvae),
    'text_vae': Generic(
        _of(TextVAE)(**_COSINE, dataset='numerals', batch_size=128), _text_vae
    ),
    'pixelrnn': Generic(
        _of(PixelRNN)(**_COSINE, cell='lstm', units=64, num_layers=1, ema=0.99),
        _value_by_value,
    ),
    'pixelcnn': Generic(
        _of(PixelRNN)(
            **_COSINE, cell='pixelcnn', units=32, num_layers=5, ema=0.99
        ),
        _value_by_value,
    ),
    'wavenet': Generic(
        _of(WaveNet)(**_COSINE, dataset='tones', batch_size=8, ema=0.99),
        _value_by_value,
    ),
    'gan': Generic(_of(GAN)(**_GANS), _gan),
    'wgan_gp': Generic(_of(GAN)(**_ADVERSARIAL, **_CRITIC), _gan),
    'dcgan': Generic(_of(GAN)(**_GANS), _conditional_gan),
    'bigan': Generic(_of(BiGAN)(**_GANS), _gan),
    'vae_gan': Generic(_of(VAEGAN)(**_GANS, beta=0.01), _gan),
    'autoencoder': Generic(_of(AutoEncoder)(**_COSINE), _autoencoder),
    'pca': Generic(_of(PCA)(batch_size=1000), _pca),
    'gmm': Generic(_of(GMM)(batch_size=1000), _gmm),
    'rbm': Generic(_of(RBM)(**_COSINE, binarization='dynamic'), _rbm),
}
