"""Training: exact resume, kills, damage, non-finite losses, progress."""

import dataclasses
import io
import os
import re
import shutil
import signal
import time

import keras
import numpy as np
import processes
import pytest
import tensorflow as tf
import tiny

from tfgen import optimizers
from tfgen.data import PaletteSpec, PartlyLabelledSpec
from tfgen.errors import UserError
from tfgen.training import (
    checkpoints,
    history,
    loop,
    run,
    strategies,
    workdir,
)
from tfgen.training.progress import Progress


def _default_jit(model):
    own = tiny.preset(model)
    return 'on' if own.model.jit_on_cpu(own.settings) else 'off'


# Runs to kill and resume, with the jit that 'auto' chooses on a CPU.
KILLED = [('cvae', 'off'), ('wavenet', 'on')]
# All families with their default jit; two with the other as well.
CUT_OFF = [
    *[
        (model, _default_jit(model))
        for model in tiny.FAMILIES
        if (model, _default_jit(model)) not in KILLED
    ],
    ('pixelrnn', 'off'),
    ('dcgan', 'on'),
]


def _train_and_kill(command, path):
    """Kills a training between its first checkpoint and its end."""
    for _ in range(5):  # on a busy machine the run may end before the kill
        shutil.rmtree(path, ignore_errors=True)
        process = processes.start(
            command, stdout=processes.PIPE, stderr=processes.STDOUT
        )
        for line in process.stdout:
            if line.startswith('step 15/'):
                break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        (newest, *_) = checkpoints.newest_first(path / 'checkpoints')
        if not newest.name.endswith('-30'):
            return
    raise AssertionError('the run could not be killed in time')


@pytest.mark.parametrize('model,jit', tiny.some(KILLED, ('cvae',)))
def test_a_killed_run_ends_bit_for_bit_as_an_undisturbed_one(
    model, jit, uninterrupted, tmp_path, data_dir
):
    command = tiny.train_command(model, tmp_path, data_dir, f'--jit={jit}')
    _train_and_kill(command, tmp_path)
    output = processes.run(command).stdout
    assert re.search(r'continuing at step [12]0 ', output)
    tiny.assert_equal_weights(
        tiny.weights(tmp_path, 30), tiny.weights(uninterrupted(model, jit), 30)
    )


# These differ in what a checkpoint holds besides weights.
@pytest.mark.parametrize(
    'model,jit',
    tiny.some(CUT_OFF, (('pixelrnn', 'on'), ('dcgan', 'off'), 'rbm', 'gmm')),
)
def test_a_run_cut_off_continues_bit_for_bit(
    model, jit, uninterrupted, tmp_path, data_dir
):
    whole = uninterrupted(model, jit)
    shutil.copytree(whole, tmp_path / 'run')
    for file in (tmp_path / 'run' / 'checkpoints').glob('checkpoint-[23]0*'):
        file.unlink()
    config, examples = tiny.load(model, data_dir)
    run.train(config, examples, tmp_path / 'run', jit=jit)
    tiny.assert_equal_weights(
        tiny.weights(tmp_path / 'run', 30), tiny.weights(whole, 30)
    )


BINARY = ['likelihood=bernoulli', 'binarization=dynamic']
VARIANTS = [
    *[(model, []) for model in tiny.MODELS],
    ('cvae', ['kl=analytic']),
    ('cvae', ['kl=monte_carlo']),
    ('cvae', [*BINARY, 'kl=analytic']),
    ('cvae', [*BINARY, 'kl=monte_carlo', 'conditional=false']),
    ('gru', ['dropout=0']),
    ('pixelrnn', ['colour']),
    ('row_lstm', ['colour']),
    ('diagonal_bilstm', ['colour']),
    ('diagonal_bilstm', ['palette']),
    ('pixelcnn', ['colour']),
    ('gated_pixelcnn', ['colour']),
    ('wavenet', ['conditional=false']),
    ('dcgan', ['loss=minimax', 'dropout=0', 'conditional=false']),
]


