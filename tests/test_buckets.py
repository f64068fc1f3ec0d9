"""Runs, exports and data in object storage, against a bucket that fails."""

import json
import os
import subprocess
import sys
import textwrap
import urllib.request

import numpy as np
import processes
import pytest
import tiny
from buckets import FOREVER, assert_one_line

TRAIN = """
import numpy as np, tfgen
images = np.random.default_rng(0).integers(0, 256, [60, 8, 8, 1], np.uint8)

def train(workdir, steps=4):
    return tfgen.train(
        'cvae', images, workdir=workdir, steps=steps, batch_size=16,
        filters=(4,), latent_size=3, schedule='constant', log_every=1,
        checkpoint_every=2)

def weights(run):
    return [v.numpy() for v in run.model().variables]
"""


def test_an_address_has_the_methods_of_a_path(bucket, tmp_path):
    code = """
    import json, pathlib, sys
    from tfgen import storage

    root = storage.place(sys.argv[1])
    found, name = [], lambda path: str(path)[len(sys.argv[1]):]

    def note(function):
        try:
            result = function()
            if hasattr(result, '__next__'):
                result = sorted(result, key=str)
        except OSError as error:
            result = type(error).__name__
        if isinstance(result, (list, tuple)):
            result = sorted(name(r) for r in result)
        found.append(result if isinstance(result, (int, str, list, bool))
                     or result is None else name(result))

    file = root / 'a' / 'b' / 'c.tar.gz'
    storage.write({file: b'content', root / 'a' / 'x.txt': b''})
    for path in (root, root / 'a', file, root / 'none', root / 'a' / 'x.txt'):
        note(lambda: path.exists())
        note(lambda: path.is_dir())
        note(lambda: path.is_file())
        note(lambda: path.iterdir())
        if not path.is_dir():
            note(lambda: path.read_bytes().decode())
        note(lambda: storage.entries(path) if not path.is_file() else [])
    for made in (file.parent, file.with_suffix('.x'), file.with_name('y'),
                 file.stem, file.suffix, file.name, root / 'a' / '..' / 'a'):
        note(lambda: made)
    note(lambda: (root / 'a').glob('*.txt'))
    note(lambda: (root / 'none').glob('*'))
    note(lambda: file.stat().st_size)
    note(lambda: [p for p in file.parents if str(p).startswith(str(root))])
    note(lambda: (root / 'none').unlink(missing_ok=True))
    note(lambda: (root / 'none').unlink())
    file.replace(root / 'moved')
    note(lambda: (root / 'moved').read_text())
    note(lambda: file.exists())
    storage.remove_tree(root / 'a')
    note(lambda: (root / 'a').exists())
    note(lambda: storage.versions(root))
    print(json.dumps(found))
    """
    here = json.loads(bucket.run(code, str(tmp_path)))
    there = json.loads(bucket.run(code, 'gs://test/methods'))
    # pathlib keeps '..', which may follow a symbolic link.
    here = [h.replace('/a/../', '/') if isinstance(h, str) else h for h in here]
    assert there == here


@pytest.fixture(scope='module')
def local(bucket_server, tmp_path_factory):
    """The weights of a run of 4 steps on a disk, and its samples."""
    file = tmp_path_factory.mktemp('local') / 'weights.npz'
    bucket_server.run(
        TRAIN
        + 'import sys\n'
        + 'run = train(sys.argv[1] + ".run")\n'
        + 'np.savez(sys.argv[1], *weights(run), samples=run.sample(3))\n',
        str(file),
    )
    with np.load(file) as found:
        return dict(found)


SAVE = 'np.savez(sys.argv[2], *weights(run))\n'


def _same_weights(file, local):
    with np.load(file) as found:
        for name in found.files:
            np.testing.assert_array_equal(found[name], local[name])


