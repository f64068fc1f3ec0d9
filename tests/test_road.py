"""The scripts of the demonstrations on the way to the VAE."""

import importlib
import json
import sys

import numpy as np
import processes
import pytest
import tiny
from PIL import Image
from scipy import stats


def _script(name, *flags):
    command = [sys.executable, str(tiny.script(name))]
    return processes.run([*command, *map(str, flags)]).stdout


def test_components_are_chosen_by_what_each_more_is_worth(tmp_path):
    out = _script(
        'components',
        f'--workdir={tmp_path}',
        '--dataset=ring',
        '--most=2',
        '--steps=20',
    )
    rows = [line.split() for line in out.splitlines() if line.startswith('  ')]
    assert [row[0] for row in rows] == ['1', '2']
    assert sum('lowest' in line for line in out.splitlines()) == 1
    free, nats = int(rows[1][1]), float(rows[1][2])
    expected = 2e6 * nats + free * np.log(1e6)
    assert float(rows[1][4]) == pytest.approx(expected, rel=1e-4)


def test_a_demonstration_is_drawn_alone(tmp_path):
    # The earlier results of other demonstrations stay in the file.
    (tmp_path / 'lecture.json').write_text('{"codes": {"date": "then"}}')
    _script(
        'lecture',
        f'--workdir={tmp_path}',
        f'--output={tmp_path}',
        '--only=penalty',
    )
    assert Image.open(tmp_path / 'penalty.png').width > 300
    found = json.loads((tmp_path / 'lecture.json').read_text())
    assert found['codes'] == {'date': 'then'} != found['penalty']
    with pytest.raises(AssertionError, match="unknown demonstration 'x'"):
        _script('lecture', f'--workdir={tmp_path}', '--only=x')


def test_the_space_of_codes_is_drawn_by_the_command(tmp_path, data_dir):
    processes.run(tiny.train_command('autoencoder', tmp_path, data_dir))
    kinds = 'interpolation,traversal,map,projector'
    flags = [f'--workdir={tmp_path}', f'--data_dir={data_dir}']
    out = _script('sample', *flags, f'--kind={kinds}')
    _script('sample', *flags, '--kind=attributes', '--labels=3,5')
    for name in (*kinds.split(',')[:-1], 'attributes'):
        assert Image.open(tmp_path / f'{name}.png').width > 100
    for name in ('interpolation', 'traversal'):
        assert Image.open(tmp_path / f'{name}.gif').n_frames > 10
    assert (tmp_path / 'projector' / 'projector_config.pbtxt').exists()
    assert str(tmp_path / 'projector') in out


def test_the_bound_of_the_tuned_toy_is_a_bound(monkeypatch):
    """Closed forms against integration over x and z."""
    monkeypatch.syspath_prepend(str(tiny.script('lecture').parent))
    toy = importlib.import_module('lecture_bounds')
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()  # of N(0, 1)
    w, a, t = 0.7, 0.4, 0.6
    x = nodes[:, None] * np.sqrt(toy._V)
    z = a * x + t * nodes
    log_ratio = (
        stats.norm(w * z, toy._S).logpdf(x)
        + stats.norm(0, 1).logpdf(z)
        - stats.norm(a * x, t).logpdf(z)
    )
    wanted = weights @ log_ratio @ weights
    assert toy.expected_bound(w, a, t) == pytest.approx(wanted, abs=1e-9)
    exact = stats.norm(0, np.hypot(w, toy._S)).logpdf(x[:, 0]) @ weights
    assert toy.expected_log_prob(w) == pytest.approx(exact, abs=1e-9)
    assert wanted < exact
    # With the posterior as q the bound is tight.
    precision = 1 + w**2 / toy._S**2
    a, t = w / toy._S**2 / precision, precision**-0.5
    assert toy.expected_bound(w, a, t) == pytest.approx(exact, abs=1e-12)
    place, step = np.array([0.7, 0.4, 0.6]), 1e-5
    for number, slope in enumerate(toy._slopes(*place)):
        move = step * np.eye(3)[number]
        rise = toy.expected_bound(*(place + move)) - toy.expected_bound(
            *(place - move)
        )
        assert slope == pytest.approx(rise / (2 * step), abs=1e-6)


def test_tuning_p_alone_may_lower_the_likelihood(monkeypatch, tmp_path):
    _script(
        'lecture',
        f'--workdir={tmp_path}',
        f'--output={tmp_path}',
        '--only=tuning',
    )
    found = json.loads((tmp_path / 'lecture.json').read_text())['tuning']
    rises = {
        name: [last - first for first, last in found[name].values()]
        for name in ('p alone', 'q alone', 'both in turn')
    }
    assert rises['p alone'][0] > 0.1 and rises['p alone'][1] < -0.1
    assert rises['q alone'][0] > 0.1 and rises['q alone'][1] == 0
    assert min(rises['both in turn']) > 0.1
    assert found['both in turn']['log_prob'][1] == pytest.approx(
        found['optimum'], abs=0.01
    )


def test_one_kl_covers_both_bells_and_the_other_chooses_one(monkeypatch):
    monkeypatch.syspath_prepend(str(tiny.script('lecture').parent))
    bells = importlib.import_module('lecture_gans')
    # KL(p || q) is least at the moments of p.
    mean, deviation, nats = bells.fitted('KL(p || q)', [0.5, 0.0])
    assert mean == pytest.approx(0, abs=1e-4)
    assert deviation == pytest.approx(np.hypot(2, bells._WIDTH), abs=1e-4)
    found = [bells.fitted('KL(q || p)', [s, 0.0]) for s in (0.5, -0.5)]
    for (place, width, far), side in zip(found, (1, -1), strict=True):
        assert place == pytest.approx(2 * side, abs=0.05)
        assert width == pytest.approx(bells._WIDTH, abs=0.05)
        # Half of p is left out.
        assert far == pytest.approx(np.log(2), abs=0.01)
    assert nats > 0.1
