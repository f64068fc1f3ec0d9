"""Metrics of samples: modes, fidelity, copies, classes, features."""

import dataclasses
import json
import types

import numpy as np
import processes
import pytest
import tensorflow as tf
import tiny

from tfgen import evaluation, presets
from tfgen.data import ImageSpec, PointSpec, load
from tfgen.data.embedded import points
from tfgen.errors import UserError
from tfgen.evaluation import classifiers, features
from tfgen.evaluation.base import Settings
from tfgen.evaluation.samples import draws, laplacian_energy, modes_of
from tfgen.export import saved_model
from tfgen.models.classifier import Classifier
from tfgen.models.contracts.model import Model
from tfgen.noise import IndexNoise
from tfgen.training import run, workdir

RING = points.TOY_DISTRIBUTIONS['ring']


def test_data_itself_covers_all_modes_as_well_as_can_be():
    drawn, _ = RING.draw(IndexNoise(tf.range(2500), 'test/'))
    found = modes_of(drawn.numpy(), RING)
    assert found['modes'] == 8
    assert found['quality'] == pytest.approx(1 - np.exp(-4.5), abs=0.01)
    assert found['reverse_kl'] < 0.01


def test_modes_are_counted_as_the_protocol_says():
    # 98 samples in one mode, one within 3 deviations of another mode, and one
    # near no mode.
    place, other = RING.places[2], RING.places[5]
    samples = np.repeat(place[None], 98, axis=0)
    far = other + [0.0, 4 * RING.deviation]
    samples = np.concatenate([samples, [other + [0.029, 0]], [far]])
    found = modes_of(samples, RING)
    assert found['modes'] == 2 and found['quality'] == 0.99
    p = np.array([0.98, 0.02])  # the sample near no mode counts, too
    assert found['reverse_kl'] == pytest.approx((p * np.log(8 * p)).sum())


class _Replay(Model):
    """A model whose samples are the images of a set, in turn."""

    spec_types = (ImageSpec,)

    def __init__(self, spec, first: int = 0):
        super().__init__(spec)
        self.first = first
        self.images = None

    def updates(self):
        return ()

    def sample(self, noise, label=None):
        return tf.gather(self.images, noise.seeds % len(self.images))


def _replay(examples, split, count, noise=0.0):
    model = _Replay(examples.spec)
    (batch,) = examples.evaluation(split, count, count)
    drawn = np.random.default_rng(0).normal(size=batch['image'].shape)
    model.images = tf.clip_by_value(batch['image'] + noise * drawn, 0.0, 1.0)
    return model


@pytest.fixture(scope='module')
def digits(data_dir):
    return load('digits', data_dir)


@pytest.fixture(scope='module')
def network(data_dir, tmp_path_factory):
    """Returns the features of a classifier, trained once, and its cache."""
    config, _ = tiny.load('dcgan', data_dir)
    cache = tmp_path_factory.mktemp('cache')
    return classifiers.features(config, cache, data_dir), config, cache


def test_a_classifier_is_trained_once_and_says_how_good_it_is(
    network, data_dir, capsys
):
    found, config, cache = network
    assert found.facts['classifier_accuracy'] > 0.9
    capsys.readouterr()
    again = classifiers.features(config, cache, data_dir)
    assert capsys.readouterr().out == ''
    assert again.name == found.name and again.facts == found.facts
    # Another image size has another classifier.
    other, _ = tiny.load('dcgan', data_dir, 'image_size=4,4')
    assert not (cache / _folder(other, data_dir)).exists()


def _folder(config, data_dir):
    own, _ = classifiers._config(config, data_dir)
    return f'{own.name}-{classifiers._digest(own)}'


def test_data_is_nearer_to_data_than_noisy_or_lost_data(digits, network):
    settings = Settings(features=network[0], num_draws=1)

    def figures(model):
        found = evaluation.evaluate(model, digits, settings, ['fidelity'])
        return {k: f.value for k, f in found.items()}

    training = figures(_replay(digits, 'train', 297))
    noisy = figures(_replay(digits, 'train', 297, noise=0.3))
    lost = _replay(digits, 'train', 297)
    lost.images = tf.repeat(lost.images[:10], 30, axis=0)
    lost = figures(lost)
    for worse in (noisy, lost):
        for name in ('frechet_distance', 'kernel_distance'):
            assert worse[name] > 2 * abs(training[name])
    assert noisy['precision'] < training['precision']
    for name in ('recall', 'coverage'):
        assert lost[name] < 0.7 * training[name]
    assert 8 < training['inception_score'] <= 10
    assert training['class_diversity'] == pytest.approx(1, abs=0.1)
    assert lost['class_diversity'] < 0.7


