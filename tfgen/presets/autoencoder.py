"""Auto-encoders and PCA.

They have codes of the same sizes, to compare.
"""

from tfgen.models.autoencoder import AutoEncoder
from tfgen.models.pca import PCA
from tfgen.presets import settings

_AE, _PCA = settings.of(AutoEncoder), settings.of(PCA)
# Hinton and Salakhutdinov 2006: 784-1000-500-250-30 and back.
_MNIST = {
    'dataset': 'mnist',
    'latent_size': 30,
    'batch_size': 100,
    'steps': 60_000,
    'schedule': 'cosine',
    'log_every': 500,
    'checkpoint_every': 3000,
}

MOONS = {
    'dataset': 'moon_phases',
    'learning_rate': 3e-3,
    'batch_size': 100,
    'steps': 5000,
    'schedule': 'cosine',
    'log_every': 500,
    'checkpoint_every': 1000,
}

PRESETS = {
    'pca_digits': _PCA(latent_size=8, batch_size=1500, steps=1),
    'pca_mnist': _PCA(
        dataset='mnist', latent_size=30, batch_size=6000, steps=10
    ),
    'shallow_ae_mnist': _AE(**_MNIST, units=None, output='linear'),
    # Without the noise it memorises the training split: the error is 1.6 there
    # and 3.5 on the test split.
    'deep_ae_mnist': _AE(**_MNIST, input_noise=0.1),
    # For decoding between two codes; compare vae_moon_phases in presets/vae.py.
    'ae_moon_phases': _AE(**MOONS, units=(128, 64), latent_size=8),
    'shallow_ae_digits': _AE(
        units=None,
        output='linear',
        latent_size=8,
        steps=4000,
        schedule='cosine',
    ),
    'deep_ae_digits': _AE(
        units=(128, 64, 32), latent_size=8, steps=4000, schedule='cosine'
    ),
}