def test_the_life_of_a_run(bucket, local, tmp_path):
    out = bucket.run(
        TRAIN
        + 'import sys\n'
        + 'train("gs://test/life", 2)\n'
        + 'run = train("gs://test/life")\n'
        + SAVE
        + textwrap.dedent("""
        print(run.evaluate(metrics=['bounds'], num_samples=2))
        assert run.history['step'].tolist() == [1, 2, 3, 4]
        run.show('samples').save('gs://test/pictures/samples.png')
        assert run.show('history').frames
        made = run.export('gs://test/exports/mine')
        np.testing.assert_allclose(made.sample(3), run.sample(3), atol=1e-5)
        again = tfgen.load('gs://test/exports/mine')
        np.testing.assert_allclose(again.sample(3), run.sample(3), atol=1e-5)
        begun = tfgen.train(
            'cvae', images, workdir='gs://test/begun', steps=1, batch_size=16,
            filters=(4,), latent_size=3, init_from='gs://test/life')
        """),
        'x',
        str(tmp_path / 'weights.npz'),
    )
    assert 'continuing at step 2 from gs://test/life/checkpoints' in out
    assert 'starts from' in out
    _same_weights(tmp_path / 'weights.npz', local)
    objects = bucket.ask('/objects')
    assert 'test/pictures/samples.png' in objects
    assert not any('.lock' in name or '_temp' in name for name in objects)
    done = bucket.command(
        'sample',
        '--workdir=gs://test/life',
        '--output=gs://test/pictures/b.png',
    )
    assert done.returncode == 0, done.stderr
    done = bucket.command(
        'evaluate',
        '--model_dir=gs://test/exports/mine',
        '--metrics=served_bound',
        '--num_samples=2',
        '--dataset=arrays:gs://test/life/data.npz',
    )
    assert done.returncode == 0, done.stderr
    assert 'negative_elbo' in done.stdout


