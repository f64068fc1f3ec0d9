"""An export has its model's results, from its signatures alone."""

import dataclasses
import sys

import numpy as np
import processes
import pytest
import tiny

from tfgen import evaluation
from tfgen.errors import UserError
from tfgen.evaluation import exported
from tfgen.evaluation.base import Settings
from tfgen.export import pretrained, saved_model
from tfgen.training import workdir

# Model -> names of the results that run and export share.
CASES = {
    'pixelrnn': ['negative_log_likelihood'],
    'gmm': ['negative_log_likelihood'],
    'cvae': ['negative_elbo'],
    'classifier': ['accuracy'],
    'unrolled': ['modes', 'quality'],
}
SETTINGS = Settings(num_samples=30, num_draws=1, num_generated=200, limit=120)


def _pair(name, uninterrupted, tmp_path):
    """Returns a trained model, the stand-in of its export, and the data."""
    run = uninterrupted(name, 'off')
    config = workdir.read_config(run)
    live, step = config.restore(run)
    examples = config.load_data()
    saved_model.export(live, config, step, examples, tmp_path)
    functions, _ = saved_model.load(tmp_path)
    return live, functions, examples


@pytest.mark.parametrize('name', tiny.some(CASES, ('cvae',)))
def test_figures_of_an_export_are_those_of_its_run(
    name, uninterrupted, tmp_path
):
    live, functions, examples = _pair(name, uninterrupted, tmp_path)
    model = exported.stand_in(functions, live)
    theirs, ours = {}, {}
    for found, measured in ((theirs, live), (ours, model)):
        known = evaluation.applicable(measured, examples)
        wanted = [
            m
            for m in known
            if m
            in ('log_likelihood', 'bounds', 'served_bound', 'accuracy', 'modes')
        ]
        found |= evaluation.evaluate(measured, examples, SETTINGS, wanted)
    for figure in CASES[name]:
        a, b = theirs[figure], ours[figure]
        # A bound is estimated from other draws.
        error = 0.1 * b.error if name == 'cvae' else 1e-5 * abs(b.value)
        assert abs(a.value - b.value) <= error
        rates = [k for k in a.details if '_per_' in k]
        assert rates == [k for k in b.details if '_per_' in k]
        for rate in rates:
            np.testing.assert_allclose(
                a.details[rate], b.details[rate], rtol=0.01
            )


def test_a_split_that_is_not_there_is_told(uninterrupted, tmp_path):
    live, functions, examples = _pair('cvae', uninterrupted, tmp_path)
    settings = dataclasses.replace(SETTINGS, split='val')
    model = exported.stand_in(functions, live)
    with pytest.raises(UserError, match='val'):
        evaluation.evaluate(model, examples, settings, ['served_bound'])


def test_what_serves_no_figure_is_told(uninterrupted, tmp_path):
    live, functions, _ = _pair('pca', uninterrupted, tmp_path)
    with pytest.raises(UserError, match='none of sample, log_prob'):
        exported.stand_in(functions, live)


def test_a_card_is_checked_by_one_command():
    script = str(tiny.script('evaluate'))
    command = [sys.executable, script, '--model_dir=gmm_two_moons']
    output = processes.run(command).stdout
    card = (pretrained.folder() / 'gmm_two_moons' / 'README.md').read_text()
    (figure,) = [x for x in output.splitlines() if 'log_likelihood' in x]
    value = float(figure.split()[1])
    said = card.partition('negative log likelihood ')[2].split()
    assert abs(value - float(said[0])) < 0.1 * float(said[2])
