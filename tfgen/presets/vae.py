"""Variational auto-encoders."""

from tfgen.models.hierarchical_vae import HierarchicalVAE
from tfgen.models.inpainting_vae import InpaintingVAE
from tfgen.models.vae import CVAE
from tfgen.presets import settings
from tfgen.presets.autoencoder import MOONS

_CVAE = settings.of(CVAE)
# As in Burda et al. 2016, with another schedule: theirs has 3,280 epochs, in
# batches of 20, and a learning rate that falls in eight stages.
_BURDA = {
    'dataset': 'mnist',
    'binarization': 'dynamic',
    'activation': 'tanh',
    'batch_size': 100,
    'schedule': 'cosine',
    'log_every': 1000,
    'checkpoint_every': 10_000,
}
_ONE_LAYER = {'latent_size': 50, 'units': (200, 200)}

PRESETS = {
    'cvae_digits': _CVAE(
        dataset='digits',
        conditional=True,
        likelihood='gaussian',
        latent_size=8,
        steps=4000,
        schedule='cosine',
        log_every=500,
    ),
    'conv_vae_mnist': _CVAE(
        dataset='mnist',
        binarization='dynamic',
        latent_size=32,
        batch_size=128,
        steps=40_000,
        schedule='cosine',
        checkpoint_every=2000,
        log_every=500,
    ),
    'cvae_mnist': _CVAE(
        dataset='mnist',
        binarization='dynamic',
        conditional=True,
        latent_size=16,
        batch_size=128,
        steps=40_000,
        schedule='cosine',
        checkpoint_every=2000,
        log_every=500,
    ),
    'vae_moon_phases': _CVAE(
        **MOONS,
        units=(128, 64),
        latent_size=8,
        likelihood='gaussian',
        deviation=1.5,
    ),
    # Ten numbers, as in the notes. Its bound stands beside the exact nats of
    # pixelrnn_palette.
    'vae_palette': _CVAE(
        dataset='palette:pokemon_creation',
        likelihood='categorical',
        latent_size=10,
        batch_size=32,
        steps=3000,
        schedule='cosine',
        log_every=100,
        checkpoint_every=500,
    ),
    'vae_two_moons': _CVAE(
        dataset='two_moons',
        units=(128, 128),
        latent_size=2,
        likelihood='gaussian',
        batch_size=500,
        learning_rate=3e-3,
        steps=5000,
        schedule='cosine',
        log_every=500,
    ),
    # 300,000 steps at the default rate, without a warm-up, end a nat higher.
    'vae_mnist': _CVAE(
        **_BURDA,
        **_ONE_LAYER,
        steps=600_000,
        learning_rate=2e-3,
        kl_warmup=100_000,
    ),
    # Starts from vae_mnist by --init_from. A step of vae_mnist costs a third of
    # a step here.
    'iwae_mnist': _CVAE(
        **_BURDA, **_ONE_LAYER, steps=100_000, importance_samples=5
    ),
    # Sohn et al. 2015; the widths are those of Pyro's replica.
    'inpainting_vae_mnist': settings.of(InpaintingVAE)(
        dataset='mnist',
        binarization='dynamic',
        masks='quadrants',
        batch_size=100,
        steps=60_000,
        schedule='cosine',
        log_every=500,
        checkpoint_every=3000,
    ),
    'iwae2_mnist': settings.of(HierarchicalVAE)(
        **_BURDA, steps=80_000, learning_rate=2e-3, importance_samples=5
    ),
}
