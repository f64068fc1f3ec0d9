"""tfgen.train and tfgen.load: the same runs as on the command line."""

import json
import shutil
import signal
import sys

import keras
import numpy as np
import processes
import pytest
import tiny
from PIL import Image

import tfgen
from tfgen import data, interface, presets
from tfgen.data import ImageSpec, PointSpec
from tfgen.data.given import random_access
from tfgen.errors import UserError, in_python
from tfgen.models import CVAE
from tfgen.training import checkpoints, workdir

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, [60, 8, 8, 1], dtype=np.uint8)
LABELS = np.arange(60) % 3
DATA = data.from_examples(IMAGES, LABELS)
SMALL = {'filters': (4,), 'latent_size': 3, 'batch_size': 16}


def _train(path, steps=4, **more):
    settings = SMALL | {'schedule': 'constant', 'log_every': 1} | more
    return tfgen.train(
        'cvae', IMAGES, LABELS, workdir=path, steps=steps, **settings
    )


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return _train(tmp_path_factory.mktemp('python') / 'run')


def test_about_ten_names_are_offered():
    assert {'train', 'load', 'data', 'models'} <= {*dir(tfgen)}
    assert len(dir(tfgen)) <= 12
    for name in dir(tfgen):
        assert getattr(tfgen, name)
    with pytest.raises(AttributeError, match="no attribute 'fit'"):
        _ = tfgen.fit


def test_a_run_does_what_an_export_does(run, tmp_path):
    drawn = run.sample(5, seed=3)
    assert drawn.shape == (5, 8, 8, 1)
    # A row follows from its seed and label alone.
    one = run.sample(1, seed=5, labels=2)
    np.testing.assert_allclose(one[0], drawn[2], atol=1e-6)
    given = IMAGES[:4]
    assert run.reconstruct(given, LABELS[:4]).shape == given.shape
    codes = run.encode(given / 255, LABELS[:4])
    assert codes.shape == (4, 3)
    assert run.decode(codes, LABELS[:4]).shape == given.shape
    assert run.elbo(given, LABELS[:4]).shape == (4,)
    export = run.export(tmp_path / 'export')
    np.testing.assert_allclose(export.sample(5, seed=3), drawn, atol=1e-5)
    again = tfgen.load(tmp_path / 'export')
    assert again.step == 4 and 'export' in repr(again)
    with pytest.raises(UserError, match='holds no curves'):
        _ = again.history
    same = tfgen.load(run.folder)
    np.testing.assert_array_equal(same.sample(5, seed=3), drawn)


def test_many_rows_are_called_in_parts(run):
    many = run.sample(600, seed=0)
    np.testing.assert_allclose(many[:5], run.sample(5, seed=0), atol=1e-6)


def test_values_of_exact_models_and_completions_are_methods(tmp_path):
    binary = (IMAGES > 100)[:30]
    model = tfgen.train(
        'pixelrnn',
        binary,
        workdir=tmp_path / 'run',
        steps=2,
        units=4,
        kernel_size=3,
        batch_size=8,
    )
    assert np.all(model.log_prob(binary[:3]) < 0)
    mask = np.zeros([8, 8])
    mask[:4] = 1
    done = model.complete(binary[:3], mask, seed=4)
    np.testing.assert_array_equal(done[:, :4], binary[:3, :4])
    np.testing.assert_array_equal(
        model.complete(binary[:3], np.zeros([8, 8]), seed=4),
        model.sample(3, seed=4),
    )
    with pytest.raises(UserError, match="serves no 'encode'"):
        model.encode(binary[:3])


