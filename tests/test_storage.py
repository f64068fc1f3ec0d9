"""Full disks and unusual names lose nothing and give one-line errors."""

import errno
import json
import os
import resource
import shutil
import sys

import processes
import pytest
import tensorflow as tf
import tiny

from tfgen import storage
from tfgen.errors import UserError
from tfgen.evaluation import features
from tfgen.export import saved_model, trained
from tfgen.training import checkpoints, reporting, warm_start, workdir
from tfgen.training.run import train


def _snapshot(path):
    return {
        str(f.relative_to(path)): f.read_bytes()
        for f in sorted(path.rglob('*'))
        if f.is_file()
    }


@pytest.fixture(scope='module')
def run(tmp_path_factory, data_dir):
    """Makes a copy of a small finished run of ten steps."""
    path = tmp_path_factory.mktemp('files') / 'run'
    config, images = tiny.load('cvae', data_dir, *SHORT)
    train(config, images, path)

    def copy(to):
        shutil.copytree(path, to)
        return to

    return copy


SHORT = ['steps=10', 'schedule=constant']


def _script(name, *arguments, largest=None):
    """Runs a script that cannot write files of more than `largest` bytes."""
    command = [sys.executable, tiny.script(name), *arguments]
    setup = 'import resource as r; r.setrlimit(r.RLIMIT_FSIZE, '
    setup = setup + f'({largest}, {largest}))' if largest else ''
    return processes.outcome(command, setup=setup)


def _assert_one_line(done, *words):
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith('error: ')
    for word in (os.strerror(errno.EFBIG), *words):
        assert word in line


def test_write_is_all_or_nothing(tmp_path, monkeypatch):
    storage.write({tmp_path / 'a': b'old', tmp_path / 'deep' / 'b': b'old'})
    before = _snapshot(tmp_path)
    (tmp_path / 'full').write_text('')
    with pytest.raises(UserError, match='cannot be written'):
        storage.write({tmp_path / 'a': b'new', tmp_path / 'full' / 'x': b'new'})
    (tmp_path / 'full').unlink()
    assert _snapshot(tmp_path) == before


def test_a_disk_error_is_known_by_its_number_and_by_tensorflows_words():
    full = os.strerror(errno.ENOSPC)
    assert storage.is_disk_error(OSError(errno.ENOSPC, full))
    assert storage.is_disk_error(
        tf.errors.ResourceExhaustedError(None, None, f'/x/y; {full}')
    )
    assert (
        storage.reason(tf.errors.UnknownError(None, None, f'x; {full}')) == full
    )
    assert not storage.is_disk_error(ValueError('no space for a bug'))
    assert not storage.is_disk_error(FileNotFoundError(errno.ENOENT, 'no file'))


def test_training_on_a_full_disk_keeps_what_there_was(run, tmp_path, data_dir):
    path = run(tmp_path / 'run')
    before = _snapshot(path)
    command = tiny.train_command('cvae', path, data_dir)[2:]
    command += [f'--set={s}' for s in [*SHORT, 'steps=20']]
    # There is room for config.json and summaries, but not for a checkpoint.
    done = _script('train', *command, largest=20_000)
    _assert_one_line(done, 'free some space', 'checkpoint-20')
    after = _snapshot(path)
    for name, content in before.items():
        if not name.startswith('summaries') and name != 'config.json':
            assert after[name] == content, name
    json.loads(after['config.json'])  # old or new, and whole
    new = [n for n in after.keys() - before.keys() if 'summaries' not in n]
    assert not new
    # When there is room again, the same command resumes.
    done = _script('train', *command)
    assert done.returncode == 0, done.stderr
    assert 'continuing at step 10' in done.stdout


def test_evaluation_on_a_full_disk_shows_its_figures(run, tmp_path, data_dir):
    path = run(tmp_path / 'run')
    before = _snapshot(path)
    done = _script(
        'evaluate',
        *(f'--workdir={path}', f'--data_dir={data_dir}', '--num_samples=2'),
        largest=100,
    )
    _assert_one_line(done, 'metrics.json')
    assert 'importance_bound: ' in done.stdout
    assert _snapshot(path) == before


def test_a_picture_is_whole_or_not_there(run, tmp_path, data_dir):
    path = run(tmp_path / 'run')
    assert _script('sample', f'--workdir={path}').returncode == 0
    before = _snapshot(path)
    done = _script('sample', f'--workdir={path}', '--seed=1', largest=100)
    _assert_one_line(done, 'samples.png')
    assert _snapshot(path) == before


