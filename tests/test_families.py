"""The comparison of families, and normal distributions of codes."""

import importlib.util
import json
import sys
import time

import numpy as np
import processes
import pytest
import tensorflow as tf
import tiny
from PIL import Image

from tfgen import data
from tfgen.data import PointSpec
from tfgen.evaluation.fitted_codes import FittedCodes
from tfgen.models.contracts.capabilities import GenerativeModel
from tfgen.noise import BatchNoise
from tfgen.training import workdir


def _drawn(model, count=20_000):
    return model.sample(BatchNoise(tf.constant([0, 1]), count)).numpy()


def test_samples_of_fitted_codes_have_the_moments_of_the_data():
    """PCA with as many components as numbers loses nothing."""
    points = data.load_points('two_moons')
    model = tiny.build('pca', points.spec, latent_size=2)
    fitted = FittedCodes.of(model, points)
    assert isinstance(fitted, GenerativeModel)
    seen = np.concatenate(
        [b['point'] for b in points.evaluation('train', 500, 10_000)]
    )
    drawn = _drawn(fitted)
    error = 5 * seen.std(0) / np.sqrt(len(drawn))
    assert np.all(np.abs(drawn.mean(0) - seen.mean(0)) < error)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(seen.T), atol=0.02)


def test_codes_without_width_are_drawn_at_their_mean():
    spec = PointSpec(size=2)
    model = tiny.build('pca', spec, latent_size=2)
    covariance = np.array([[1.0, 1.0], [1.0, 1.0]])  # of rank 1
    drawn = _drawn(FittedCodes(model, np.array([3.0, -2.0]), covariance))
    z = model.encode(tf.constant(drawn)).numpy()
    np.testing.assert_allclose(z[:, 0] - 3, z[:, 1] + 2, atol=1e-3)
    still = FittedCodes(model, np.array([3.0, -2.0]), np.zeros([2, 2]))
    assert np.ptp(_drawn(still, 5), axis=0).max() == 0
    standard = _drawn(FittedCodes.standard(model))
    z = model.encode(tf.constant(standard)).numpy()
    np.testing.assert_allclose(np.cov(z.T), np.eye(2), atol=0.05)


def _refused(folder, *options):
    """The error of the comparison, which trains nothing."""
    with pytest.raises(AssertionError) as error:
        processes.run(
            [
                *(sys.executable, tiny.script('families'), '--seeds=1'),
                *(f'--workdir={folder}', *options),
            ]
        )
    return str(error.value)


def test_unknown_rows_and_other_settings_are_refused(tmp_path, data_dir):
    assert "unknown row 'x'" in _refused(tmp_path, '--row=x')
    run = tmp_path / 'digits' / 'VAE' / '0'
    config, _ = tiny.load('cvae', data_dir)
    workdir.write_config(run, config)
    (run / 'family.json').write_text('{}')
    assert 'a run with other settings' in _refused(
        tmp_path, '--row=VAE', f'--data_dir={data_dir}'
    )


def test_the_time_of_a_stopped_training_counts(tmp_path):
    spec = importlib.util.spec_from_file_location('runs', tiny.script('runs'))
    runs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(runs)
    used, run = 0, tmp_path / 'run'
    for stopped in (True, False):
        begin = time.process_time()
        try:
            with runs.cpu_time(run) as spent:
                run.mkdir(exist_ok=True)
                while time.process_time() < begin + 0.05:
                    pass
                if stopped:
                    raise SystemExit
        except SystemExit:
            pass
        used += time.process_time() - begin
    assert spent() >= 0.1 and used == pytest.approx(spent(), abs=0.05)
    # A process that was killed noted nothing.
    (run / 'cpu_seconds.json').unlink()
    with runs.cpu_time(run) as spent:
        assert spent() is None
    assert not list(run.iterdir())
    # Nothing is left behind by a training that has not begun.
    with runs.cpu_time(tmp_path / 'none'):
        pass
    assert not (tmp_path / 'none').exists()


@pytest.mark.wide
def test_a_family_is_measured_once_and_recorded(tmp_path, data_dir):
    command = [sys.executable, tiny.script('families'), '--seeds=1']
    command += [f'--workdir={tmp_path}/runs', f'--data_dir={data_dir}']
    command += [f'--cache_dir={tmp_path}/cache', f'--record={tmp_path}']
    rows = ['PCA, normal codes', 'VAE']
    out = processes.run(
        [*command, '--steps=2', *(f'--row={row}' for row in rows)]
    ).stdout
    assert all(f'| {row} |' in out for row in rows)
    found = json.loads((tmp_path / 'families.json').read_text())['rows']
    assert list(found) == rows
    values = found['VAE']['values']['digits']
    assert values['nats'][0] > 0 and values['training_cpu_seconds'][0] > 0
    assert found['PCA, normal codes']['values']['digits']['nats'] == []
    assert Image.open(tmp_path / 'runs' / 'families_digits.png').width > 600
    for file in (tmp_path / 'runs').rglob('samples.npy'):
        assert set(np.unique(np.load(file))) == {0, 1}  # rounded
    again = processes.run([*command, '--steps=2', '--row=VAE']).stdout
    assert 'seed 0' not in again  # nothing is trained
    kept = json.loads((tmp_path / 'families.json').read_text())['rows']
    assert kept.keys() == found.keys()
    assert kept['VAE']['values'] == found['VAE']['values']