def test_too_few_images_have_no_neighbours(digits, network):
    model = _replay(digits, 'train', 50)
    for few, remedy in (
        ({'limit': 5}, 'limit=10 or more'),
        ({'num_generated': 3}, 'num_generated=10 or more'),
    ):
        with pytest.raises(UserError, match=remedy):
            settings = Settings(features=network[0], **few)
            evaluation.evaluate(model, digits, settings, ['fidelity'])


def test_copies_of_training_images_are_seen(digits):
    settings = Settings(num_draws=1, num_generated=200)

    def share(model):
        found = evaluation.evaluate(model, digits, settings, ['memorisation'])
        return found['memorised'].value

    assert share(_replay(digits, 'train', 200)) == 1.0
    assert share(_replay(digits, 'test', 200)) < 0.05


def test_a_figure_is_a_mean_over_sets_of_other_seeds(digits):
    model = _replay(digits, 'train', 1000)
    settings = Settings(num_draws=3, num_generated=50, seed=2)
    drawn = [images for images, _ in draws(model, settings, 9)]
    assert [len(images) for images in drawn] == [50, 50, 50]
    expected = model.images[300:450]  # of seeds 300 .. 449
    np.testing.assert_array_equal(np.concatenate(drawn), expected)


def test_stacked_digits_are_counted_channel_by_channel(network, data_dir):
    stacks = load('stacked_digits', data_dir)
    model = _replay(stacks, 'train', 300)
    (batch,) = stacks.evaluation('train', 300, 300)
    settings = Settings(features=network[0], num_draws=1, num_generated=300)
    found = evaluation.evaluate(model, stacks, settings)
    truth = len(np.unique(batch['label']))
    assert found['modes'].value == pytest.approx(truth, rel=0.02)
    assert found['reverse_kl'].value == pytest.approx(
        found['sampling_kl'].value, rel=0.1
    )
    assert found['modes'].details['of'] == 1000


def test_any_saved_model_gives_features(network, digits, tmp_path, data_dir):
    # An exported classifier of tfgen.
    config, examples = tiny.load('classifier', data_dir)
    model = config.build()
    saved_model.export(model, config, 0, examples, tmp_path / 'own')
    own = features.of_saved_model(tmp_path / 'own')
    (batch,) = digits.evaluation('test', 7, 7)
    images = batch['image'].numpy()
    found, classes = own.of(images)
    np.testing.assert_allclose(found, model.features(images), rtol=1e-5)
    assert classes.shape == (7, 10)

    # A foreign model, which takes larger images in colour.
    class Stranger(tf.Module):
        @tf.function(
            input_signature=[tf.TensorSpec([None, 16, 16, 3], name='pixels')]
        )
        def call(self, pixels):
            return {'pool': tf.reduce_mean(pixels, axis=1)}

    stranger = Stranger()
    tf.saved_model.save(
        stranger, str(tmp_path / 'other'), signatures=stranger.call
    )
    other = features.of_saved_model(tmp_path / 'other')
    found, classes = other.of(images)
    assert found.shape == (7, 48) and classes is None
    settings = Settings(features=other, num_draws=1)
    figures = evaluation.evaluate(
        _replay(digits, 'train', 100), digits, settings, ['fidelity']
    )
    assert 'inception_score' not in figures and 'recall' in figures
    # A model that takes no images, and one without the classes of digits.
    flat = tf.Module()
    flat.call = tf.function(
        lambda x: {'pool': x},
        input_signature=[tf.TensorSpec([None, 64], name='x')],
    )
    tf.saved_model.save(flat, str(tmp_path / 'flat'), signatures=flat.call)
    stacks = load('stacked_digits', data_dir)
    with pytest.raises(UserError, match='do not tell 10 classes apart'):
        evaluation.evaluate(_replay(stacks, 'train', 10), stacks, settings)
    for path in (tmp_path / 'none', tmp_path, tmp_path / 'flat'):
        with pytest.raises(UserError, match='cannot be used'):
            features.of_saved_model(path)


def test_features_are_asked_for_where_there_are_none(
    digits, data_dir, monkeypatch
):
    with pytest.raises(UserError, match='pass Settings'):
        evaluation.evaluate(
            _replay(digits, 'test', 9), digits, metrics=['fidelity']
        )
    config, _ = tiny.load('dcgan', data_dir)
    spec = dataclasses.replace(config.spec, num_classes=0, class_names=())
    unlabelled = types.SimpleNamespace(spec=spec)
    with monkeypatch.context() as patch:
        patch.setattr(classifiers, '_config', lambda *_: (config, unlabelled))
        with pytest.raises(UserError, match='features=PATH'):
            classifiers.features(config, None)


