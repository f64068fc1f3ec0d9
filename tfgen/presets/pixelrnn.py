"""PixelRNN and PixelCNN."""

from tfgen.models.pixelrnn import PixelRNN
from tfgen.presets import settings

_PixelRNN = settings.of(PixelRNN)

_BINARIZED_MNIST = {
    'dataset': 'binarized_mnist',
    'binarization': 'static',
    'batch_size': 32,
    'learning_rate': 3e-3,
    'schedule': 'cosine',
    'ema': 0.999,
    'checkpoint_every': 500,
    'log_every': 100,
}

PRESETS = {
    'pixelrnn_digits': _PixelRNN(
        dataset='digits',
        conditional=True,
        units=64,
        num_layers=1,
        kernel_size=3,
        dropout=0.4,
        steps=1500,
        learning_rate=3e-3,
        schedule='cosine',
        ema=0.99,
        log_every=250,
    ),
    'pixelrnn_mnist': _PixelRNN(
        **_BINARIZED_MNIST,
        steps=32_000,
        cell='lstm',
        units=64,
        num_layers=1,
    ),
    'row_lstm_mnist': _PixelRNN(
        **_BINARIZED_MNIST,
        steps=8000,
        cell='row_lstm',
        units=32,
        num_layers=3,
    ),
    'diagonal_bilstm_mnist': _PixelRNN(
        **_BINARIZED_MNIST,
        steps=32_000,
        cell='diagonal_bilstm',
        units=32,
        num_layers=1,
    ),
    'diagonal_bilstm7_mnist': _PixelRNN(
        **_BINARIZED_MNIST,
        steps=18_000,
        cell='diagonal_bilstm',
        units=16,
        num_layers=7,
    ),
    'pixelcnn_mnist': _PixelRNN(
        **_BINARIZED_MNIST,
        steps=32_000,
        cell='pixelcnn',
        units=32,
        num_layers=7,
    ),
    'gated_pixelcnn_mnist': _PixelRNN(
        **_BINARIZED_MNIST,
        steps=32_000,
        cell='pixelcnn',
        gated=True,
        units=32,
        num_layers=7,
    ),
    'pixelrnn_palette': _PixelRNN(
        dataset='palette:pokemon_creation',
        cell='diagonal_bilstm',
        units=48,
        num_layers=2,
        dropout=0.3,
        batch_size=16,
        steps=3000,
        learning_rate=2e-3,
        schedule='cosine',
        ema=0.995,
        checkpoint_every=500,
        log_every=100,
    ),
}
