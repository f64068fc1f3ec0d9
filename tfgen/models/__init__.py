"""The models: one file each."""

from tfgen.models.autoencoder import AutoEncoder
from tfgen.models.bigan import BiGAN
from tfgen.models.classifier import Classifier
from tfgen.models.contracts.model import Model
from tfgen.models.gan import GAN
from tfgen.models.gaussian import Gaussian
from tfgen.models.gmm import GMM
from tfgen.models.hierarchical_vae import HierarchicalVAE
from tfgen.models.inpainting import InpaintingGAN
from tfgen.models.inpainting_vae import InpaintingVAE
from tfgen.models.pca import PCA
from tfgen.models.pixelrnn import PixelRNN
from tfgen.models.rbm import RBM
from tfgen.models.semi_supervised import SemiSupervisedGAN
from tfgen.models.text_vae import TextVAE
from tfgen.models.vae import CVAE
from tfgen.models.vae_gan import VAEGAN
from tfgen.models.wavenet import WaveNet

__all__ = [
    'CVAE',
    'GAN',
    'GMM',
    'PCA',
    'RBM',
    'VAEGAN',
    'AutoEncoder',
    'BiGAN',
    'Classifier',
    'Gaussian',
    'HierarchicalVAE',
    'InpaintingGAN',
    'InpaintingVAE',
    'Model',
    'PixelRNN',
    'SemiSupervisedGAN',
    'TextVAE',
    'WaveNet',
]
