"""The lower bound and the likelihood: which rises when what is tuned."""

import numpy as np
import runs
import tensorflow as tf

_SILENT = 0.1  # nats of KL below which a dimension of z is called silent
_STAGES = (10, 30, 100, 300, 1000, 2000, 4000)
# The model of `tuning`: z ~ N(0, 1), x = w z + s e, and data of variance V.
_V, _S = 1.0, 0.5
_RATE, _STEPS, _TURN = 0.05, 200, 20


def variance():
    """Plots the deviation of q(z|x) per dimension, with and without KL."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2), dpi=110, layout='tight')
    panels, found = iter(figure.subplots(1, 3, sharey=True)), {}
    for name, setting in (('with KL', []), ('without KL', ['beta=0'])):
        stages = {}
        for steps in _STAGES:
            # Each stage is a run of its own, so that a second call finds it.
            # The schedule is constant, so a longer run passes through the
            # results of the shorter ones.
            model, _, examples = runs.trained(
                'cvae_digits', 'schedule=constant', *setting, f'steps={steps}'
            )
            (batch,) = examples.evaluation('test', 1000)
            mean, logvar = model.encode(batch['image'], batch['label'])
            rate = (np.exp(logvar) + np.square(mean) - 1 - logvar) / 2
            stages[str(steps)] = {
                'deviation': np.exp(np.mean(logvar, axis=0) / 2).tolist(),
                'nats': np.mean(rate, axis=0).tolist(),
            }
        # Active or silent is decided after the last stage.
        active = np.array(stages[str(steps)]['nats']) > _SILENT
        deviations = np.array([f['deviation'] for f in stages.values()])
        for kind, which in (('active', active), ('silent', ~active)):
            if which.any():
                axes = next(panels)
                axes.loglog(_STAGES, deviations[:, which], 'b')
                axes.set_title(f'{name}: {which.sum()} {kind}')
                axes.set_xlabel('step')
        found[name] = stages
    figure.axes[0].set_ylabel('deviation of q(z|x), of each z')
    return {'variance.png': runs.saved(figure)}, found


def penalty():
    """Plots the KL over the log-variance s, and over the variance x."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), dpi=110, layout='tight')
    (left, right), s = figure.subplots(1, 2), np.linspace(-3, 2, 200)
    left.plot(s, np.exp(s), 'b', label='exp(s)')
    left.plot(s, 1 + s, 'r', label='1 + s')
    left.plot(s, np.exp(s) - (1 + s), 'g', label='exp(s) - (1 + s)')
    left.set_xlabel('s, the log-variance')
    x = np.exp(s)
    right.plot(x, x - 1, 'b', label='x - 1')
    right.plot(x, np.log(x), 'r', label='log x')
    right.plot(x, x - np.log(x) - 1, 'g', label='x - log x - 1')
    right.set_xlabel('x, the variance')
    for axes in (left, right):
        axes.axhline(0, color='0.8', zorder=0)
        axes.legend(frameon=False)
    return {'penalty.png': runs.saved(figure)}, {}


def expected_bound(w, a, t):
    """E[L_b] over the data, in nats; q(z|x) = N(a x, t^2)."""
    error = _V - 2 * w * a * _V + w**2 * (a**2 * _V + t**2)
    fit = -0.5 * np.log(2 * np.pi * _S**2) - error / (2 * _S**2)
    rate = 0.5 * (a**2 * _V + t**2 - 1 - np.log(t**2))
    return fit - rate


def expected_log_prob(w):
    """E[log p(x)] over the data, in nats."""
    variance = w**2 + _S**2
    return -0.5 * np.log(2 * np.pi * variance) - _V / (2 * variance)


def _slopes(w, a, t):
    """The derivatives of the bound by w, a and t."""
    by_w = (a * _V - w * (a**2 * _V + t**2)) / _S**2
    by_a = (w * _V - w**2 * a * _V) / _S**2 - a * _V
    by_t = -(w**2) * t / _S**2 - t + 1 / t
    return by_w, by_a, by_t