def test_an_export_is_served_and_loaded_from_a_bucket(bucket):
    bucket.run(
        TRAIN + 'train("gs://test/s/run", 2).export("gs://test/s/exports/mine")'
    )
    command = [sys.executable, tiny.script('serve'), '--port=0']
    with bucket.forks.start(
        [*command, '--model_dir=gs://test/s/exports'], stderr=processes.PIPE
    ) as process:
        for line in process.stderr:
            if 'listening on' in line:
                address = line.split()[-1]
            if line.strip().endswith('ready'):
                break
        body = json.dumps({'signature_name': 'sample', 'inputs': {'seed': [3]}})
        request = urllib.request.Request(
            f'{address}/v1/models/mine:predict', body.encode()
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        image = np.array(json.load(opener.open(request))['outputs'])
    drawn = bucket.run(
        'import sys, tfgen\n'
        'run = tfgen.load("gs://test/s/run")\n'
        'print(run.sample(1, seed=3).tolist())'
    )
    np.testing.assert_allclose(image, json.loads(drawn), atol=1e-5)
    words = [
        sys.executable,
        tiny.script('load_export'),
        'gs://test/s/exports/mine',
    ]
    done = subprocess.run(
        words, capture_output=True, text=True, env=os.environ | bucket.env
    )
    assert done.returncode == 0, done.stderr
    assert 'same in another batch' in done.stdout
    assert 'test/s/exports/mine/first_sample.png' in bucket.ask('/objects')
    done = bucket.command(
        'evaluate', '--workdir=gs://test/s/run', '--num_samples=2', '--limit=6'
    )
    assert done.returncode == 0, done.stderr
    assert 'test/s/run/metrics.json' in bucket.ask('/objects')


def test_requests_are_few(bucket):
    def count(steps):
        before = len(bucket.ask('/log'))
        bucket.run(TRAIN + f'train("gs://test/few{steps}", {steps})')
        return len(bucket.ask('/log')) - before

    # Six more steps: three checkpoints, six logged points.
    assert count(8) - count(2) <= 3 * 30


def test_curves_are_uploaded_once_a_minute(bucket):
    code = TRAIN.replace('checkpoint_every=2', 'checkpoint_every=100')
    code += 'from tfgen.training import reporting\n'

    def uploads(minute):
        before = len(bucket.ask('/log'))
        bucket.run(
            f'{code}reporting._MINUTE = {minute}\n'
            f'train("gs://test/minute{minute}", 30)'
        )
        lines = bucket.ask('/log')[before:]
        return sum(x.startswith('POST') and 'tfevents' in x for x in lines)

    few, many = uploads(60), uploads(0)
    assert few <= 6  # at the begin and at the end
    assert many >= few + 28


@pytest.mark.parametrize(
    ('place', 'fault', 'said'),
    [
        ('gs://nowhere/run', {}, "bucket 'gs://nowhere' does not exist"),
        ('s3://test/run', {}, 'is an address of s3, which tfgen does not'),
        ('gs:///run', {}, 'names no bucket'),
        ('gs://test/run*', {}, 'reads as a pattern'),
        (
            'gs://test/run',
            {'status': 503},
            'does not answer (aborted, HTTP 503',
        ),
        ('gs://test/run', {'status': 403}, 'permission denied, HTTP 403'),
        ('gs://test/run', {'drop': 'before'}, 'no connection'),
    ],
)
def test_a_place_that_cannot_be_used_is_one_line(bucket, place, fault, said):
    if fault:
        bucket.faults(fault | {'times': FOREVER})
    done = bucket.outcome(TRAIN + f'train({place!r})')
    assert_one_line(done, said)
    bucket.faults()
    assert not any(n.startswith('test/run') for n in bucket.ask('/objects'))


def test_a_cache_that_cannot_be_written_is_one_line(bucket):
    bucket.faults({'method': 'POST', 'status': 403, 'times': FOREVER})
    code = """
    from tfgen import storage
    storage.require_writable(storage.place('gs://test/cache'), '--cache_dir')
    """
    assert_one_line(bucket.outcome(code), "'gs://test/cache' cannot be written")
    bucket.faults()
    bucket.run(code)
    assert not any('cache' in name for name in bucket.ask('/objects'))


def test_a_bucket_that_never_answers_is_told(bucket):
    bucket.faults({'delay': 30.0, 'times': 1})
    done = bucket.outcome(
        'from tfgen import storage\n'
        'storage._PATIENCE = 0.5\n'
        'import os\n'
        'try:\n'
        '    storage.place("gs://test/x")\n'
        'except ValueError as error:\n'
        '    print(error, flush=True)\n'
        'os._exit(0)'
    )
    assert 'does not answer within 0.5 s' in done.stdout


def test_an_outage_is_no_empty_folder(bucket):
    """Otherwise a run would begin anew over its checkpoints."""
    bucket.run(TRAIN + 'train("gs://test/outage", 2)')
    code = """
    from tfgen import storage
    from tfgen.training import checkpoints
    storage._checked.add('gs://test')
    folder = storage.place('gs://test/outage/checkpoints')
    for use in (
        lambda: storage.entries(folder),
        lambda: checkpoints.newest_first(folder),
        lambda: (folder / 'none').exists(),
        lambda: folder.is_dir(),
        lambda: list(folder.glob('*')),
        lambda: storage.versions(folder),
        lambda: (folder / 'checkpoint').read_bytes(),
        lambda: list(folder.walk()),
    ):
        try:
            found = use()
        except ValueError as error:  # a UserError
            assert 'gs://test/outage' in str(error), error
            continue
        raise SystemExit(f'{found!r} in an outage')
    """
    for fault in ({'status': 503}, {'status': 403}, {'drop': 'before'}):
        bucket.faults(fault | {'times': FOREVER})
        bucket.run(code)


def test_a_short_fault_is_no_empty_folder_and_no_damage(bucket):
    """One refused request, in every place, may only raise or do nothing."""
    bucket.run(TRAIN + 'train("gs://test/short", 6)')
    code = """
    import sys
    from tfgen import storage
    from tfgen.training import checkpoints
    storage._checked.add('gs://test')
    folder = storage.place('gs://test/short/checkpoints')
    wanted = ['checkpoint-6', 'checkpoint-4', 'checkpoint-2']
    from tfgen.export import trained
    uses = (
        (lambda: [p.name for p in checkpoints.newest_first(folder)], wanted),
        (lambda: checkpoints.newest_readable(folder).name, wanted[0]),
        (lambda: len(storage.entries(folder)) > 5, True),
        (lambda: len(list(folder.glob('*.index'))), 3),
        (lambda: folder.is_dir(), True),
        (lambda: trained.load_run('gs://test/short').step, 6),
    )
    for skip, (use, right) in ((s, u) for s in range(8) for u in uses):
        print(skip, flush=True)
        sys.stdin.readline()
        checkpoints._copies.clear()
        try:
            found = use()
        except ValueError as error:  # a UserError
            assert 'gs://test/short' in str(error), error
            continue
        if found != right:
            raise SystemExit(f'{found!r} instead of {right!r}')
    """
    with subprocess.Popen(
        [sys.executable, '-c', textwrap.dedent(code)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | bucket.env,
    ) as process:
        for line in process.stdout:
            rule = {'status': 403, 'skip': int(line), 'times': 1}
            bucket.faults(rule)
            process.stdin.write('\n')
            process.stdin.flush()
        error = process.stderr.read()
    assert process.returncode == 0, error


@pytest.mark.parametrize(
    'status',
    [403, pytest.param(429, marks=pytest.mark.wide)],  # permission, quota
)
def test_a_failed_save_ends_the_run_and_the_same_command_continues(
    status, bucket, local, tmp_path
):
    rule = {'method': 'POST', 'match': 'checkpoint-4', 'status': status}
    bucket.faults(rule | {'times': FOREVER})
    place = f'gs://test/failed{status}'
    done = bucket.outcome(TRAIN + f'train({place!r})')
    assert_one_line(
        done, "checkpoint-4' cannot be written", 'run the same command'
    )
    bucket.faults()
    out = bucket.run(
        TRAIN + f'import sys\nrun = train({place!r})\n' + SAVE,
        'x',
        str(tmp_path / 'weights.npz'),
    )
    assert 'continuing at step 2' in out
    _same_weights(tmp_path / 'weights.npz', local)


@pytest.mark.parametrize(
    'skip', [3, 25, *(pytest.param(n, marks=pytest.mark.wide) for n in
                      (8, 14, 20, 30, 36, 42, 48, 54, 60, 66, 72))]
)  # fmt: skip
def test_an_outage_at_any_request_loses_no_step(skip, bucket, local, tmp_path):
    bucket.faults({'status': 503, 'skip': skip, 'times': FOREVER})
    place = f'gs://test/at{skip}'
    done = bucket.outcome(TRAIN + f'train({place!r})')
    last = done.stderr.strip().split('\n')[-1]
    assert done.returncode == 0 or 'gs://test' in last, done.stderr
    bucket.faults()
    bucket.run(
        TRAIN
        + 'import sys\nfrom tfgen.storage import heartbeat\n'
        + f'heartbeat.STALE = 0.0\nrun = train({place!r})\n'
        + SAVE,
        'x',
        str(tmp_path / 'weights.npz'),
    )
    _same_weights(tmp_path / 'weights.npz', local)


def test_summaries_that_cannot_be_uploaded_are_a_warning(bucket):
    # Not the first upload, which describes the run.
    rule = {'method': 'POST', 'match': 'tfevents', 'status': 403, 'skip': 2}
    bucket.faults(rule)
    out = bucket.run(TRAIN + 'print(train("gs://test/summaries").history)')
    assert 'the summaries are not written now' in out
    assert 'history of 4 points' in out


def test_a_reader_sees_the_old_version_or_the_whole_new_one(bucket):
    code = """
    import sys, tfgen
    run = tfgen.load('gs://test/watched/run')
    run.export('gs://test/watched/exports')
    """
    bucket.run(TRAIN + 'train("gs://test/watched/run", 2)')
    bucket.run(code)
    first = bucket.ask('/changes')['test']
    bucket.run(code)
    last = bucket.ask('/changes')['test']
    assert last - first >= 5
    out = bucket.run(
        """
        import sys, tfgen
        from tfgen import storage
        from tfgen.export import saved_model
        from tfgen.server import servables
        from concurrent import futures
        import tensorflow as tf
        storage._checked.update(f'gs://test-at-{n}' for n in range(10_000))
        first, last = map(int, sys.argv[1:])
        pool = futures.ThreadPoolExecutor(1)
        for number in range(first, last + 1):
            folder = storage.place(f'gs://test-at-{number}/watched/exports')
            models = servables.Models(folder, {}, pool, 8)
            models.refresh()
            model = models.get('exports')
            loaded = model.version()
            assert loaded is not None, (number, model.states)
            print(number, loaded.number)
            assert saved_model.load(folder)  # what tfgen.load does
        """,
        str(first),
        str(last),
    )
    versions = [int(line.split()[1]) for line in out.strip().split('\n')]
    assert versions[0] == 1 and versions[-1] == 2
    assert versions == sorted(versions)


def test_an_export_that_fails_leaves_the_old_version(bucket):
    bucket.run(TRAIN + 'train("gs://test/half/run", 2)')
    code = 'import tfgen\ntfgen.load("gs://test/half/run").export("gs://test/half/e")'
    bucket.run(code)
    bucket.faults(
        {'method': 'POST', 'match': 'e/2/saved_model.pb', 'status': 403}
    )
    assert_one_line(bucket.outcome(code), 'permission denied')
    left = [name for name in bucket.ask('/objects') if 'half/e/2' in name]
    assert not left
    bucket.faults()
    bucket.run(code)
    assert 'test/half/e/2/saved_model.pb' in bucket.ask('/objects')


def test_data_in_a_bucket_are_the_same(bucket, tmp_path):
    for number in range(12):
        name = f'pictures/{"ab"[number % 2]}/{number}.png'
        tiny.save_picture(tmp_path / name, 10 * number)
    (tmp_path / 'lines.txt').write_text('abc\nabd\nbcd\n' * 50)
    palette = tmp_path / 'palette'
    palette.mkdir()
    (palette / 'colormap.txt').write_text('0 0 0\n9 9 9\n')
    (palette / 'pixel_color.txt').write_text('0 1 0 1\n' * 9)
    np.savez(tmp_path / 'data.npz', x=np.ones([10, 8, 8], np.uint8))
    out = bucket.run(
        """
        import pathlib, sys
        import numpy as np
        from tfgen import data, storage
        from tfgen.data.embedded import digits
        root, there = pathlib.Path(sys.argv[1]), 'gs://test/data'
        for file in root.rglob('*'):
            if file.is_file():
                name = file.relative_to(root).as_posix()
                storage.place(f'{there}/{name}').write_bytes(file.read_bytes())
        for load, name in (
            (data.load, 'folder:{}/pictures'),
            (data.load, 'palette:{}/palette'),
            (data.load_text, 'lines:{}/lines.txt'),
            (data.load_text, 'text:{}/lines.txt'),
            (lambda n: data.open_any(n, None, [data.ImageSpec], None),
             'arrays:{}/data.npz'),
        ):
            a, b = (load(name.format(place)) for place in (root, there))
            assert a.spec.fingerprint == b.spec.fingerprint, name
            assert a.spec.split_sizes == b.spec.split_sizes
            for one, other in zip(a.evaluation('train', 100),
                                  b.evaluation('train', 100), strict=True):
                for key in one:
                    np.testing.assert_array_equal(one[key], other[key])
        a, b = data.load('digits', str(root)), data.load('digits', there)
        assert a.spec.fingerprint == b.spec.fingerprint
        for name in ('folder', 'palette', 'lines', 'text', 'arrays'):
            load = data.load_text if name in ('lines', 'text') else data.load
            try:
                if name == 'arrays':
                    data.open_any('arrays:gs://test/no', None,
                                  [data.ImageSpec], None)
                load(f'{name}:gs://test/none')
            except ValueError as error:
                print(error)
        """,
        str(tmp_path),
    )
    assert out.count('gs://test/no') >= 5


def test_a_large_folder_in_a_bucket_is_kept_here(bucket, tmp_path):
    out = bucket.run(
        """
        import io, os, sys
        import numpy as np
        from PIL import Image
        from tfgen import data, storage
        from tfgen.data.readers import picture_cache
        os.environ['XDG_CACHE_HOME'] = sys.argv[1]
        picture_cache._FEWEST = 3
        for number in range(5):
            stream = io.BytesIO()
            Image.new('L', (8, 8), number).save(stream, 'png')
            file = storage.place(f'gs://test/large/{number}.png')
            file.write_bytes(stream.getvalue())
        first = data.load('folder:gs://test/large')
        assert data.load('folder:gs://test/large').spec == first.spec
        file.write_bytes(b'other' + stream.getvalue())
        try:
            data.load('folder:gs://test/large')
        except ValueError as error:
            print(error)
        """,
        str(tmp_path),
    )
    assert out.count('decoding 5 pictures') == 2
    assert "image 'gs://test/large/4.png' cannot be decoded" in out


def test_workers_share_a_bucket_and_end_with_a_killed_one(bucket, tmp_path):
    code = (
        'import sys, time\n'
        'from tfgen.training import strategies\n' + TRAIN + '\n'
        'import keras\n'
        'class Slow(keras.callbacks.Callback):\n'
        '    def on_train_batch_end(self, batch, logs=None):\n'
        '        if batch == 0: print("running", flush=True)\n'
        '        time.sleep(float(sys.argv[2]))\n'
        'run = tfgen.train(\n'
        '    "cvae", images, workdir=sys.argv[1], steps=8, batch_size=16,\n'
        '    filters=(4,), latent_size=3, schedule="constant", log_every=1,\n'
        '    checkpoint_every=2, callbacks=[Slow()])\n'
        'np.savez(sys.argv[3], *weights(run))\n'
    )

    def start(name, pause):
        places = [f'localhost:{port}' for port in processes.free_ports(2)]
        cluster = {'worker': places}
        for number in range(2):
            task = {'type': 'worker', 'index': number}
            config = json.dumps({'cluster': cluster, 'task': task})
            file = str(tmp_path / f'{name}{number}.npz')
            yield bucket.forks.start(
                [sys.executable, '-c', code, f'gs://test/{name}', pause, file],
                stdout=processes.PIPE,
                stderr=processes.PIPE,
                env=os.environ | bucket.env | {'TF_CONFIG': config},
            )

    def end(forks):
        ends = []
        for fork in forks:
            out, error = fork.communicate(timeout=300)
            ends.append((fork.returncode, out, error))
            fork.__exit__()
        return ends

    chief, other = start('two', 1.0)
    for line in chief.stdout:
        if line.startswith('step 5/') or 'step 4/' in line:
            break
    other.kill()
    ((status, _, error), _) = end([chief, other])
    assert status != 0
    assert 'worker 1 (localhost:' in error and 'has ended' in error
    ends = end([*start('two', 0.0)])
    assert [status for status, *_ in ends] == [0, 0], ends
    assert 'continuing at step' in ends[0][1]
    ends = end([*start('whole', 0.0)])
    assert [status for status, *_ in ends] == [0, 0], ends
    with np.load(tmp_path / 'two0.npz') as two:
        for name in two.files:
            for file in ('whole0.npz', 'whole1.npz', 'two1.npz'):
                with np.load(tmp_path / file) as whole:
                    np.testing.assert_array_equal(two[name], whole[name])
    # Only the chief writes, and nothing of a lock is left.
    assert not any('.lock' in name for name in bucket.ask('/objects'))
