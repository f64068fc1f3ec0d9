"""Generative adversarial networks."""

from tfgen.models.bigan import BiGAN
from tfgen.models.gan import GAN
from tfgen.models.inpainting import InpaintingGAN
from tfgen.models.semi_supervised import SemiSupervisedGAN
from tfgen.models.vae_gan import VAEGAN
from tfgen.presets import settings

_GAN = settings.of(GAN)
# For both networks; Radford et al. 2016.
_RATES = {'learning_rate': 2e-4, 'beta_1': 0.5}
# Four layers; the notebook of Metz et al. 2017 has two. A shallow G puts too
# many samples between the modes of the grid. Averaging the weights removes the
# oscillation of G and D that remains.
_POINTS = {
    'network': 'mlp',
    'generator_units': (128, 128, 128, 128),
    'discriminator_units': (128, 128, 128, 128),
    'latent_size': 2,
    'penalty': 'r1',
    'penalty_weight': 1.0,
    'learning_rate': 1e-3,
    'beta_1': 0.5,
    'schedule': 'cosine',
    'ema': 0.999,
    'batch_size': 128,
    'steps': 20000,
    'log_every': 1000,
    'checkpoint_every': 5000,
}
_DIGITS = {
    **_RATES,
    'dataset': 'digits',
    'steps': 5000,
    'ema': 0.999,
    'log_every': 500,
}
# Without a penalty, a discriminator memorises the images.
_HELD = {'penalty': 'r1', 'penalty_weight': 1.0}
_MNIST = {
    **_RATES,
    'dataset': 'mnist',
    'batch_size': 128,
    'steps': 5000,
    'ema': 0.999,
    'checkpoint_every': 500,
    'log_every': 100,
}

PRESETS = {
    # A small discriminator keeps the export, in pretrained/, below 1.5 MB.
    'dcgan_digits': _GAN(
        **_DIGITS, **_HELD, discriminator_units=(64, 96), conditional=True
    ),
    'dcgan_mnist': _GAN(**_MNIST, **_HELD, conditional=True),
    # Chosen by short runs. R1 sums over all pixels, and the weight above is too
    # large here.
    'gan_mnist': _GAN(
        **_MNIST
        | _HELD
        | {'learning_rate': 1e-3, 'batch_size': 64, 'penalty_weight': 0.05},
        schedule='cosine',
        latent_size=16,
        self_modulation=True,
    ),
    # The row R1 of scripts/experiments/compare.py, table images.
    'gan_fashion_mnist': _GAN(
        **_DIGITS | {'dataset': 'fashion_mnist'},
        **_HELD,
        generator_units=(64, 32),
        discriminator_units=(32, 64),
    ),
    # The data have a thousand modes; the size of z is that of VEEGAN's protocol
    # (Srivastava et al. 2017).
    'gan_stacked_mnist': _GAN(
        **_DIGITS | {'dataset': 'stacked_mnist'}, **_HELD, latent_size=100
    ),
    'gan_ring': _GAN(**_POINTS, dataset='ring'),
    'gan_grid': _GAN(**_POINTS, dataset='grid'),
    # The notes' figure of the game in one dimension; see
    # scripts/experiments/game.py.
    'gan_bells': _GAN(
        network='mlp',
        generator_units=(64, 64, 64),
        discriminator_units=(64, 64, 64),
        latent_size=1,
        prior='uniform',
        penalty='r1',
        penalty_weight=0.01,
        learning_rate=2e-4,
        discriminator_rate=2e-3,
        discriminator_updates=3,
        beta_1=0.5,
        ema=0.99,
        dataset='bells',
        batch_size=256,
        steps=10000,
        log_every=500,
    ),
    'bigan_ring': settings.of(BiGAN)(**_POINTS, dataset='ring'),
    'bigan_grid': settings.of(BiGAN)(**_POINTS, dataset='grid'),
    'bigan_digits': settings.of(BiGAN)(**_DIGITS, **_HELD),
    'inpainting_gan_digits': settings.of(InpaintingGAN)(
        **_DIGITS | {'steps': 15000}, **_HELD
    ),
    # With beta 1 the rate falls to 0.02 nats: the encoder says nothing.
    'vae_gan_digits': settings.of(VAEGAN)(
        **_DIGITS, **_HELD, conditional=True, beta=0.01
    ),
    'semi_supervised_gan_mnist': settings.of(SemiSupervisedGAN)(
        dataset='mnist',
        batch_size=100,
        steps=60000,
        learning_rate=3e-3,
        beta_1=0.5,
        ema=0.9999,
        log_every=500,
        checkpoint_every=3000,
    ),
}
