"""Networks of tfgen in PyTorch, with a plain training loop, for benchmark.py.

    python scripts/benchmarks/torch_loops.py NETWORK BATCH_SIZE

Needs PyTorch and NumPy, not tfgen. Prints images per second and the number of
weights as JSON. Layers, losses and optimizer are those of tfgen's presets; the
initial weights are PyTorch's.
"""

import itertools
import json
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional

SIDE = 28
LOGITS = functional.binary_cross_entropy_with_logits


class VAE(nn.Module):
    """A VAE with Bernoulli pixels: the loss is the mean of -ELBO."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x):
        mean, logvar = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * torch.exp(0.5 * logvar)
        logits = self.decoder(z)
        rate = 0.5 * (mean.square() + logvar.exp() - 1.0 - logvar).sum()
        return (LOGITS(logits, x, reduction='sum') + rate) / len(x)


def cvae():
    """conv_vae_mnist."""
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(7 * 7 * 64, 64),
    )
    decoder = nn.Sequential(
        nn.Linear(32, 7 * 7 * 64),
        nn.ReLU(),
        nn.Unflatten(1, (64, 7, 7)),
        nn.ConvTranspose2d(64, 64, 3, 2, 1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 3, 2, 1, output_padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 1, 3, padding=1),
    )
    return _loop(VAE(encoder, decoder))


def vae():
    """vae_mnist."""

    def dense(*sizes):
        layers = []
        for inputs, outputs in itertools.pairwise(sizes):
            layers += [nn.Linear(inputs, outputs), nn.Tanh()]
        return layers[:-1]

    encoder = nn.Sequential(nn.Flatten(), *dense(SIDE**2, 200, 200, 100))
    decoder = nn.Sequential(
        *dense(50, 200, 200, SIDE**2), nn.Unflatten(1, (1, SIDE, SIDE))
    )
    return _loop(VAE(encoder, decoder))


class Masked(nn.Module):
    """A convolution over earlier pixels; `mask` has its kernel's shape."""

    def __init__(self, inputs, outputs, mask, pad):
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, mask.shape)
        self.register_buffer('mask', mask)
        self.pad = pad

    def forward(self, x):
        return functional.conv2d(
            functional.pad(x, self.pad),
            self.convolution.weight * self.mask,
            self.convolution.bias,
        )


class PixelBlock(nn.Sequential):
    """PixelCNN's residual block."""

    def __init__(self, features, units):
        mask = torch.ones(2, 3)
        mask[1, 2] = 0.0
        super().__init__(
            nn.ReLU(),
            nn.Conv2d(features, units, 1),
            nn.ReLU(),
            Masked(units, units, mask, (1, 1, 1, 0)),
            nn.ReLU(),
            nn.Conv2d(units, features, 1),
        )


class LSTMBlock(nn.Module):
    """The LSTM over the pixels in raster order; PyTorch's has two biases."""

    def __init__(self, features, units):
        super().__init__()
        self.lstm = nn.LSTM(features, units)
        self.outputs = nn.Linear(units, features)

    def forward(self, x):
        h, _ = self.lstm(x.flatten(2).permute(2, 0, 1))
        return self.outputs(h).permute(1, 2, 0).reshape(x.shape)


class PixelRNN(nn.Module):
    """The loss is the mean negative log-likelihood in nats."""

    def __init__(self, blocks, features):
        super().__init__()
        mask = torch.zeros(4, 7)
        mask[:3] = 1.0
        mask[3, :3] = 1.0
        self.inputs = Masked(1, features, mask, (3, 3, 3, 0))
        self.rows = nn.Parameter(0.05 * torch.randn(features, SIDE, 1))
        self.columns = nn.Parameter(0.05 * torch.randn(features, 1, SIDE))
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(features, features, 1),
            nn.ReLU(),
            nn.Conv2d(features, 2, 1),
        )

    def forward(self, x):
        h = self.inputs(2.0 * x - 1.0) + self.rows + self.columns
        for block in self.blocks:
            h = h + block(h)
        logits = self.head(h)
        level = x[:, 0].long()
        return functional.cross_entropy(logits, level, reduction='sum') / len(x)


def pixelcnn():
    """pixelcnn_mnist."""
    return _loop(PixelRNN([PixelBlock(64, 32) for _ in range(7)], 64))


def lstm():
    """pixelrnn_mnist."""
    return _loop(PixelRNN([LSTMBlock(128, 64)], 128))


def dcgan():
    """dcgan_mnist with the widths and z of TensorFlow's tutorial."""
    generator = nn.Sequential(
        nn.Linear(100, 7 * 7 * 256, bias=False),
        nn.Unflatten(1, (256, 7, 7)),
        nn.BatchNorm2d(256),
        nn.ReLU(),
        nn.ConvTranspose2d(256, 64, 4, 2, 1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, 2, 1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, 64, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(7 * 7 * 128, 1),
    )
    first, second = (
        torch.optim.Adam(network.parameters(), 2e-4, (0.5, 0.999))
        for network in (discriminator, generator)
    )

    def step(x):
        first.zero_grad()
        with torch.no_grad():
            fake = generator(torch.randn(len(x), 100))
        real, fake = discriminator(2.0 * x - 1.0), discriminator(fake)
        loss = LOGITS(real, torch.ones_like(real))
        loss = loss + LOGITS(fake, torch.zeros_like(fake))
        loss.backward()
        first.step()
        second.zero_grad()
        score = discriminator(generator(torch.randn(len(x), 100)))
        LOGITS(score, torch.ones_like(score)).backward()
        second.step()

    return step, (generator, discriminator)


def _loop(model):
    """Returns the training step x -> None, and the networks."""
    optimizer = torch.optim.Adam(model.parameters())

    def step(x):
        optimizer.zero_grad()
        model(x).backward()
        optimizer.step()

    return step, (model,)


def pace(make, batch_size):
    """Measures images per second, as loops.pace does."""
    step, networks = make()
    images = torch.randint(0, 2, (10_000, 1, SIDE, SIDE)).float()

    def run(steps):
        begin = time.perf_counter()
        for _ in range(steps):
            step(images[torch.randint(len(images), (batch_size,))])
        return time.perf_counter() - begin

    run(2)
    steps = max(2, round(4 / run(2)))
    seconds = statistics.median(run(steps) / steps for _ in range(5))
    return {
        'images_per_second': batch_size / seconds,
        'num_parameters': sum(
            p.numel() for network in networks for p in network.parameters()
        ),
    }


NETWORKS = {f.__name__: f for f in (cvae, vae, dcgan, pixelcnn, lstm)}

if __name__ == '__main__':
    name, batch_size = sys.argv[1:]
    print(json.dumps(pace(NETWORKS[name], int(batch_size))))