@pytest.mark.parametrize(
    'model,settings',
    tiny.some(
        VARIANTS,
        (
            ('diagonal_bilstm', ['palette']),
            ('gated_pixelcnn', ['colour']),
            ('wavenet', []),
            ('unrolled', []),
        ),
    ),
)
def test_no_three_gradients_meet_at_one_tensor(model, settings, data_dir):
    # The order in which TensorFlow adds three or more is not fixed.
    config, _ = tiny.load(model, data_dir, *[s for s in settings if '=' in s])
    spec = config.spec
    if 'colour' in settings:
        spec = dataclasses.replace(spec, channels=3)
    if 'palette' in settings:
        palette = ((0, 0, 0),) * spec.levels
        spec = PaletteSpec(palette=palette, **vars(spec))
    config = dataclasses.replace(config, spec=spec)
    loop.make_repeatable()
    batch = {
        spec.key: tf.TensorSpec([16, *spec.shape], spec.dtype),
        'label': tf.TensorSpec([16], tf.int32),
    }
    if isinstance(spec, PartlyLabelledSpec):
        batch['labelled_image'] = batch['image']
        batch['labelled_label'] = batch['label']
    if config.preset.model.whole_epochs:
        batch['weight'] = tf.TensorSpec([16])
    key = tf.TensorSpec([2], tf.int64)
    for update in run.make_updates(config.build(), config.preset):
        measure = loop.compute_on_replica(
            update, loop.BatchSplit(16, 16, 1), jit=False
        )
        measure = tf.function(measure)
        graph = measure.get_concrete_function(batch, key, 0).graph
        wide = [
            op.name
            for op in graph.get_operations()
            if op.type == 'AddN' and len(op.inputs) > 2
        ]
        assert not wide
        tiny.assert_named_generator(graph)