def test_a_linear_machine_reads_the_discriminator(data_dir):
    for name in ('bigan', 'vae_gan'):
        config, examples = tiny.load(name, data_dir, 'conditional=false')
        found = evaluation.evaluate(
            config.build(), examples, Settings(), ['linear_svm']
        )
        assert 0.3 < found['linear_svm_accuracy'].value <= 1


def test_accuracy_counts_what_is_told_right(data_dir):
    config, examples = tiny.load('classifier', data_dir)
    model = config.build()
    assert isinstance(model, Classifier)
    (batch,) = examples.evaluation('test', 1000)
    right = model.class_logits(batch['image']).numpy().argmax(1)
    right = right == batch['label'].numpy()
    figure = evaluation.evaluate(model, examples)['accuracy']
    assert figure.value == pytest.approx(right.mean())
    assert figure.details['errors'] == int((~right).sum())


def test_measures_apply_to_every_model_that_draws_such_examples(data_dir):
    for name in ('cvae', 'pixelrnn', 'dcgan', 'inpainting_gan'):
        config, examples = tiny.load(name, data_dir)
        known = evaluation.applicable(config.build(), examples)
        assert {'fidelity', 'memorisation'} <= {*known}
    config, examples = tiny.load('gaussian', data_dir, 'dataset=grid')
    assert isinstance(config.spec, PointSpec)
    found = evaluation.evaluate(config.build(), examples, Settings(num_draws=2))
    assert found['modes'].details['num_draws'] == 2
    assert 'negative_log_likelihood' in found


def test_evaluate_takes_features_and_says_so(data_dir, tmp_path):
    directory = tmp_path / 'run'
    processes.run(
        tiny.train_command('ebgan', directory, data_dir, '--set=steps=2')
    )
    command = tiny.train_command('ebgan', directory, data_dir)
    command = [command[0], command[1].replace('train.py', 'evaluate.py')]
    command += [f'--workdir={directory}', f'--data_dir={data_dir}']
    command += [f'--cache_dir={tmp_path / "cache"}', '--num_draws=1']
    out = processes.run(command).stdout
    assert 'training classifier_digits on digits' in out
    figure = json.loads((directory / 'metrics.json').read_text())
    figure = figure['figures']['frechet_distance']
    assert figure['features'] == 'classifier_digits on digits'
    assert figure['classifier_accuracy'] > 0.9


def test_a_classifier_of_ones_own_data_stops_when_it_learns_no_more(tmp_path):
    images = np.zeros([60, 8, 8, 1], np.uint8)
    images[::2] = 255
    named = presets.PRESETS['classifier_digits']
    preset = dataclasses.replace(named, dataset='arrays', steps=300)
    config, examples = workdir.Config.of(
        'classifier_digits', preset, data=images, labels=np.arange(60) % 2
    )
    stop = classifiers.early_stopping(config.preset, examples.spec)
    run.train(config, examples, tmp_path / 'run', callbacks=stop)
    assert 0 < stop[0].stopped_epoch < 250
    # Published distances are those of classifiers that made all their steps.
    assert not classifiers.early_stopping(named, examples.spec)


def test_laplacian_energy_has_its_closed_forms():
    energy = laplacian_energy
    plain, ramp = np.full([1, 5, 5, 1], 0.4), np.zeros([1, 5, 5, 1])
    ramp[0, :, :, 0] = np.arange(5)
    assert energy(plain) == 0 and energy(ramp) == pytest.approx(0)
    dot = np.zeros([1, 5, 5, 3])
    dot[0, 2, 2] = 1  # 4 at the dot and 1 at each neighbour, three channels
    assert energy(dot) == 3 * (16 + 4)
    checks = np.indices([6, 6]).sum(0) % 2
    assert energy(checks[None, :, :, None]) == 16 * 16


def test_sharpness_is_1_for_data_and_less_for_their_means(digits):
    settings = Settings(num_draws=1)
    same = _replay(digits, 'test', 297)
    found = evaluation.evaluate(same, digits, settings, ['sharpness'])
    assert found['sharpness'].value == pytest.approx(1.0, abs=1e-5)
    blurred = _replay(digits, 'test', 297)
    images = blurred.images
    blurred.images = tf.nn.avg_pool2d(images, 3, 1, 'SAME')
    noisy = _replay(digits, 'test', 297, noise=0.3)
    values = [
        evaluation.evaluate(m, digits, settings, ['sharpness'])['sharpness']
        for m in (blurred, noisy)
    ]
    assert values[0].value < 0.3 < 1.1 < values[1].value
    plain = _replay(digits, 'test', 297)
    flat = types.SimpleNamespace(
        spec=digits.spec,
        truth=None,
        count=digits.count,
        evaluation=lambda *_: [{'image': tf.zeros([20, 8, 8, 1])}],
    )
    with pytest.raises(UserError, match='all test images are plain'):
        evaluation.METRICS['sharpness'].compute(plain, flat, settings)