def climb(moves, w, a, t):
    """Follows the slope of the bound.

    Args:
      moves: step -> whether p (that is w) and q (a and t) move.
      w, a, t: where they start.

    Returns:
      Bounds and log p, one for each step.
    """
    bounds, logs = [], []
    for step in range(_STEPS):
        bounds.append(expected_bound(w, a, t))
        logs.append(expected_log_prob(w))
        p, q = moves(step)
        by_w, by_a, by_t = _slopes(w, a, t)
        w += _RATE * by_w * p
        a, t = a + _RATE * by_a * q, t + _RATE * by_t * q
    return bounds, logs


def _in_turn(step):
    """q moves for some steps, then p."""
    turn = step // _TURN % 2
    return turn, 1 - turn


def tuning():
    """Plots bound and likelihood as p, q, or both in turn are tuned.

    All numbers are closed forms: x = w z + noise, and q(z|x) = N(a x, t^2).
    """
    from matplotlib.figure import Figure

    best = np.sqrt(_V - _S**2)  # the w of the largest likelihood
    poor = 0.3, 0.8  # q far from the posterior
    panels = {
        'p alone': (lambda step: (1, 0), best),
        'q alone': (lambda step: (0, 1), best),
        'both in turn': (_in_turn, 0.2),
    }
    figure = Figure(figsize=(10, 3.2), dpi=110, layout='tight')
    found = {}
    for axes, (name, (moves, w)) in zip(
        figure.subplots(1, 3, sharey=True), panels.items(), strict=True
    ):
        bounds, logs = climb(moves, w, *poor)
        axes.plot(logs, 'k', label='log P(x)')
        axes.plot(bounds, 'b', label='lower bound')
        axes.set_title(f'tuning {name}')
        axes.set_xlabel('step')
        found[name] = {
            'bound': [bounds[0], bounds[-1]],
            'log_prob': [logs[0], logs[-1]],
        }
    figure.axes[0].legend(frameon=False)
    figure.axes[0].set_ylabel('nats')
    found['optimum'] = float(expected_log_prob(best))
    return {'tuning.png': runs.saved(figure)}, found


def bound():
    """Plots the lower bound rising to the fixed log P(x) as q is trained."""
    import keras
    from lecture_points import log_integral
    from matplotlib.figure import Figure

    from tfgen.noise import BatchNoise

    model, _, examples = runs.trained('vae_two_moons')
    (batch,) = examples.evaluation('test', 500).take(1)
    points = batch['point']
    exact = float(np.mean(log_integral(model, points)))
    # A copy of the model with an untrained q.
    fresh = type(model).from_config(model.get_config())
    fresh.decoder.set_weights(model.decoder.get_weights())
    fresh.image_logvar.assign(model.image_logvar)
    optimizer = keras.optimizers.Adam(3e-3)

    @tf.function
    def step(number):
        noise = BatchNoise(tf.stack([0, number]), len(points))
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(fresh.elbo(points, None, noise))
            loss = -value
        variables = fresh.encoder.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
        return value

    bounds = [float(step(tf.constant(n))) for n in range(5000)]
    smooth = np.convolve(bounds, np.ones(50) / 50, 'valid')
    figure = Figure(figsize=(5, 3.2), dpi=110, layout='tight')
    axes = figure.subplots()
    axes.plot(np.arange(len(smooth)) + 25, smooth, 'b', label='lower bound')
    axes.axhline(exact, color='k', linestyle=':', label='log P(x), exact')
    axes.set_xscale('log')
    axes.set_ylim(exact - 4, exact + 0.5)
    axes.set_xlabel('step of q(z|x) alone')
    axes.legend(frameon=False)
    found = {'exact': exact, 'first': bounds[0], 'last': float(smooth[-1])}
    return {'bound.png': runs.saved(figure)}, found