def test_classes_have_probabilities(data_dir):
    config, _ = tiny.load('classifier', data_dir)
    model = tfgen.export.trained.TrainedModel(
        config, 0, None, live=config.build()
    )
    found = model.classify(np.zeros([2, 8, 8], np.uint8))
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    ('wrong', 'said'),
    [
        (lambda r: r.sample(2, labels=3), 'use 0 to 2'),
        (lambda r: r.reconstruct(IMAGES[:2]), 'pass labels'),
        (lambda r: r.evaluate(draws=3), "takes no 'draws'"),
        (lambda r: r.show('tail'), "unknown kind 'tail'"),
        (lambda r: r.show('samples', size=3), "no option 'size'"),
        (lambda r: r.data(IMAGES[:, :4]), 'pass such data'),
        (lambda r: r['decode'](z=[[1]]), "also needs 'label'"),
    ],
)
def test_a_wrong_call_is_one_line(run, wrong, said):
    with pytest.raises(UserError, match=said):
        wrong(run)


def test_labels_are_for_conditional_models(tmp_path):
    model = tfgen.train(
        'gaussian_two_moons', workdir=tmp_path / 'run', steps=1, batch_size=50
    )
    with pytest.raises(UserError, match='is not conditional'):
        model.sample(3, labels=1)


def test_history_and_results_are_python_objects(run):
    history = run.history
    assert history['step'].tolist() == [1, 2, 3, 4]
    assert history['model/rate'].shape == (4,)
    assert 'to step 4' in repr(history)
    found = run.evaluate(num_samples=3, limit=5)
    figure = found['negative_elbo']
    assert figure.unit == 'nats' and figure.error > 0
    assert str(figure) in repr(found)
    other = run.evaluate(IMAGES[:9], LABELS[:9], metrics=['bounds'])
    assert other['negative_elbo'].value > 0


def test_a_repr_fits_a_screen_and_says_what_is_next(run):
    lines = repr(run).splitlines()
    assert len(lines) < 10 and 'sample' in lines[-1]
    for kind in ('samples', 'styles', 'history'):
        assert kind in repr(run)


def test_pictures_show_themselves_and_are_those_of_the_command(run, tmp_path):
    picture = run.show('interpolation', labels=[1])
    assert picture._repr_png_().startswith(b'\x89PNG')
    assert picture._repr_html_() is None and 'moving' in repr(picture)
    files = picture.save(tmp_path / 'ours.png')
    assert [f.suffix for f in files] == ['.png', '.gif']
    command = [sys.executable, tiny.script('sample'), '--labels=1']
    command += [f'--workdir={run.folder}', '--kind=interpolation']
    processes.run([*command, f'--output={tmp_path / "theirs.png"}'])
    pictures = [Image.open(tmp_path / f'{n}.png') for n in ('ours', 'theirs')]
    np.testing.assert_array_equal(*map(np.array, pictures))


def test_sounds_play():
    sounds = tfgen.load('wavenet_tones').show('samples', count=2)
    assert sounds._repr_html_().count('<audio') == 2


# One run, two doors.


def test_a_run_of_python_goes_on_on_the_command_line(tmp_path):
    whole = _train(tmp_path / 'whole', steps=6)
    _train(tmp_path / 'parts', steps=4)
    command = [sys.executable, tiny.script('train'), '--set=steps=6']
    out = processes.run([*command, f'--workdir={tmp_path / "parts"}']).stdout
    assert 'continuing at step 4' in out
    tiny.assert_equal_weights(
        tiny.weights(whole.folder, 6), tiny.weights(tmp_path / 'parts', 6)
    )
    for name, *more in (
        ('evaluate', '--metrics=bounds', '--num_samples=2'),
        ('sample', '--kind=reconstruction'),
        ('export', f'--model_dir={tmp_path / "model"}'),
    ):
        command = [sys.executable, tiny.script(name), *more]
        processes.run([*command, f'--workdir={tmp_path / "parts"}'])
    # It needs no preset, and its arrays move with it.
    stored = json.loads((tmp_path / 'parts' / 'config.json').read_text())
    assert stored['model'] == 'CVAE'
    shutil.move(tmp_path / 'parts', tmp_path / 'moved')
    moved = tfgen.load(tmp_path / 'moved')
    assert moved.evaluate(metrics=['bounds'], num_samples=2)


