"""model.fit, model(x) and model.sample(8): Keras's habits."""

import sys

import keras
import numpy as np
import processes
import pytest
import tensorflow as tf
import tiny

import tfgen
from tfgen import data
from tfgen.errors import UserError
from tfgen.models import CVAE, GAN, GMM, PCA, Classifier, PixelRNN
from tfgen.noise import RowNoise
from tfgen.training.callbacks import named

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, [48, 8, 8, 1], dtype=np.uint8)
LABELS = np.arange(48) % 3
TEST = (IMAGES[:9], LABELS[:9])
DATA = data.from_examples(((IMAGES, LABELS), TEST))
SMALL = {
    'filters': (4,),
    'latent_size': 3,
    'likelihood': 'gaussian',
    'conditional': True,
}


def _model():
    keras.utils.set_random_seed(0)
    return CVAE(DATA.spec, **SMALL)


def _equal(model, other):
    for a, b in zip(model.variables, other.variables, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Returns the model of tfgen.train after 6 steps: two epochs."""
    run = tfgen.train(
        'cvae',
        DATA,
        workdir=tmp_path_factory.mktemp('fit') / 'run',
        steps=6,
        batch_size=16,
        schedule='constant',
        **SMALL,
    )
    return run.model()


def test_its_weights_are_those_of_train_with_callbacks_of_keras(
    trained, tmp_path
):
    model, told = _model(), []
    callbacks = [
        keras.callbacks.EarlyStopping('val_loss', patience=9),
        keras.callbacks.CSVLogger(str(tmp_path / 'log.csv')),
        keras.callbacks.TensorBoard(str(tmp_path / 'board')),
        keras.callbacks.ModelCheckpoint(str(tmp_path / '{epoch}.keras')),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: told.append((epoch, {*logs}))
        ),
    ]
    history = model.fit(
        IMAGES,
        LABELS,
        batch_size=16,
        epochs=2,
        validation_data=TEST,
        callbacks=callbacks,
        verbose=0,
    )
    _equal(model, trained)
    names = {'loss', 'distortion', 'rate'}
    names |= {f'val_{name}' for name in names}
    assert told == [(0, names), (1, names)]
    assert isinstance(history, keras.callbacks.History)
    assert history.history.keys() == names
    assert len((tmp_path / 'log.csv').read_text().splitlines()) == 3
    assert list((tmp_path / 'board').rglob('*tfevents*'))
    kept = keras.models.load_model(tmp_path / '2.keras')
    _equal(kept, model)


def test_a_second_fit_goes_on_with_the_optimizer(trained):
    model = _model()
    for _ in range(2):
        model.fit(IMAGES, LABELS, batch_size=16, verbose=0)
    _equal(model, trained)


def test_a_call_scales_bytes():
    spec = data.from_examples(IMAGES).spec
    model = GAN(spec, generator_units=(4,), discriminator_units=(4,))
    np.testing.assert_allclose(
        model(IMAGES[:3]), model(IMAGES[:3].astype(np.float32) / 255), atol=1e-6
    )


def test_a_call_for_every_step_changes_nothing(trained):
    seen = []
    step = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(batch)
    )
    model = _model()
    model.fit(
        IMAGES, LABELS, batch_size=16, epochs=2, callbacks=[step], verbose=0
    )
    assert seen == [0, 1, 2, 0, 1, 2]
    _equal(model, trained)


def test_early_stopping_restores_the_best_weights():
    class Worse(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs['score'] = float(epoch)

    model, kept = _model(), []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.append(model.get_weights())
    )
    stop = keras.callbacks.EarlyStopping(
        'score', patience=1, mode='min', restore_best_weights=True
    )
    history = model.fit(
        IMAGES,
        LABELS,
        batch_size=16,
        epochs=9,
        callbacks=[Worse(), keep, stop],
        verbose=0,
    )
    assert len(history.epoch) == 2
    for value, best in zip(model.get_weights(), kept[0], strict=True):
        np.testing.assert_array_equal(value, best)


REPLICAS = """
import sys
import keras, numpy as np
import tensorflow as tf
import tfgen
from tfgen import data
from tfgen.models import CVAE
from tfgen.training import strategies
strategy = strategies.make('mirrored')
sys.path.insert(0, {tests!r})
from test_fitting import DATA, IMAGES, LABELS, SMALL, TEST
with strategy.scope():
    keras.utils.set_random_seed(0)
    model = CVAE(DATA.spec, **SMALL)
calls = [
    keras.callbacks.EarlyStopping('val_loss', patience=9),
    keras.callbacks.CSVLogger({folder!r} + '/log.csv'),
    keras.callbacks.TensorBoard({folder!r} + '/board'),
    keras.callbacks.ModelCheckpoint({folder!r} + '/x.keras'),
    keras.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: print(e)),
]
model.fit(IMAGES, LABELS, batch_size=16, epochs=2, callbacks=calls,
          validation_data=TEST, verbose=0)
run = tfgen.train('cvae', DATA, workdir={folder!r} + '/run', steps=6,
    batch_size=16, schedule='constant', strategy='mirrored', **SMALL)