def test_a_wide_sum_of_gradients_would_be_seen():
    @tf.function
    def loss(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.sin(x) + tf.cos(x) + tf.exp(x)
        return tape.gradient(y, x)

    graph = loss.get_concrete_function(tf.TensorSpec([3])).graph
    assert any(
        op.type == 'AddN' and len(op.inputs) > 2
        for op in graph.get_operations()
    )


def test_steps_per_call_do_not_matter(tmp_path, uninterrupted, data_dir):
    config, examples = tiny.load('cvae', data_dir, 'log_every=1')
    run.train(config, examples, tmp_path, jit='off')
    tiny.assert_equal_weights(
        tiny.weights(tmp_path, 30),
        tiny.weights(uninterrupted('cvae', 'off'), 30),
    )


@pytest.mark.parametrize(
    'model,settings',
    tiny.some([('dcgan', []), ('cvae', [*BINARY, 'kl=analytic'])], ('cvae',)),
)
def test_a_longer_run_continues_a_shorter_one(
    model, settings, tmp_path, data_dir
):
    settings = [*settings, 'schedule=constant']
    whole, examples = tiny.load(model, data_dir, *settings)
    run.train(whole, examples, tmp_path / 'whole')
    for steps in ('steps=13', 'steps=30'):
        config, _ = tiny.load(model, data_dir, *settings, steps)
        run.train(config, examples, tmp_path / 'parts')
    tiny.assert_equal_weights(
        tiny.weights(tmp_path / 'whole', 30),
        tiny.weights(tmp_path / 'parts', 30),
    )


def test_adam_is_keras_adam():
    random = np.random.default_rng(0)
    results = []
    gradients = random.normal(size=[5, 3, 4]).astype(np.float32)
    for kind in (optimizers.Adam, keras.optimizers.Adam):
        schedule = keras.optimizers.schedules.CosineDecay(0.1, 5)
        optimizer = kind(schedule, beta_1=0.5)
        variable = keras.Variable(np.ones([3, 4], np.float32))
        optimizer.build([variable])
        for gradient in gradients:
            optimizer.apply([tf.constant(gradient)], [variable])
        results.append([variable, *optimizer.variables])
    for ours, theirs in zip(*results, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_two_streams_add_up_to_the_whole_batch(data_dir):
    config, examples = tiny.load('cvae', data_dir)
    (batch,) = examples.train(0, 16).take(1)
    key = tf.constant([0, 3], tf.int64)
    (update,) = config.build().updates()
    whole, halves = (
        loop.compute_on_replica(update, loop.BatchSplit(16, 16, n), jit=False)(
            batch, key, 0
        )
        for n in (1, 2)
    )
    for name, value in whole[0].items():
        np.testing.assert_allclose(halves[0][name], value, rtol=1e-5)
    for a, b in zip(halves[1], whole[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_streams_are_for_one_device_and_models_of_independent_rows(
    data_dir, monkeypatch
):
    monkeypatch.delenv('TF_NUM_INTEROP_THREADS', raising=False)
    one = tf.distribute.get_strategy()
    models = {m: tiny.load(m, data_dir)[0].build() for m in ('cvae', 'dcgan')}
    if not tf.config.list_logical_devices('GPU') and os.cpu_count() > 1:
        assert loop.BatchSplit.of(one, models['cvae'], 16).streams == 2
    assert loop.BatchSplit.of(one, models['cvae'], 15).streams == 1
    assert loop.BatchSplit.of(one, models['dcgan'], 16).streams == 1
    # With one thread, two streams would run one after the other.
    monkeypatch.setenv('TF_NUM_INTEROP_THREADS', '1')
    assert loop.BatchSplit.of(one, models['cvae'], 16).streams == 1


def test_averages_follow_their_formula_and_are_what_is_evaluated(
    tmp_path, data_dir
):
    extra = ['checkpoint_every=1', 'steps=3', 'schedule=constant', 'ema=0.2']
    config, examples = tiny.load('cvae', data_dir, *extra)
    initial = [v.numpy().astype(np.float64) for v in config.build().variables]
    trained = run.train(config, examples, tmp_path)
    expected = initial
    for step in range(3):
        decay = min(0.2, (1 + step) / (10 + step))
        saved = tiny.weights(tmp_path, step + 1)
        for i in range(len(expected)):
            now = saved[f'model/{i}/.ATTRIBUTES/VARIABLE_VALUE']
            expected[i] = decay * expected[i] + (1 - decay) * now
    restored, _ = config.restore(tmp_path)
    for model in (trained, restored):
        for variable, value in zip(model.variables, expected, strict=True):
            np.testing.assert_allclose(variable, value, rtol=1e-5, atol=1e-6)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, data_dir):
    config, examples = tiny.load('cvae', data_dir, 'learning_rate=1e30')
    with pytest.raises(
        UserError, match=r'model/\w+ is .* at step \d+'
    ) as error:
        run.train(config, examples, tmp_path)
    assert 'learning_rate' in str(error.value)
    for prefix in checkpoints.newest_first(tmp_path / 'checkpoints'):
        reader = tf.train.load_checkpoint(str(prefix))
        for name in reader.get_variable_to_shape_map():
            if name.startswith('model/'):
                assert np.all(np.isfinite(reader.get_tensor(name)))


@pytest.mark.parametrize('precision', workdir.PRECISIONS)
def test_what_is_advised_can_help(precision, data_dir):
    config, _ = tiny.load('cvae', data_dir)
    model = config.build()
    model.trainable_variables[0].assign(
        np.full(model.trainable_variables[0].shape, np.nan)
    )
    with pytest.raises(UserError, match='not finite after step 3') as error:
        run.require_finite_weights(model, 3, precision)
    advised = "precision='float32'" in str(error.value)
    assert advised == (precision != 'float32')
    with pytest.raises(UserError, match='is nan at step 4') as error:
        run.require_finite({'model/x': [1.0, np.nan]}, 3, precision)
    assert ("precision='float32'" in str(error.value)) == advised


def test_a_workdir_holds_what_the_readme_says(uninterrupted):
    path = uninterrupted('dcgan', 'off')
    assert (path / 'config.json').is_file()
    assert (path / 'samples' / 'step_0000030.png').is_file()
    tags = set()
    for file in (path / 'summaries').iterdir():
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            tags |= {v.tag for v in event.summary.value}
    assert tags >= {
        'discriminator/real',
        'discriminator/fake',
        'generator/fool',
        'examples_per_second',
        'samples',
        'run',
        '_hparams_/session_start_info',
    }


# Models with an exact likelihood are always float32.
@pytest.mark.parametrize(
    'model',
    tiny.some(
        ['cvae', 'dcgan', 'unrolled', 'ebgan', 'inpainting_gan', 'classifier'],
        ('dcgan',),
    ),
)
def test_mixed_precision_trains_every_variable_and_keeps_it_whole(
    model, tmp_path, data_dir
):
    config, examples = tiny.load(
        model, data_dir, 'steps=5', precision='mixed_bfloat16'
    )
    initial = [v.numpy() for v in config.build().variables]
    run.train(config, examples, tmp_path)
    for name, value in tiny.weights(tmp_path, 5).items():
        if name.startswith('model/'):
            assert value.dtype == np.float32, name
    restored, _ = workdir.read_config(tmp_path).restore(tmp_path)
    for variable, before in zip(restored.variables, initial, strict=True):
        if variable.trainable:
            assert np.any(variable.numpy() != before), variable.path


def test_jit_is_chosen_by_kind(data_dir):
    strategy = strategies.make('one')
    if tf.config.list_logical_devices('GPU'):
        pytest.skip('it is always on')
    for model in tiny.MODELS:
        built, own = tiny.build(model), tiny.preset(model)
        chosen = run.use_jit('auto', built, strategy)
        assert chosen == own.model.jit_on_cpu(own.settings)
        meet = built.cross_replica(built.settings)
        assert own.halve_cores == (not chosen and not meet)
        expected = {'cvae': False, 'pixelcnn': False, 'wavenet': True}
        assert chosen == expected.get(model, chosen)


def test_progress_rewrites_its_line_on_a_terminal():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, mark, shown in (
        (Terminal(), '\r', 3),  # the last line again, with the mean pace
        (io.StringIO(), '\n', 2),
    ):
        progress = Progress(0, 100, 32, stream)
        time.sleep(0.01)
        progress.show(10, {'model/rate': 1.5})
        time.sleep(0.01)
        progress.show(20, {'model/rate': 1.25})
        assert progress.examples_per_second > 0
        progress.close()
        text = stream.getvalue()
        assert text.count(mark) == shown
        *_, last = text.strip().replace('\r', '\n').splitlines()
        assert re.fullmatch(
            r'step 20/100  \d+ examples/s  [\d:]+ left, model/rate 1.25 *', last
        )


def test_a_profile_is_written_and_changes_nothing(
    uninterrupted, tmp_path, data_dir
):
    config, examples = tiny.load('cvae', data_dir)
    run.train(config, examples, tmp_path, jit='off', profile_steps=(7, 13))
    (profile,) = tmp_path.glob('summaries/plugins/profile/*/*.xplane.pb')
    assert profile.stat().st_size > 1000
    tiny.assert_equal_weights(
        tiny.weights(tmp_path, 30),
        tiny.weights(uninterrupted('cvae', 'off'), 30),
    )
    # A run that ends earlier has one as well.
    short = dataclasses.replace(config.preset, steps=10, schedule='constant')
    config = dataclasses.replace(config, preset=short)
    path = tmp_path / 'short'
    run.train(config, examples, path, jit='off', profile_steps=(7, 1000))
    assert [*path.glob('summaries/plugins/profile/*/*.xplane.pb')]


def test_the_run_is_told_as_text(uninterrupted):
    path = uninterrupted('cvae', 'off')
    config, texts = workdir.read_config(path), []
    for file in (path / 'summaries').iterdir():
        for _, event in history.events(file):
            texts += [
                tf.make_ndarray(v.tensor)[()].decode()
                for v in event.summary.value
                if v.tag == 'run'
            ]
    (text,) = texts
    for field, value in dataclasses.asdict(config.preset).items():
        assert f'| {field} | {value} |' in text