def test_a_run_keeps_its_seed_on_the_command_line(tmp_path):
    whole = _train(tmp_path / 'whole', steps=3, seed=7)
    _train(tmp_path / 'parts', steps=2, seed=7)
    command = [sys.executable, tiny.script('train'), '--set=steps=3']
    processes.run([*command, f'--workdir={tmp_path / "parts"}'])
    tiny.assert_equal_weights(
        tiny.weights(whole.folder, 3), tiny.weights(tmp_path / 'parts', 3)
    )


def test_a_run_of_the_command_line_goes_on_in_python(tmp_path, data_dir):
    config, _ = tiny.load('cvae', data_dir)
    path = tmp_path / 'run'
    processes.run(tiny.train_command('cvae', path, data_dir, '--jit=off'))
    fields = {
        name: value
        for name, value in vars(config.preset).items()
        if value != getattr(presets.PRESETS['cvae_digits'], name)
    }
    finished = tfgen.train(
        'cvae_digits', workdir=path, data_dir=data_dir, jit='off', **fields
    )
    assert finished.step == 30


def test_a_killed_training_of_own_networks_ends_as_an_undisturbed_one(tmp_path):
    code = """
import sys
import numpy as np
import tfgen
from keras import Sequential, layers
from tfgen.layers.own import Dropout
images = np.arange(60 * 192).reshape(60, 8, 8, 3).astype("uint8")
generator = Sequential([
    layers.Dense(64), layers.BatchNormalization(), layers.Reshape([4, 4, 4]),
    layers.Conv2DTranspose(3, 4, 2, "same")])
discriminator = Sequential([
    layers.Conv2D(4, 4, 2, "same"), Dropout(0.2), layers.Flatten(),
    layers.Dense(1)])
tfgen.train(
    "gan", images, workdir=sys.argv[1], steps=12, batch_size=8,
    generator=generator, discriminator=discriminator, optimizer="adamw",
    checkpoint_every=4, log_every=1)
"""
    command = [sys.executable, '-c', code]
    path = tmp_path / 'killed'
    process = processes.start([*command, path], stdout=processes.PIPE)
    for line in process.stdout:
        if line.startswith('step 6/'):
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    newest = checkpoints.newest_first(path / 'checkpoints')[0].name
    assert newest != 'checkpoint-12'
    out = processes.run([*command, path]).stdout
    assert f'continuing at step {newest[11:]}' in out
    processes.run([*command, tmp_path / 'whole'])
    tiny.assert_equal_weights(
        tiny.weights(path, 12), tiny.weights(tmp_path / 'whole', 12)
    )


def test_data_that_are_not_kept_are_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(interface, '_KEPT', 10)
    model = _train(tmp_path / 'run', steps=1)
    assert 'not kept in the workdir' in capsys.readouterr().out
    with pytest.raises(UserError, match='pass them again in Python'):
        model.evaluate()
    assert model.evaluate(IMAGES, LABELS, metrics=['bounds'], num_samples=2)
    with pytest.raises(UserError, match='does not keep the data'):
        tfgen.train('cvae', workdir=tmp_path / 'run', steps=2, **SMALL)
    assert _train(tmp_path / 'run', steps=2).step == 2


def test_a_source_that_fails_ends_the_run_with_its_reason(tmp_path):
    class Failing:
        def __len__(self):
            return 200

        def __getitem__(self, index):
            return IMAGES[0] if index % 7 else IMAGES[0, :5]

    with pytest.MonkeyPatch.context() as patch:
        rows = [1, 2, 3]
        patch.setattr(random_access, 'sample_rows', lambda n: rows)
        with pytest.raises(UserError, match='one shape'):
            tfgen.train(
                'vae',
                {'train': Failing(), 'test': Failing()},
                workdir=tmp_path / 'run',
                steps=4,
            )