def test_a_failing_export_leaves_the_versions_before(run, tmp_path, data_dir):
    path, model_dir = run(tmp_path / 'run'), tmp_path / 'export'
    arguments = [f'--workdir={path}', f'--data_dir={data_dir}']
    arguments += [f'--model_dir={model_dir}']
    (model_dir / '1').mkdir(parents=True)
    (model_dir / '1' / 'saved_model.pb').write_bytes(b'of before')
    before = _snapshot(model_dir)
    done = _script('export', *arguments, largest=20_000)
    _assert_one_line(done, 'nothing was published')
    assert _snapshot(model_dir) == before
    assert [f.name for f in model_dir.iterdir()] == ['1']


def test_an_export_onto_a_full_disk_is_one_line(tmp_path, data_dir):
    config, images = tiny.load('cvae', data_dir)
    model = config.build()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(UserError, match='nothing was published'):
            saved_model.export(
                model, config, 0, images, tmp_path / 'a' / 'export'
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / 'a' / 'export').exists()


def test_a_failing_summary_is_one_line(tmp_path, data_dir):
    config, _ = tiny.load('cvae', data_dir)
    (tmp_path / 'summaries').write_text('in the way')
    with pytest.raises(UserError, match='its last checkpoint'):
        reporting.Reporter(tmp_path, config, config.build(), 0, True)


def test_a_failing_checkpoint_leaves_the_older_ones(tmp_path, monkeypatch):
    step = tf.Variable(0, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(step=step)
    for number in (1, 2, 3):
        checkpoints.save(checkpoint, tmp_path, number, True)
    before = _snapshot(tmp_path)

    def fail(prefix):
        for part in ('.data-00000-of-00001.tempstate7', '.index'):
            open(prefix + part, 'w').close()
        os.mkdir(prefix + '_temp')
        raise tf.errors.UnknownError(None, None, 'Input/output error')

    monkeypatch.setattr(checkpoint, 'write', fail)
    with pytest.raises(UserError, match='Input/output error'):
        checkpoints.save(checkpoint, tmp_path, 4, True)
    assert _snapshot(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == len(before)


@pytest.mark.parametrize('name', ['exp[1]', 'exp*', 'e\\xp1', 'exp?'])
def test_a_path_that_tensorflow_reads_as_a_pattern_is_refused(
    name, run, tmp_path, data_dir
):
    path = run(tmp_path / 'run')
    config, images = tiny.load('cvae', data_dir, *SHORT)
    model, step = config.restore(path)
    other = tmp_path / name
    for use in (
        lambda: train(config, images, other),
        lambda: saved_model.export(model, config, step, images, other),
    ):
        with pytest.raises(UserError, match='reads as a pattern'):
            use()
        assert not other.exists()
    path.rename(other)
    for use in (
        lambda: workdir.read_config(other),
        lambda: warm_start.begin_from(model, str(other)),
        lambda: trained.load(other),
        lambda: features.of_saved_model(other),
    ):
        with pytest.raises(UserError, match='reads as a pattern'):
            use()


def test_exactly_three_checkpoints_stay_and_tensorflow_finds_them(tmp_path):
    step = tf.Variable(0, dtype=tf.int64)
    checkpoint = tf.train.Checkpoint(step=step)
    (tmp_path / 'checkpoint-1x.index').write_text('not ours')
    for number in range(1, 12):
        step.assign(number)
        checkpoints.save(checkpoint, tmp_path, number, True)
    kept = [p.name for p in checkpoints.newest_first(tmp_path)]
    assert kept == ['checkpoint-11', 'checkpoint-10', 'checkpoint-9']
    assert (tmp_path / 'checkpoint-1x.index').exists()
    latest = tf.train.latest_checkpoint(str(tmp_path))
    assert latest == str(tmp_path / 'checkpoint-11')


def test_unreadable_checkpoints_are_not_advised_to_be_removed(
    run, tmp_path, data_dir, monkeypatch
):
    path = run(tmp_path / 'run')
    config, _ = tiny.load('cvae', data_dir, *SHORT)

    def denied(name):
        raise tf.errors.PermissionDeniedError(None, None, 'Permission denied')

    monkeypatch.setattr(tf.train, 'load_checkpoint', denied)
    with pytest.raises(UserError, match='Permission denied') as error:
        config.restore(path)
    assert 'remove' not in str(error.value)
    assert 'damaged' not in str(error.value)


def test_training_needs_no_temporary_file(tmp_path, data_dir, monkeypatch):
    config, examples = tiny.load('dcgan', data_dir, 'steps=5')

    def fail(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # AutoGraph would write temporary files; tfgen must not need it.
    monkeypatch.setattr('tempfile.NamedTemporaryFile', fail)
    train(config, examples, tmp_path / 'run')
    assert checkpoints.newest_first(tmp_path / 'run' / 'checkpoints')


def test_what_is_in_the_way_is_named_and_no_folder_is_left(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='move away what is in its place'):
        storage.write({tmp_path / 'new' / 'a': b'', tmp_path / 'file/b': b''})
    assert [f.name for f in tmp_path.iterdir()] == ['file']
