"""A new run begins with the weights of a run or an export."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tiny

from tfgen.errors import UserError
from tfgen.serving import export, signatures
from tfgen.training import run, warm_start, workdir

# With averages, without, assigned by EM, and with more than it serves.
MODELS = ('dcgan', 'cvae', 'gmm', 'semi_supervised_gan')


def _fresh(directory):
    config = workdir.read_config(directory)
    return dataclasses.replace(config, seed=config.seed + 1).build()


@pytest.fixture(scope='module', params=MODELS)
def trained(request, uninterrupted):
    return uninterrupted(request.param, 'off')


def test_the_weights_of_a_run_are_those_that_it_exports(trained):
    expected, _ = workdir.read_config(trained).restore(trained)
    model = _fresh(trained)
    said = warm_start.begin_from(model, str(trained))
    assert 'checkpoint-30' in said and 'anew' not in said
    for ours, theirs in zip(model.variables, expected.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_weights_of_an_export_serve_what_it_serves(trained, tmp_path):
    config = workdir.read_config(trained)
    live, step = config.restore(trained)
    examples = config.load_data()
    export.export(live, config, step, examples, tmp_path / 'model')
    model = _fresh(trained)
    for source in (tmp_path / 'model', tmp_path / 'model' / '1'):
        assert 'variables' in warm_start.begin_from(model, str(source))
    served, ours = signatures.functions(live), signatures.functions(model)
    requests = export.example_requests(live, served, examples)
    for name, function in served.items():
        inputs = {k: tf.constant(v) for k, v in requests[name].items()}
        for key, value in function(**inputs).items():
            np.testing.assert_array_equal(ours[name](**inputs)[key], value)


def test_a_run_goes_on_from_where_another_ended(
    uninterrupted, tmp_path, data_dir
):
    source = uninterrupted('cvae', 'off')
    config, examples = tiny.load('cvae', data_dir)
    config = dataclasses.replace(config, init_from=str(source), seed=5)
    one = run.train(config, examples, tmp_path / 'one', jit='off')
    flags = ['--seed=5', '--strategy=mirrored', '--jit=off']
    flags += [f'--init_from={source}']
    path = tmp_path / 'two'
    output = tiny.run(tiny.train_command('cvae', path, data_dir, *flags))
    assert 'begins with' in output.stdout
    both = workdir.read_config(path).restore(path)[0]
    before = workdir.read_config(source).restore(source)[0]
    cold = dataclasses.replace(config, init_from=None)
    cold = run.train(cold, examples, tmp_path / 'cold', jit='off')

    def distance(other):
        pairs = zip(one.variables, other.variables, strict=True)
        return sum(float(tf.norm(a - b)) for a, b in pairs)

    assert distance(both) < 1e-3
    assert 0.0 < distance(before) < 0.5 * distance(cold)
    # Started again, it is what it was, and needs its source no more.
    stored = workdir.read_config(tmp_path / 'one')
    assert stored.init_from == str(source)
    gone = dataclasses.replace(config, init_from=str(tmp_path / 'gone'))
    with pytest.raises(UserError, match='was trained with init_from='):
        run.train(gone, examples, tmp_path / 'one')
    run.train(config, examples, tmp_path / 'one')


def test_several_draws_go_on_from_one_whose_rate_warmed_up(
    uninterrupted, data_dir
):
    source = uninterrupted('free_bits', 'off')
    expected, _ = workdir.read_config(source).restore(source)
    model = tiny.load('iwae', data_dir)[0].build()
    assert 'anew' not in warm_start.begin_from(model, str(source))
    for ours, theirs in zip(model.variables, expected.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_other_shapes_are_refused_and_change_nothing(uninterrupted, data_dir):
    source = str(uninterrupted('cvae', 'off'))
    for settings, said in (
        (['latent_size=4'], 'of shape'),
        (['filters=4,6,6'], 'of shape'),
    ):
        model = tiny.load('cvae', data_dir, *settings)[0].build()
        before = [np.array(v) for v in model.variables]
        with pytest.raises(UserError, match=said):
            warm_start.begin_from(model, source)
        for old, now in zip(before, model.variables, strict=True):
            np.testing.assert_array_equal(old, now)
    small = tiny.load('gaussian', data_dir)[0].build()
    with pytest.raises(UserError, match='holds another model'):
        warm_start.begin_from(small, source)


def test_an_export_whose_weights_have_no_numbers_is_refused(tmp_path, data_dir):
    module = tf.Module()
    module.used = [tf.Variable(1.0)]
    tf.saved_model.save(module, str(tmp_path / '1'))
    model = tiny.load('cvae', data_dir)[0].build()
    with pytest.raises(UserError, match='by an older tfgen'):
        warm_start.begin_from(model, str(tmp_path))
    broken = tmp_path / '1' / 'variables' / 'variables.index'
    broken.write_bytes(b'nothing')
    with pytest.raises(UserError, match='cannot be read'):
        warm_start.begin_from(model, str(tmp_path))