np.savez({folder!r} + '/fit.npz', *[v.numpy() for v in model.variables])
np.savez({folder!r} + '/run.npz', *[v.numpy() for v in run.model().variables])
"""


def test_two_replicas_follow_one_and_train(trained, tmp_path):
    code = REPLICAS.format(folder=str(tmp_path), tests=str(tiny.ROOT / 'tests'))
    processes.run([sys.executable, '-c', code])
    fit, run = (np.load(tmp_path / f'{name}.npz') for name in ('fit', 'run'))
    for key, one in zip(fit.files, trained.variables, strict=True):
        np.testing.assert_array_equal(fit[key], run[key])
        np.testing.assert_allclose(fit[key], one, atol=1e-5)


def test_an_optimizer_is_that_of_compile():
    models = [_model(), _model()]
    models[1].compile('sgd')
    for model in models:
        model.fit(IMAGES, LABELS, batch_size=16, verbose=0)
    assert type(models[1].optimizer) is keras.optimizers.SGD
    assert np.any(models[0].variables[0] != models[1].variables[0])
    with pytest.raises(UserError, match='has its own loss'):
        models[0].compile('adam', loss='mse')


@pytest.mark.parametrize('verbose', [1, 2])
def test_progress_is_shown(verbose, capsys):
    _model().fit(IMAGES, LABELS, batch_size=16, verbose=verbose)
    assert 'loss' in capsys.readouterr().out


def test_every_family_fits():
    spec = DATA.spec
    gan = GAN(spec, generator_units=(4,), discriminator_units=(4,))
    logs = gan.fit(IMAGES, batch_size=16, verbose=0).history
    assert {'generator_loss', 'discriminator/real'} <= {*logs}
    for model in (GMM(spec, 2, 'diagonal', 1e-3), PCA(spec)):
        model.fit(IMAGES, batch_size=48, verbose=0)
        assert all(np.all(np.isfinite(v)) for v in model.variables)
    classifier = Classifier(spec, filters=(4,), feature_size=6)
    assert classifier.fit(IMAGES, LABELS, verbose=0).history['loss'][0] > 0


def test_a_call_is_natural_for_the_family():
    spec, images = DATA.spec, IMAGES[:2] / np.float32(255)
    model = _model()
    expected = model.reconstruct(images, LABELS[:2])
    np.testing.assert_array_equal(model(images, LABELS[:2]), expected)
    assert Classifier(spec, filters=(4,))(images).shape == (2, 3)
    exact = PixelRNN(spec, units=4, num_layers=1, kernel_size=3)
    np.testing.assert_array_equal(exact(images), exact.log_prob(images))
    gan = GAN(spec, generator_units=(4,), discriminator_units=(4,))
    np.testing.assert_array_equal(gan(images), gan.score(images))
    with pytest.raises(NotImplementedError, match='cannot be called'):
        tiny.build('inpainting_vae')(images)


def test_sample_takes_a_count_and_a_seed():
    model = _model()
    drawn = model.sample(4, seed=7)
    noise = RowNoise(7 + tf.range(4, dtype=tf.int64))
    expected = model.sample(noise, tf.constant([0, 1, 2, 0]))
    np.testing.assert_array_equal(drawn, expected)
    one = model.sample(1, 2, seed=9)
    np.testing.assert_allclose(one[0], drawn[2], atol=1e-6)


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        ((IMAGES[:, :4], LABELS), 'the model takes images of 8x8'),
        ((IMAGES, None), 'pass labels as y'),
        ((IMAGES * 1.0, LABELS), 'pass images / 255'),
    ],
)
def test_wrong_examples_are_one_line(given, said):
    with pytest.raises(UserError, match=said):
        _model().fit(*given, verbose=0)


def test_a_model_of_whole_epochs_needs_the_data_of_its_spec():
    with pytest.raises(UserError, match='x has 20 where its spec has 48'):
        GMM(DATA.spec, 2, 'diagonal', 1e-3).fit(IMAGES[:20], verbose=0)


def test_validation_moves_no_statistics():
    gan = GAN(DATA.spec, generator_units=(4,), discriminator_units=(4,))
    plain = GAN(DATA.spec, generator_units=(4,), discriminator_units=(4,))
    plain.set_weights(gan.get_weights())
    gan.fit(IMAGES, batch_size=16, validation_data=IMAGES[:9], verbose=0)
    plain.fit(IMAGES, batch_size=16, verbose=0)
    _equal(gan, plain)


def test_a_stream_needs_its_number_of_steps():
    pairs = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).repeat()
    found = data.from_examples(pairs)
    with pytest.raises(UserError, match='pass steps_per_epoch'):
        _model().fit(found, verbose=0)
    history = _model().fit(found, steps_per_epoch=2, verbose=0)
    assert history.history['loss'][0] > 0


def test_losses_have_the_names_of_their_updates():
    one = {'model/a': [1.0, 2.0], 'model/b': [3.0, 4.0]}
    assert named(one, ['model'])['loss'].tolist() == [4.0, 6.0]
    two = {'d/real': [1.0], 'g/fool': [2.0]}
    assert named(two, ['d', 'g']).keys() == {
        'd_loss',
        'd/real',
        'g_loss',
        'g/fool',
    }
