"""What the browser may train: small models of small sets, from short lists.

A request names a data set, a model, a seed and settings. Every setting has a
list of values, so no request can ask for more than this machine gives.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfgen import presets
from tfgen.data import Data
from tfgen.data.embedded.points import TOY_DISTRIBUTIONS
from tfgen.errors import UserError
from tfgen.losses import adversarial, penalties
from tfgen.models import priors
from tfgen.noise import IndexNoise
from tfgen.training.workdir import Config

_TOYS = ('ring', 'grid', 'two_moons', 'two_lines', 'bells')
DRAWN, LINE, DIGITS = 'drawn', 'far_line', 'digits'
_FAR = 4.0  # from the first samples of a GAN, which lie near 0
_POINTS = 2000  # of a toy distribution
_MOST_POINTS, _LEAST_POINTS = 2000, 3  # that a hand may draw
_REACH = 10.0  # largest coordinate of a drawn point
_STEPS = 20_000
_SEEDS = 2**31 - 1
_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)


@dataclasses.dataclass(frozen=True)
class Trained:
    """A model that may be trained.

    Attributes:
      preset: its name.
      sets: the data sets it may be trained on.
      fixed: settings that no request changes.
      free: setting -> the values to choose from, the first is the default.
      every: steps between two states.
    """

    preset: str
    sets: tuple[str, ...]
    fixed: Mapping[str, Any]
    free: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    every: int = 10


_PLANE = (*_TOYS, LINE, DRAWN)
_GAN = {
    'loss': ('non_saturating', *adversarial.LOSSES),
    'penalty': ('none', *penalties.PENALTIES),
    'penalty_weight': (None, 0.01, 0.1, 1.0, 10.0),
    'learning_rate': (1e-3, *_RATES),
    'discriminator_rate': (None, *_RATES),
    'discriminator_updates': (1, 2, 5),
    'ema': (0.0, 0.99, 0.999),
}
_VAE = {
    'beta': (1.0, 0.0, 0.1, 4.0),
    'latent_size': (2, 1, 8),
    'importance_samples': (1, 5, 50),
    'learning_rate': (1e-3, *_RATES),
}
_ADAM = {'beta_1': 0.5, 'schedule': 'constant'}
_NARROW = {
    'generator_units': (64, 64),
    'discriminator_units': (64, 64),
    'network': 'mlp',
}
_IMAGES = {'generator_units': (32,), 'discriminator_units': (32,)}
MODELS = {
    'normal': Trained(
        'gaussian_two_moons', _PLANE, {'batch_size': 100}, every=1
    ),
    # A step is an iteration of EM: the batch is the whole set.
    'gmm': Trained(
        'gmm',
        _PLANE,
        {'variance_floor': 1e-5},
        {'num_components': (8, 1, 2, 3, 4, 6, 12, 25)},
        every=1,
    ),
    'vae': Trained(
        'vae',
        _PLANE,
        {'batch_size': 128, 'units': (64, 64)},
        _VAE | {'deviation': ('learned', 0.03, 0.1, 0.3, 'decoded')},
    ),
    'gan': Trained(
        'gan',
        _PLANE,
        {'batch_size': 128, 'latent_size': 2, **_NARROW, **_ADAM},
        _GAN
        | {
            'prior': priors.PRIORS,
            'unrolled_steps': (0, 1, 5),
            'discriminator': ('score', 'energy'),
        },
    ),
    'vae of digits': Trained(
        'vae', (DIGITS,), {'batch_size': 64, 'filters': (32,)}, _VAE, every=5
    ),
    'gan of digits': Trained(
        'gan',
        (DIGITS,),
        {'batch_size': 64, 'latent_size': 16, **_IMAGES, **_ADAM},
        _GAN,
        every=5,
    ),
}


def described() -> dict:
    """What may be chosen, for the page: model -> sets, settings, every."""
    return {
        name: {
            'sets': list(one.sets),
            'settings': {k: _unique(v) for k, v in one.free.items()},
            'every': one.every,
        }
        for name, one in MODELS.items()
    }


def _unique(values):
    """The values without repetitions, in their order."""
    return list(dict.fromkeys(values))


@dataclasses.dataclass(frozen=True)
class Request:
    """A training that was asked for.

    Attributes:
      model: of MODELS.
      data: the name of a set, DRAWN for points, LINE for a line far away.
      points: float32 [N, 2], drawn by hand; None for a named set.
      seed: of the run.
      settings: of the preset.
    """

    model: str
    data: str
    points: np.ndarray | None
    seed: int
    settings: Mapping[str, Any]

    @staticmethod
    def of(asked: Any) -> 'Request':
        """Reads a request from JSON.

        Raises:
          UserError: it asks for something that is not offered.
        """
        if not isinstance(asked, dict):
            raise UserError('a training is an object of model, data, settings')
        model = _one_of('model', asked.get('model'), MODELS)
        known = MODELS[model]
        data = _one_of('data', asked.get('data'), known.sets)
        points = _hand(asked.get('points')) if data == DRAWN else None
        seed = asked.get('seed', 0)
        if type(seed) is not int or not 0 <= seed <= _SEEDS:
            raise UserError(f'seed {seed!r}: use a whole number, 0 or more')
        settings = asked.get('settings', {})
        if not isinstance(settings, dict):
            raise UserError('settings are an object of names and values')
        chosen = {k: v[0] for k, v in known.free.items()}
        for name, value in settings.items():
            _one_of('setting', name, known.free)
            chosen[name] = _one_of(name, value, known.free[name])
        return Request(model, data, points, seed, {**known.fixed, **chosen})

    @property
    def every(self) -> int:
        """Steps between two states."""
        return MODELS[self.model].every

    def opened(self) -> tuple[Config, Data]:
        """The Config of the run, and its data."""
        known = MODELS[self.model]
        settings = {'steps': _STEPS, 'log_every': _STEPS, **self.settings}
        settings['checkpoint_every'] = _STEPS
        data = None
        if self.data == DIGITS:
            settings['dataset'] = DIGITS
        else:
            data = self._points()
            size = settings.get('batch_size', len(data[0]))
            settings['batch_size'] = min(size, len(data[0]))
        preset = presets.with_values(known.preset, settings)
        return Config.of(
            known.preset,
            preset,
            self.seed,
            data=data,
            chosen=settings.keys(),
        )

    def _points(self) -> tuple[np.ndarray, np.ndarray]:
        """Training and test points; those of a hand are both."""
        if self.points is not None:
            return self.points, self.points
        return _drawn(self.data, 'train'), _drawn(self.data, 'test')


def toy(request: Request):
    """The ToyDistribution of a request; None for other data."""
    return TOY_DISTRIBUTIONS.get(request.data)


def _drawn(name, split):
    """Points of a toy distribution, or of an upright line: float32 [N, D]."""
    if name == LINE:
        random = np.random.default_rng(['train', 'test'].index(split))
        x = random.normal(_FAR, 0.02, _POINTS)
        y = random.uniform(-1.5, 1.5, _POINTS)
        return np.stack([x, y], axis=1).astype(np.float32)
    noise = IndexNoise(tf.range(_POINTS, dtype=tf.int64), f'{split}/')
    return TOY_DISTRIBUTIONS[name].draw(noise)[0].numpy()


def _hand(given):
    """The points that a hand has drawn: float32 [N, 2]."""
    sizes = f'{_LEAST_POINTS} to {_MOST_POINTS}'
    if not isinstance(given, list) or not (
        _LEAST_POINTS <= len(given) <= _MOST_POINTS
    ):
        raise UserError(f'points: draw {sizes} of them')
    for point in given:
        if not (
            isinstance(point, list)
            and len(point) == 2
            and all(type(v) in (int, float) for v in point)
            and all(abs(v) <= _REACH and math.isfinite(v) for v in point)
        ):
            raise UserError(
                f'a point is two numbers of at most {_REACH:g}: draw them again'
            )
    return np.array(given, np.float32)


def _one_of(what, value, known):
    """`value` if it is one of `known`; else a UserError."""
    for one in known:
        # JSON writes 1.0 as 1. True equals 1 in Python, but is no number.
        same = {type(one), type(value)}
        if one == value and (len(same) == 1 or same == {int, float}):
            return one
    listed = ', '.join(str(one) for one in _unique(known))
    raise UserError(f'{what} {value!r} is not offered: use {listed}')


def extent(request: Request) -> float:
    """Half the side of the square that is shown; 0 for pictures."""
    if distribution := toy(request):
        return distribution.extent
    if request.data == LINE:
        return 1.25 * _FAR
    if request.points is not None:
        return 1.25 * float(np.abs(request.points).max()) or 1.0
    return 0.0
