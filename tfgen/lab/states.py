"""The numbers that a page draws of a model in training.

Equal weights give equal states: all draws have fixed seeds.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen import probability
from tfgen.data import Data
from tfgen.data.embedded.points import Mixture
from tfgen.data.specs import PointSpec
from tfgen.evaluation.samples import laplacian_energy, modes_of
from tfgen.lab import options
from tfgen.losses import adversarial
from tfgen.models import GMM
from tfgen.models.contracts.likelihood import LikelihoodModel
from tfgen.models.contracts.model import Model
from tfgen.models.contracts.variational import VariationalAutoEncoder
from tfgen.models.gan import GAN
from tfgen.noise import BatchNoise

SIDE = 25  # cells along a side of a field
_ARROWS = 13  # arrows along a side
_SHOWN = 500  # points of the data, and of the samples
_COUNTED = 2500  # samples in which modes are counted
_LINE = 81  # places along a line of points
_IMAGES = 24
_CODES = 300
_DIGITS = 3  # after the point


class States:
    """The states of one model.

    Args:
      request: what is trained.
      examples: its data.
    """

    def __init__(self, request: options.Request, examples: Data):
        self._examples = examples
        self._points = isinstance(examples.spec, PointSpec)
        self._extent = options.extent(request)
        self._flat = self._points and examples.spec.size == 1
        self._truth = options.toy(request)
        self._settings = request.settings
        self._functions: dict[str, Callable] = {}

    def first(self) -> dict[str, Any]:
        """What stays: data, extent, the density of the data if it is known."""
        if not self._points:
            batch = next(iter(self._examples.evaluation('test', _IMAGES)))
            return {'images': _rounded(batch['image'])}
        found: dict[str, Any] = {
            'extent': self._extent,
            'size': self._examples.spec.size,
        }
        batch = next(iter(self._examples.evaluation('train', _SHOWN)))
        found['data'] = _rounded(batch['point'])
        if self._flat:
            found['line'] = _rounded(self._line())
        if self._truth is not None:
            density = self._truth.log_prob(tf.constant(self._places()))
            if density is not None:
                found['truth'] = _rounded(density)
        return found

    def of(self, model: Model) -> dict[str, Any]:
        """What changes: samples, fields, codes, modes, sharpness."""
        drawn, found = self._samples(model)
        if self._points:
            found |= self._fields(model, tf.constant(drawn[:_SHOWN]))
        if isinstance(model, VariationalAutoEncoder):
            found |= self._codes(model)
        if isinstance(model, GMM):
            found['components'] = {
                k: _rounded(v) for k, v in model.components().items()
            }
        return found

    def _samples(self, model):
        """Samples as an array, and what is told of them."""
        mixture = isinstance(self._truth, Mixture)
        count = _COUNTED if mixture or self._flat else _SHOWN
        if not self._points:
            count = _IMAGES
        # Noise for all rows at once takes a fraction of the time of RowNoise.
        sample = self._compiled(
            'sample', lambda seed: model.sample(BatchNoise(seed, count))
        )
        drawn = sample(tf.constant([0, 0])).numpy()
        if not self._points:
            sharpness = laplacian_energy(drawn).mean() / self._energy
            return drawn, {
                'images': _rounded(drawn),
                'sharpness': _rounded(sharpness),
            }
        found = {'samples': _rounded(drawn[:_SHOWN])}
        if mixture and not self._flat:
            counted = modes_of(drawn, self._truth)
            found['counted'] = {
                'modes': counted['modes'],
                'of': len(self._truth.places),
                'quality': round(counted['quality'], 4),
            }
        if self._flat:
            edges = self._line()[:, 0]
            step = edges[1] - edges[0]
            bins = np.append(edges - step / 2, edges[-1] + step / 2)
            seen, _ = np.histogram(drawn[:, 0], bins)
            found['drawn'] = _rounded(seen / (len(drawn) * step))
        return drawn, found

    def _fields(self, model, samples):
        """Scores, what G's loss does, and densities, over the shown square.

        `push` is minus the gradient of G's loss with respect to a sample at
        each place, `pull` the mean length of this gradient at the samples.
        """
        found, places = {}, tf.constant(self._places())
        if isinstance(model, GAN):
            score = self._compiled('score', model.score)
            found['score'] = _rounded(score(places))
            push = self._compiled('push', lambda x: self._push(model, x))
            if not self._flat:
                square = _square(self._extent, _ARROWS)
                found['push'] = _rounded(push(tf.constant(square)))
            if self._settings.get('discriminator') != 'energy':
                lengths = tf.norm(push(samples), axis=1)
                found['pull'] = _rounded(tf.reduce_mean(lengths))
        if isinstance(model, LikelihoodModel):
            found['log_prob'] = _rounded(model.log_prob(places))
        return found

    def _codes(self, model):
        """Means and mean deviations of q(z|x), the first two numbers."""
        encode = self._compiled('encode', lambda x: model.encode(x, None))
        mean, logvar = encode(self._coded[self._examples.spec.key])
        found = {
            'codes': _rounded(mean[:, :2]),
            'widths': _rounded(tf.reduce_mean(tf.exp(logvar / 2), axis=0)),
            # Also where the loss weighs it by 0.
            'kl': _rounded(tf.reduce_mean(probability.kl_normal(mean, logvar))),
        }
        if 'label' in self._coded:
            found['classes'] = self._coded['label'].numpy().tolist()
        return found

    def _push(self, model, x):
        loss = adversarial.loss(self._settings.get('loss', 'non_saturating'))
        with tf.GradientTape() as tape:
            tape.watch(x)
            score = model.score(x)
            # A generator lowers the energy of its samples.
            energy = self._settings.get('discriminator') == 'energy'
            total = tf.reduce_sum(-score if energy else loss.generator(score))
        return -tape.gradient(total, x)

    @functools.cached_property
    def _energy(self):
        """The Laplacian energy of the test images."""
        batch = next(iter(self._examples.evaluation('test', _CODES)))
        return laplacian_energy(batch['image'].numpy()).mean()

    @functools.cached_property
    def _coded(self):
        """The examples whose codes are shown."""
        return next(iter(self._examples.evaluation('train', _CODES)))

    def _compiled(self, name, function):
        """`function` as a tf.function, the same one for all states."""
        if name not in self._functions:
            self._functions[name] = tf.function(function, autograph=False)
        return self._functions[name]

    def _places(self):
        """Where fields are computed: [SIDE^2, 2], or the line [_LINE, 1]."""
        return self._line() if self._flat else _square(self._extent, SIDE)

    def _line(self):
        reach = 1.5 * self._extent
        return np.linspace(-reach, reach, _LINE, dtype=np.float32)[:, None]


def _square(extent, side):
    """Centres of cells, row by row from the upper left: [side^2, 2]."""
    along = (2 * (np.arange(side) + 0.5) / side - 1) * extent
    x, y = np.meshgrid(along, -along)
    return np.stack([x, y], axis=-1).reshape(-1, 2).astype(np.float32)


def _rounded(values) -> Any:
    """A number, or nested lists of them; None for what is not finite."""
    array = np.asarray(values, np.float64)
    rounded = np.round(array, _DIGITS)
    if np.isfinite(rounded).all():
        return rounded.tolist()
    kept = np.array(rounded, object)
    kept[~np.isfinite(rounded)] = None
    return kept.tolist()


def terms(logs: Mapping[str, float]) -> dict[str, float | None]:
    """Loss terms for the page; a sum of one term is left out."""
    parts = [k for k in logs if k.rpartition('_')[2] != 'loss']

    def is_sum(name):
        prefix = name.removesuffix('loss').replace('_', '/')
        return name not in parts and (
            sum(k.startswith(prefix) for k in parts) != 1
        )

    shown = {k: v for k, v in logs.items() if k in parts or is_sum(k)}
    return {
        k: round(float(v), 5) if np.isfinite(v) else None
        for k, v in shown.items()
    }
