"""Sets that are too small, or whose examples are all equal."""

import json
import math

import numpy as np
import processes
import pytest
import tensorflow as tf
import tiny

from tfgen import evaluation
from tfgen.data import load
from tfgen.errors import UserError
from tfgen.evaluation import classes, classifiers
from tfgen.evaluation.base import Result, Settings
from tfgen.evaluation.features import Features
from tfgen.evaluation.samples import _diversity
from tfgen.export.trained import TrainedModel
from tfgen.models.gmm import GMM
from tfgen.models.pca import PCA
from tfgen.pictures import latent_space


@pytest.fixture
def folder(tmp_path):
    """Makes folder:PATH with numbers of pictures per class; _ is no class."""

    def make(name='set', alike=False, **sizes):
        random = np.random.default_rng(0)
        for label, count in sizes.items():
            place = tmp_path / name / label.replace('__', '/').strip('_')
            for number in range(count):
                noise = random.integers(256, size=[8, 8]).astype(np.uint8)
                pixels = 100 if alike else noise
                tiny.save_picture(place / f'{number}.png', pixels)
        return f'folder:{tmp_path / name}'

    return make


def _made(model, dataset, *extra):
    config, examples = tiny.load(model, None, f'dataset={dataset}', *extra)
    return config.build(), examples


def _left_out(model, examples, **settings):
    settings = Settings(**settings)
    chosen = evaluation.chosen(model, examples, None, settings)
    return (
        [metric.name for metric in chosen],
        evaluation.left_out(model, examples, settings),
    )


def test_few_pictures_are_measured_before_a_classifier_is_trained(
    folder, tmp_path, data_dir
):
    directory, cache = tmp_path / 'run', tmp_path / 'cache'
    dataset = folder(a=6, b=6)
    more = [f'--set=dataset={dataset}', '--set=steps=2']
    command = tiny.train_command('dcgan', directory, data_dir, *more)
    processes.run(command)
    command = [command[0], command[1].replace('train.py', 'evaluate.py')]
    command += [f'--workdir={directory}', f'--cache_dir={cache}']
    first, *rest = processes.run(command).stdout.splitlines()
    assert first.startswith('left out: fidelity: ') and '--split=train' in first
    assert '2 examples' in rest[0] and 'd_real' in rest[1]
    figures = json.loads((directory / 'metrics.json').read_text())['figures']
    assert {*figures} == {'d_real', 'd_fake', 'jensen_shannon'}
    assert not cache.exists()


def test_what_is_named_and_cannot_be_measured_is_refused(folder):
    model, examples = _made('dcgan', folder(a=6, b=6))
    with pytest.raises(UserError, match=r"^fidelity: .*split='train'"):
        evaluation.chosen(model, examples, ['game', 'fidelity'])
    # Both splits are too small, so the message does not suggest the other.
    _, left = _left_out(*_made('dcgan', folder('few', a=3, b=3)))
    assert left['fidelity'].endswith(': add examples')
    # Wrong settings are reported first.
    for wrong in ({'split': 'dev'}, {'num_draws': 0}):
        with pytest.raises(UserError, match=r'dev|num_draws'):
            evaluation.chosen(model, examples, None, Settings(**wrong))


def test_one_class_is_measured_as_none(folder):
    same = []
    for name, sizes in (
        ('none', {'_': 40}),
        ('one', {'cat': 40}),
        ('seen', {'train__a': 36, 'test__a': 2, 'test__b': 2}),
    ):
        dataset = folder(name, **sizes)
        model, examples = _made('dcgan', dataset, 'conditional=false')
        chosen, left = _left_out(model, examples, split='train')
        assert '--features=PATH' in left['fidelity']
        known = {*evaluation.applicable(model, examples)}
        same.append((chosen, [*left], known - {'linear_svm'}))
        with pytest.raises(UserError, match=r'one class|does not apply'):
            evaluation.chosen(model, examples, ['linear_svm'])
        own = Features('own', lambda images: (tf.zeros([len(images), 2]), None))
        chosen, left = _left_out(model, examples, split='train', features=own)
        assert 'fidelity' in chosen and not left
    assert same[0] == same[1] == same[2]
    config, _ = tiny.load('dcgan', None, f'dataset={folder("one")}')
    with pytest.raises(UserError, match='has one class'):
        classifiers.features(config, None)
    with pytest.raises(UserError, match='has one class'):
        _made('classifier', folder('one'))
    with pytest.raises(UserError, match='has 1 class: use a set'):
        _made('semi_supervised_gan', folder('one'), 'num_labels=2')


def test_where_nothing_is_left_the_reasons_are_told(folder, data_dir):
    # If an export of a GAN serves only samples, only metrics of samples apply.
    model, examples = _made('dcgan', folder(_=12), 'conditional=false')
    drawing = evaluation.exported.stand_in({'sample': None}, model)
    with pytest.raises(UserError, match='nothing can be measured; fidelity: '):
        evaluation.evaluate(drawing, examples)


def test_a_measure_says_what_it_needs_two_or_five_of(folder):
    model, examples = _made('cvae', folder(a=2, b=2), 'conditional=false')
    assert examples.spec.split_sizes == {'train': 3, 'test': 1}
    _, left = _left_out(model, examples)
    assert '--split=train' in left['active_units']
    model, examples = _made('autoencoder', folder())
    chosen, left = _left_out(model, examples)
    assert chosen == ['reconstruction']
    assert left['code_classes'].startswith('5 training examples vote')


