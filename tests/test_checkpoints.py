"""Checkpoints: damaged and lost files, and the content of the files."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
import tiny

from tfgen.errors import UserError
from tfgen.training import checkpoints, reporting, run


def _copy_of_run(uninterrupted, tmp_path):
    path = tmp_path / 'run'
    shutil.copytree(uninterrupted('cvae', 'off'), path)
    return path


@pytest.mark.parametrize(
    'damage',
    ['data', 'list']
    + [pytest.param(d, marks=pytest.mark.wide) for d in ('index', 'empty')],
)
def test_a_damaged_newest_checkpoint_falls_back(
    damage, uninterrupted, tmp_path, data_dir, caplog
):
    path = _copy_of_run(uninterrupted, tmp_path)
    good = tiny.weights(path, 30)
    newest = path / 'checkpoints' / 'checkpoint-30'
    if damage == 'list':
        (path / 'checkpoints' / 'checkpoint').write_text('damaged {')
    else:
        suffix = '.index' if damage == 'index' else '.data-00000-of-00001'
        file = newest.with_name(newest.name + suffix)
        content = file.read_bytes()
        file.write_bytes(
            b'' if damage == 'empty' else content[: len(content) // 2]
        )
    config, examples = tiny.load('cvae', data_dir)
    with caplog.at_level('WARNING', logger='absl'):
        run.train(config, examples, path, jit='off')
    assert ('falling back' in caplog.text) == (damage != 'list')
    tiny.assert_equal_weights(good, tiny.weights(path, 30))


def test_if_all_checkpoints_are_damaged_nothing_is_overwritten(
    uninterrupted, tmp_path, data_dir
):
    path = _copy_of_run(uninterrupted, tmp_path)
    for file in (path / 'checkpoints').glob('*.data*'):
        file.write_bytes(b'')
    before = _snapshot(path)
    config, examples = tiny.load('cvae', data_dir)
    with pytest.raises(UserError, match='all 3 checkpoints'):
        run.train(config, examples, path)
    assert _snapshot(path) == before


def _snapshot(path):
    return {
        str(f.relative_to(path)): f.read_bytes()
        for f in sorted(path.rglob('*'))
        if f.is_file()
    }


def test_summaries_of_a_killed_run_have_each_step_once(
    uninterrupted, tmp_path, data_dir
):
    path = _copy_of_run(uninterrupted, tmp_path)
    for file in (path / 'checkpoints').glob('checkpoint-30*'):
        file.unlink()
    # After a kill, the last record may be half written.
    (events,) = (path / 'summaries').iterdir()
    events.write_bytes(events.read_bytes() + b'\x10\x00\x00')
    config, examples = tiny.load('cvae', data_dir)
    run.train(config, examples, path, jit='off')
    steps = []
    for file in sorted((path / 'summaries').iterdir()):
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            if any(v.tag == 'model/rate' for v in event.summary.value):
                steps.append(event.step)
    assert steps == [5, 10, 15, 20, 25, 30]


def test_points_up_to_the_restored_step_stay_as_they_are(tmp_path):
    writer = tf.summary.create_file_writer(str(tmp_path))
    with writer.as_default():
        for step in range(5):
            tf.summary.scalar('x', step, step)
    writer.close()
    (file,) = tmp_path.iterdir()
    before = file.read_bytes()
    reporting.remove_later_points(tmp_path, 4)
    assert file.read_bytes() == before
    reporting.remove_later_points(tmp_path, 2)
    assert before.startswith(file.read_bytes()) and file.stat().st_size > 100
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize('model', tiny.some(tiny.MODELS))
def test_a_restored_model_has_every_variable(model, tmp_path, data_dir):
    config, _ = tiny.load(model, data_dir, 'ema=0')
    built = config.build()
    random = np.random.default_rng(0)
    for variable in built.variables:
        variable.assign(random.normal(size=variable.shape))
    step = tf.Variable(7, dtype=tf.int64)
    checkpoints.save(
        checkpoints.of(built, step), tmp_path / 'checkpoints', 7, True
    )
    restored, step = config.restore(tmp_path)
    assert step == 7
    for ours, theirs in zip(built.variables, restored.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs, err_msg=ours.path)