def test_other_examples_do_not_resume_a_run(tmp_path):
    _train(tmp_path / 'run', steps=1)
    with pytest.raises(UserError, match='in another order'):
        tfgen.train(
            'cvae',
            IMAGES[::-1],
            LABELS[::-1],
            workdir=tmp_path / 'run',
            steps=2,
            schedule='constant',
            log_every=1,
            **SMALL,
        )


def test_a_refused_call_leaves_the_folder_to_a_right_one(tmp_path):
    with pytest.raises(UserError, match='holds neither a trained run'):
        _train(tmp_path / 'run', init_from=str(tmp_path))
    assert not (tmp_path / 'run').exists()


def test_labels_of_one_class_alone_keep_their_numbers(run, tmp_path):
    names = np.array(['x', 'a', 'c'])[LABELS]
    known = tfgen.train(
        'cvae', IMAGES, names, workdir=tmp_path / 'run', steps=1, **SMALL
    )
    assert known.spec.class_names == ('a', 'c', 'x')
    some = names == 'x'
    found = known.data(IMAGES[some], names[some])
    assert found.count('test') == some.sum()
    (batch,) = found.evaluation('test', 99)
    assert set(batch['label'].numpy()) == {2}


# Generic presets.

SPECS = {
    8: ImageSpec(height=8, width=8, split_sizes={'train': 1000, 'test': 9}),
    28: ImageSpec(
        height=28, width=28, levels=2, num_classes=10,
        split_sizes={'train': 60_000, 'test': 9},
    ),
    64: ImageSpec(
        height=64, width=80, channels=3, split_sizes={'train': 10**6, 'test': 9}
    ),
    'points': PointSpec(size=3, split_sizes={'train': 500, 'test': 9}),
}  # fmt: skip


@pytest.mark.parametrize(
    ('size', 'fields'),
    [
        (8, {'filters': (32,), 'latent_size': 8, 'likelihood': 'gaussian',
             'steps': 2000, 'conditional': False}),
        (28, {'filters': (32, 64), 'latent_size': 16, 'steps': 28_125,
              'likelihood': 'bernoulli', 'conditional': True}),
        (64, {'filters': (32, 64, 128, 256), 'latent_size': 24,
              'steps': 50_000}),
        ('points', {'units': (128, 128), 'latent_size': 3}),
    ],
)  # fmt: skip
def test_sizes_follow_from_the_data(size, fields):
    preset = presets.with_sizes('cvae', presets.get('cvae'), SPECS[size])
    assert {name: getattr(preset, name) for name in fields} == fields


@pytest.mark.parametrize('name', ['pca', 'gmm'])
def test_statistics_of_all_examples_need_their_number(name):
    spec = ImageSpec(height=8, width=8, split_sizes={'test': 5})
    with pytest.raises(UserError, match='the data set is streamed'):
        presets.with_sizes(name, presets.get(name), spec)


@pytest.mark.parametrize('name', presets.GENERIC)
def test_a_generic_preset_suits_its_data(name):
    generic = presets.GENERIC[name]
    spec = tiny.SPECS[generic.preset.model.spec_types[0]]
    sizes = {'train': 50, 'test': 5}
    for field in ('height', 'width'):
        if hasattr(spec, field):
            sizes = sizes | {field: 8}
    splits = {k: sizes[k] for k in ('train', 'test')}
    changes = {k: v for k, v in sizes.items() if k in ('height', 'width')}
    spec = type(spec)(**vars(spec) | changes | {'split_sizes': splits})
    preset = presets.with_sizes(name, generic.preset, spec)
    assert preset.build(spec).num_parameters() >= 0
    chosen = presets.with_sizes(name, generic.preset, spec, ['steps'])
    assert chosen.steps == generic.preset.steps


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        ({'model': 'cvea'}, 'did you mean cvae'),
        ({'latent': 3}, 'did you mean latent_size'),
        ({'optimizer': 'adamm'}, 'did you mean adam'),
        ({'latent_size': 0}, 'use 1 or more'),
        ({'precision': 'half'}, 'unknown precision'),
        ({'data': 'digits'}, 'labels of its own'),
        ({'data': DATA}, 'leave labels out'),
        ({'labels': None, 'conditional': True}, 'use conditional=False'),
    ],
)
def test_a_wrong_argument_is_one_line(arguments, said, tmp_path):
    given = {'model': 'cvae', 'data': IMAGES, 'labels': LABELS} | arguments
    with pytest.raises(UserError, match=said) as error:
        tfgen.train(workdir=tmp_path / 'run', **given)
    assert '\n' not in str(error.value) and '--' not in str(error.value)
    assert not (tmp_path / 'run').exists()