def test_a_machine_needs_two_classes_among_what_it_learns_from(
    folder, monkeypatch
):
    found = _made('dcgan', folder(a=9, b=9), 'conditional=false')
    monkeypatch.setattr(classes, '_TRAINING', 5)
    with pytest.raises(UserError, match='first 5 training examples'):
        evaluation.evaluate(*found, Settings(), ['linear_svm'])


def test_classes_of_images_that_are_all_alike_have_no_diversity():
    made, kinds = np.arange(8.0)[:, None], np.zeros(8, int)
    alike = np.ones([4, 1])
    assert _diversity(alike, made, np.zeros(4, int), kinds) is None
    assert _diversity(alike, made, np.arange(4), kinds) is None
    # Only the class whose examples differ counts.
    real = np.array([[0.0], [0.0], [1.0], [3.0]])
    own = np.mean(np.abs(made - made.T)[~np.eye(8, dtype=bool)])
    found = _diversity(real, made, np.array([1, 1, 0, 0]), kinds)
    assert found == pytest.approx(own / 2)


def test_figures_of_pictures_that_are_all_alike_are_numbers(folder):
    model, examples = _made('dcgan', folder(alike=True, a=60, b=60))
    own = Features(
        'own',
        lambda images: (
            tf.reshape(images, [-1, 64]),
            tf.one_hot(tf.zeros(len(images), tf.int32), 2),
        ),
    )
    found = evaluation.evaluate(
        model, examples, Settings(features=own), ['fidelity', 'memorisation']
    )
    assert 'class_diversity' not in found and 'coverage' in found
    assert all(math.isfinite(figure.value) for figure in found.values())


def test_a_figure_that_is_no_number_does_not_cost_the_others():
    figure = Result(math.inf, math.nan, details={'bits_per_dim': math.inf})
    assert json.loads(json.dumps(figure.as_dict(), allow_nan=False)) == {
        'mean': None,
        'standard_error': None,
        'bits_per_dim': None,
    }


def test_no_more_axes_or_components_than_examples_have(folder):
    spec = load(folder(_=12)).spec
    assert spec.split_sizes['train'] == 10
    PCA(spec, latent_size=9)
    with pytest.raises(UserError, match='latent_size is 10, and 10 training'):
        PCA(spec, latent_size=10)
    GMM(spec, num_components=10)
    with pytest.raises(UserError, match='number of training examples is'):
        GMM(spec, num_components=11)
    spec = load(folder('two', _=2)).spec
    with pytest.raises(UserError, match='0 principal axes: add'):
        PCA(spec, latent_size=1)


@pytest.mark.parametrize('model', ['pca', 'gmm'])
def test_what_is_fitted_to_pictures_that_are_all_alike_is_finite(
    model, folder, tmp_path
):
    from tfgen.training.run import train

    dataset = folder(alike=True, _=12)
    config, examples = tiny.load(model, None, f'dataset={dataset}')
    fitted = train(config, examples, tmp_path / 'run')
    for figure in evaluation.evaluate(fitted, examples).values():
        assert math.isfinite(figure.value)
    if model == 'pca':
        np.testing.assert_allclose(fitted.variances, 0.0, atol=1e-5)
        rows = fitted.components.numpy()
        np.testing.assert_allclose(rows @ rows.T, np.eye(3), atol=1e-5)


def _served(dataset, *extra):
    config, examples = tiny.load('autoencoder', None, dataset, *extra)
    return TrainedModel(config, 0, None, live=config.build()), examples


@pytest.mark.filterwarnings('error::RuntimeWarning')
@pytest.mark.parametrize('size', [1, 3])
def test_a_map_of_codes_that_are_few_or_alike_is_drawn(size, folder):
    for name, alike in (('one', False), ('alike', True)):
        count = 2 if name == 'one' else 30
        dataset = folder(name, alike, _=count)
        served = _served(f'dataset={dataset}', f'latent_size={size}')
        picture = latent_space.plane(*served, 'pca')
        lit = (picture[30:450].max(-1) > 200).nonzero()
        assert abs(np.mean(lit) - 232) < 10  # near the middle


def test_a_map_by_neighbours_needs_some(folder):
    served = _served(f'dataset={folder("three", _=30)}', 'latent_size=3')
    with pytest.raises(UserError, match="method='pca'"):
        latent_space.plane(*served, 'tsne')
    served = _served(f'dataset={folder("some", _=60)}', 'latent_size=3')
    assert latent_space.plane(*served, 'tsne').any()


def test_attributes_need_examples_of_both_classes(folder):
    served = _served(f'dataset={folder("one", a=20)}')
    with pytest.raises(UserError, match='need two classes'):
        latent_space.attributes(*served, None)
    dataset = folder('part', train__a=3, train__b=3, test__a=2)
    served = _served(f'dataset={dataset}')
    with pytest.raises(UserError, match=r'has label 1, only \[0\]'):
        latent_space.attributes(*served, None)


def test_one_code_has_no_range(folder):
    served = _served(f'dataset={folder(_=2)}')
    with pytest.raises(UserError, match='needs two test examples'):
        latent_space.Codes.of(*served)
