"""Evaluation results against direct computation."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
import tiny

from tfgen import data, evaluation
from tfgen.data import ImageSpec
from tfgen.data.embedded import moons
from tfgen.errors import UserError
from tfgen.evaluation.base import Settings
from tfgen.evaluation.likelihood import Bounds


@pytest.fixture(scope='module')
def made(data_dir):
    """model -> (model with fresh weights, data)."""

    def make(model, *extra):
        config, examples = tiny.load(model, data_dir, *extra)
        return config.build(), examples

    return make


def _figures(model, examples, metrics=None, **settings):
    """Returns the results in the format of metrics.json."""
    settings = Settings(**settings)
    found = evaluation.evaluate(model, examples, settings, metrics)
    return {name: figure.as_dict() for name, figure in found.items()}


def test_exact_likelihood_is_the_mean_over_the_split(made):
    model, examples = made('pixelrnn')
    figure = _figures(model, examples, batch_size=100)
    figure = figure['negative_log_likelihood']
    (batch,) = examples.evaluation('test', 297)
    nats = -model.log_prob(batch['image'], batch['label']).numpy()
    assert figure['mean'] == pytest.approx(nats.mean(), rel=1e-5)
    error = nats.std(ddof=1) / math.sqrt(297)
    assert figure['standard_error'] == pytest.approx(error, rel=1e-4)
    bits = nats.mean() / (64 * math.log(2))
    assert figure['bits_per_dim'] == pytest.approx(bits, rel=1e-5)


def test_importance_bound_is_tighter_and_batches_do_not_matter(made):
    model, examples = made(
        'cvae', 'likelihood=bernoulli', 'binarization=dynamic'
    )
    runs = [
        _figures(model, examples, batch_size=b, num_samples=200)
        for b in (50, 297)
    ]
    for run in runs:
        elbo, bound = run['negative_elbo'], run['importance_bound']
        assert bound['mean'] < elbo['mean']
        assert bound['num_samples'] == 200
    assert runs[0]['importance_bound']['mean'] == pytest.approx(
        runs[1]['importance_bound']['mean'], abs=0.02
    )


def test_one_sample_makes_the_bound_the_elbo(made):
    model, examples = made('cvae')
    figures = _figures(model, examples, num_samples=1)
    assert figures['negative_elbo']['mean'] == pytest.approx(
        figures['importance_bound']['mean'], rel=1e-5
    )


def test_chunks_of_samples_make_one_mean():
    # 3000 samples of 2 rows do not fit into one chunk. Weights are constant.
    class Constant:
        is_density = False
        output_size = 1

        def log_weights(self, image, label, noise, count):
            return tf.fill([count, tf.shape(image)[0]], -7.0)

    class Two:
        spec = ImageSpec(height=1, width=1)

        def evaluation(self, *_):
            return [{'image': tf.zeros([2, 1, 1, 1])}]

    figures = Bounds().compute(Constant(), Two(), Settings(num_samples=3001))
    for figure in figures.values():
        assert figure.value == pytest.approx(7.0, rel=1e-5)


def test_gaussian_bits_count_the_width_of_a_grey_level(made):
    model, examples = made('cvae')
    figure = _figures(model, examples, num_samples=2)['negative_elbo']
    nats = figure['mean'] + 64 * math.log(16)
    assert figure['bits_per_dim'] == pytest.approx(nats / 64 / math.log(2))


def test_gan_figures_are_probabilities(made):
    model, examples = made('dcgan')
    figures = _figures(model, examples, ['game'])
    assert set(figures) == {'d_real', 'd_fake', 'jensen_shannon'}
    for name in ('d_real', 'd_fake'):
        assert 0 < figures[name]['mean'] < 1
    assert figures['jensen_shannon']['mean'] < math.log(2)


def test_limit_takes_the_first_examples(made):
    model, examples = made('pixelrnn')
    figure = _figures(model, examples, limit=10)
    (batch,) = examples.evaluation('test', 10, limit=10)
    nats = -model.log_prob(batch['image'], batch['label']).numpy()
    assert figure['negative_log_likelihood']['mean'] == pytest.approx(
        np.mean(nats), rel=1e-5
    )


def test_one_example_has_a_figure_without_an_error(made):
    for model, measure in (
        ('pixelrnn', 'log_likelihood'),
        ('cvae', 'bounds'),
        ('dcgan', 'game'),
    ):
        figures = _figures(*made(model), [measure], num_samples=2, limit=1)
        for figure in figures.values():
            assert math.isfinite(figure['mean'])
            assert figure['standard_error'] is None


def test_an_unknown_split_is_refused(made):
    model, examples = made('pixelrnn')
    with pytest.raises(UserError, match="no split 'dev'"):
        _figures(model, examples, split='dev')


def test_measures_are_asked_whether_they_apply(made):
    of_images = {'fidelity', 'memorisation', 'sharpness'}
    of_codes = {'reconstruction', 'code_classes'}
    told = {'active_units', 'reconstruction'}
    for model, default, more in (
        ('pixelrnn', ['log_likelihood'], of_images),
        ('gaussian', ['log_likelihood'], set()),
        (
            'cvae',
            ['bounds', 'active_units'],
            of_images | {'reconstruction', 'annealed'},
        ),
        ('autoencoder', ['reconstruction', 'code_classes'], set()),
        ('gmm', ['log_likelihood'], of_images),
        ('rbm', ['partition', 'fidelity'], of_images | of_codes),
        (
            'inpainting_vae',
            ['quadrants', 'fidelity'],
            of_images,
        ),
        (
            'text_vae',
            ['bounds', 'active_units', 'well_formed'],
            {'annealed', 'reconstruction'},
        ),
        ('dcgan', ['game', 'fidelity'], of_images),
        ('unrolled', ['game', 'modes'], set()),
        ('classifier', ['accuracy'], set()),
        ('bigan', ['game', 'fidelity'], of_images | told),
        ('semi_supervised_gan', ['accuracy', 'fidelity'], of_images),
    ):
        found = made(model)
        chosen = [m.name for m in evaluation.chosen(*found)]
        assert sorted(chosen) == sorted(default)
        known = {*evaluation.applicable(*found)} - {'linear_svm'}
        assert known == {*default} | more


def test_active_units_are_those_whose_means_differ(made):
    model, examples = made('cvae')
    mean = model.encode
    model.encode = lambda x, label: tuple(
        v * [100.0, 0.0, 1e-4] for v in mean(x, label)
    )
    figures = _figures(model, examples, ['active_units'])
    assert figures['active_units'] == {
        'mean': 1,
        'standard_error': None,
        'of': 3,
    }
    model.encode = mean


def test_classes_of_codes_are_those_of_their_neighbours(made):
    # If the code is the example itself, both give the same accuracy.
    model, examples = made('autoencoder')
    code = model.code
    for own, share in (
        (lambda x, _=None: tf.reshape(x, [-1, 64]), None),
        (lambda x, _=None: tf.zeros([tf.shape(x)[0], 3]), 0.1),
    ):
        model.code = own
        found = _figures(model, examples, ['code_classes'])
        same = found['value_accuracy']['mean']
        assert same > 0.9
        expected = pytest.approx(same if share is None else share, abs=0.03)
        assert found['code_accuracy']['mean'] == expected
    model.code = code


def test_hidden_quadrants_are_likelier_the_fewer_there_are(made):
    model, examples = made('inpainting_vae')
    figures = _figures(model, examples, ['quadrants'], num_samples=3, limit=50)
    # The number of draws is recorded, because the bound falls as it rises.
    assert all(f['num_samples'] == 3 for f in figures.values())
    given = [figures[f'given_{k}']['mean'] for k in (1, 2, 3)]
    assert given[0] > given[1] > given[2] > 0


def test_metrics_read_the_truth_of_a_data_set_and_not_its_name(data_dir):
    stacks = data.load('stacked_digits', data_dir)
    model = tiny.preset('dcgan').model(stacks.spec, network='mlp')
    moved = data.Data(
        dataclasses.replace(stacks.spec, name='folder:x'), stacks.source
    )
    for examples in (stacks, moved):
        found = evaluation.applicable(model, examples)
        assert 'stacked_modes' in found and 'fidelity' not in found
    plain = dataclasses.replace(stacks.source, truth=None)
    found = evaluation.applicable(model, data.Data(stacks.spec, plain))
    assert 'stacked_modes' not in found and 'fidelity' in found


def test_midpoints_are_measured_against_the_moon_between(data_dir):
    config, examples = tiny.load('autoencoder', data_dir, 'dataset=moon_phases')
    model = config.build()
    # The code is the phase, and the decoder draws that phase.
    phases = np.linspace(0, np.pi, 4001)
    areas = moons.moon(phases).sum((1, 2, 3))

    def code(image, label=None):
        area = tf.reduce_sum(image, axis=(1, 2, 3)).numpy()
        return np.interp(area, areas, phases)[:, None].astype(np.float32)

    model.code = code
    model.decode = lambda z, label=None: moons.moon(np.asarray(z)[:, 0])
    model.to_example = tf.constant
    figures = _figures(model, examples, ['midpoints'])
    assert figures['midpoint_error']['mean'] < 0.1
    model.decode = lambda z, label=None: moons.moon(np.asarray(z)[:, 0] + 0.3)
    figures = _figures(model, examples, ['midpoints'])
    assert figures['midpoint_error']['mean'] > 3


def test_measures_can_be_chosen(made):
    model, examples = made('pixelrnn')
    settings = Settings(limit=3)
    figures = evaluation.evaluate(model, examples, settings, ['log_likelihood'])
    assert list(figures) == ['negative_log_likelihood']
    with pytest.raises(UserError, match="'bounds' does not apply"):
        evaluation.evaluate(model, examples, settings, ['bounds'])