def test_messages_name_arguments_in_python():
    for flags, arguments in (
        ('use --set units=64,64', 'use units=(64, 64)'),
        ('use --set conditional=false', 'use conditional=False'),
        ('evaluate --split=train, or', "evaluate split='train', or"),
        ('name another --workdir', 'name another workdir'),
        ('pass --features=PATH', 'pass features=PATH'),
        ('read by tfgen train', 'read by tfgen.train'),
    ):
        assert in_python(flags) == arguments


# Your own classes.


def test_a_class_of_ones_own_is_stored_by_its_module(tmp_path):
    model = presets.classes.name_of(Mine)
    assert presets.classes.find(model) is Mine
    for name in ('CVAX', 'nowhere:Mine', 'json:loads', 'json:JSONDecoder'):
        with pytest.raises(UserError, match='no such class here'):
            presets.classes.find(name)
    fields = presets.settings.of(Mine)(latent_size=2)
    assert presets.restore(model, vars(fields)) == fields


class Mine(CVAE):
    """A model of a user's."""


# Optimizers and callbacks.


@pytest.mark.parametrize(
    'optimizer',
    [
        pytest.param('adamw', marks=pytest.mark.wide),
        keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 6)),
        pytest.param(
            {'model': keras.optimizers.RMSprop(1e-3)}, marks=pytest.mark.wide
        ),
    ],
    ids=['name', 'schedule', 'update'],
)
def test_any_optimizer_resumes_bit_for_bit(optimizer, tmp_path):
    whole = _train(tmp_path / 'whole', 6, optimizer=optimizer)
    _train(tmp_path / 'parts', 3, optimizer=optimizer)
    parts = _train(tmp_path / 'parts', 6, optimizer=optimizer)
    tiny.assert_equal_weights(
        tiny.weights(whole.folder, 6), tiny.weights(parts.folder, 6)
    )
    adam = _train(tmp_path / 'adam', 6)
    assert any(
        np.any(a.numpy() != b.numpy())
        for a, b in zip(
            adam.model().variables, whole.model().variables, strict=True
        )
    )


def test_unrolling_is_for_adam(tmp_path):
    with pytest.raises(UserError, match='look ahead by steps of Adam'):
        tfgen.train(
            'gan_ring',
            workdir=tmp_path / 'run',
            unrolled_steps=1,
            optimizer='sgd',
        )


def test_a_callback_may_end_a_run_which_then_goes_on(tmp_path, capsys):
    class Enough(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            assert logs['loss'] == pytest.approx(
                logs['distortion'] + logs['rate']
            )
            self.model.stop_training = batch == 2

    stopped = _train(tmp_path / 'parts', 20, callbacks=[Enough()])
    assert stopped.step == 3
    assert 'step 3 is saved' in capsys.readouterr().out
    parts = _train(tmp_path / 'parts', 6)
    whole = _train(tmp_path / 'whole', 6)
    tiny.assert_equal_weights(
        tiny.weights(whole.folder, 6), tiny.weights(parts.folder, 6)
    )


def test_kept_arrays_are_found_by_their_workdir(run):
    assert workdir.kept_data(run.folder) == f'arrays:{run.folder}/data.npz'
    assert workdir.kept_data(run.folder / 'x') is None
