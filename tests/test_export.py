"""Exports: round trip without keras, rows, bad input, warm-up."""

import json
import pathlib
import runpy
import sys

import numpy as np
import processes
import pytest
import tensorflow as tf
import tiny
from tensorflow.core.protobuf import config_pb2

from tfgen.errors import UserError
from tfgen.export import saved_model
from tfgen.training import workdir


def _signatures(model):
    """Returns a model's signatures, with those that return files."""
    built = tiny.build(model)
    names = set(built.signatures())
    ending = built.spec.ending
    made = {n for n, s in built.signatures().items() if s.makes and ending}
    return names | {f'{n}_{ending}' for n in made}


SIGNATURES = {model: _signatures(model) for model in tiny.SERVED}
DRAWING = tuple(m for m in tiny.SERVED if m in tiny.DRAWING)
EVERY = [(m, s) for m, names in SIGNATURES.items() for s in sorted(names)]
# Models that together serve every signature.
FEW = ('cvae', 'pixelrnn', 'wavenet', 'dcgan', 'classifier', 'gmm')


@pytest.fixture(scope='module')
def exported(tmp_path_factory, data_dir):
    """model -> (served functions, their folder, the rows of a request)."""
    made = {}

    def get(model):
        if model not in made:
            path = tmp_path_factory.mktemp(model) / 'export'
            config, examples = tiny.load(model, data_dir)
            live = config.build()
            random = np.random.default_rng(7)
            for v in live.trainable_variables:
                v.assign_add(random.normal(0.0, 0.2, v.shape))
            saved_model.export(live, config, 0, examples, path)
            loaded = tf.saved_model.load(str(path / '1'))
            made[model] = loaded.signatures, path, _rows(live, examples), loaded
        return made[model][:3]

    return get


def _rows(model, examples, count=64):
    """Returns an array of `count` rows for each input."""
    (batch,) = examples.evaluation('test', count).take(1)
    random = np.random.default_rng(0)
    rows = {k: v.numpy() for k, v in batch.items()}
    rows |= {
        'seed': np.arange(count) * 7919,
        'mask': random.integers(0, 2, [count, *model.spec.mask_shape]),
        'z': random.normal(size=[count, getattr(model, 'latent_size', 1)]),
        'z_to': random.normal(size=[count, getattr(model, 'latent_size', 1)]),
        'weight': random.random(count),
        'spherical': random.integers(0, 2, count),
    }
    specs = model.request_specs()
    return {
        k: v.astype(specs[k].dtype.as_numpy_dtype)
        for k, v in rows.items()
        if k in specs
    }


def _call(function, rows, pick):
    names = function.structured_input_signature[1]
    inputs = {n: tf.constant(rows[n][pick]) for n in names}
    return {k: v.numpy() for k, v in function(**inputs).items()}


@pytest.mark.parametrize('model', tiny.some(tiny.SERVED, FEW))
def test_a_model_serves_its_signatures(model, exported):
    loaded, *_ = exported(model)
    assert set(loaded) == SIGNATURES[model] | {'serving_default'}
    for function in loaded.values():
        tiny.assert_named_generator(function.graph)


@pytest.mark.parametrize('model,signature', tiny.some(EVERY, FEW))
def test_a_row_depends_on_its_own_input_alone(model, signature, exported):
    loaded, _, rows = exported(model)
    function = loaded[signature]
    whole = _call(loaded[signature], rows, np.arange(64))
    for pick in ([5], [63, 0], [9, 9, 2, 1, 60, 33, 9], np.arange(64)[::-1]):
        served = _call(function, rows, np.asarray(pick))
        for key, value in served.items():
            assert len(value) == len(pick)
            if value.dtype == object:
                np.testing.assert_array_equal(value, whole[key][pick])
            else:
                np.testing.assert_allclose(
                    value, whole[key][pick], rtol=1e-4, atol=1e-5
                )


@pytest.mark.parametrize(
    'model,signature',
    tiny.some([e for e in EVERY if e[1].endswith('_png')], FEW),
)
def test_png_twins_decode_to_the_same_pixels(model, signature, exported):
    loaded, _, rows = exported(model)
    pick = np.arange(8)
    image = _call(loaded[signature[: -len('_png')]], rows, pick)['image']
    pngs = _call(loaded[signature], rows, pick)['image_bytes']
    for png, pixels in zip(pngs, image, strict=True):
        np.testing.assert_array_equal(
            tf.io.decode_png(png).numpy(), np.round(pixels * 255)
        )


@pytest.mark.parametrize('signature', ['sample', 'complete'])
def test_wav_twins_decode_to_the_same_samples(signature, exported):
    loaded, _, rows = exported('wavenet')
    pick = np.arange(8)
    audio = _call(loaded[signature], rows, pick)['audio']
    wavs = _call(loaded[f'{signature}_wav'], rows, pick)['audio_bytes']
    decoded = [tf.audio.decode_wav(wav) for wav in wavs]
    assert all(rate == 8000 for _, rate in decoded)
    decoded = np.stack([sound[:, 0] for sound, _ in decoded])
    np.testing.assert_allclose(decoded, audio, atol=2.0**-15)
    if signature == 'complete':
        # The known part is returned bit for bit, in the file as well.
        known = rows['mask'][pick] == 1
        for made in (audio, decoded):
            np.testing.assert_array_equal(
                made[known], rows['audio'][pick][known]
            )


@pytest.mark.parametrize('model', tiny.some(DRAWING, FEW))
def test_equal_seeds_give_equal_pictures_and_others_do_not(model, exported):
    loaded, _, rows = exported(model)
    rows = {k: np.repeat(v[:1], 4, axis=0) for k, v in rows.items()}
    rows['seed'] = np.array([5, 6, 5, 7])
    (image,) = _call(loaded['sample'], rows, np.arange(4)).values()
    np.testing.assert_allclose(image[0], image[2], atol=1e-6)
    assert np.abs(image[0] - image[1]).max() > 1e-3
    assert np.abs(image[0] - image[3]).max() > 1e-3


def test_it_loads_without_tfgen_and_keras(exported):
    drawing = [model for model in DRAWING if model in FEW]
    folders = [exported(model)[1] for model in drawing]
    script = tiny.script('load_export')
    output = processes.run(
        [sys.executable, str(script), *map(str, folders)]
    ).stdout
    assert output.count('same in another batch') == len(folders)
    complete = [m for m in drawing if 'complete' in SIGNATURES[m]]
    assert output.count('known half kept') == len(complete)
    none = processes.run(
        [sys.executable, str(script), str(exported('classifier')[1])]
    )
    assert 'draws nothing' in none.stdout
    for folder in folders:
        (file,) = folder.glob('first_sample.*')
        content = file.read_bytes()
        if file.suffix == '.wav':
            sound, rate = tf.audio.decode_wav(content)
            assert sound.shape == (64, 1) and rate == 8000
        elif file.suffix == '.png':
            assert tf.io.decode_png(content).shape == (8, 8, 1)
        elif file.suffix == '.txt':
            assert len(content.decode()) <= 48
        else:
            assert len(json.loads(content)) == 2


@pytest.mark.parametrize('damage', [b'', b'[]', b'{}', b'null', b'{"spec": 1}'])
def test_a_damaged_export_is_one_line_without_tfgen(
    tmp_path, damage, capsys, monkeypatch
):
    tf.saved_model.save(tf.Module(), str(tmp_path / '1'))
    (tmp_path / '1' / 'assets.extra').mkdir()
    (tmp_path / '1' / 'assets.extra' / 'tfgen.json').write_bytes(damage)
    (tmp_path / '7').write_text('a file')
    hidden = {name: sys.modules.get(name) for name in ('tfgen', 'keras')}
    monkeypatch.setattr(sys, 'argv', ['load_export.py', str(tmp_path)])
    script = str(tiny.script('load_export'))
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(script, run_name='__main__')
    sys.modules.update(hidden)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith('error: ')


def test_saved_model_cli_runs_it(exported, tmp_path):
    _, folder, _ = exported('pixelrnn')
    np.save(tmp_path / 'seed.npy', np.array([1, 2]))
    np.save(tmp_path / 'label.npy', np.array([3, 4], np.int32))
    inputs = ';'.join(f'{k}={tmp_path}/{k}.npy' for k in ('seed', 'label'))
    command = [
        str(pathlib.Path(sys.executable).with_name('saved_model_cli')),
        'run',
        *('--dir', str(folder / '1'), '--tag_set', 'serve'),
        *('--signature_def', 'sample', '--inputs', inputs),
    ]
    assert 'Result for output key image' in processes.run(command).stdout


BAD = [
    ('cvae', 'sample', 'label', 10, 'label must be in 0..9'),
    ('cvae', 'sample', 'label', -1, 'label must be in 0..9'),
    ('cvae', 'encode', 'image', 1.5, r'values in \[0, 1\]'),
    ('cvae', 'encode', 'image', -0.1, r'values in \[0, 1\]'),
    ('cvae', 'elbo', 'image', np.nan, r'values in \[0, 1\]'),
    ('cvae', 'decode', 'z', np.inf, 'z must be finite'),
    ('cvae', 'decode', 'z', np.nan, 'z must be finite'),
    ('dcgan', 'decode', 'z', 1e38, r'in \[-100.0, 100.0\]'),
    ('cvae', 'interpolate', 'weight', 1.5, r'weight must be in \[0, 1\]'),
    ('cvae', 'interpolate', 'spherical', 2, 'spherical must be 1'),
    ('pixelrnn', 'complete', 'mask', 0.5, 'mask must be 1'),
    ('pixelrnn', 'complete', 'mask', np.nan, 'mask must be 1'),
    ('pixelrnn', 'log_prob', 'label', 99, 'label must be in 0..9'),
    ('wavenet', 'log_prob', 'audio', 1.1, r'samples in \[-1, 1\]'),
    ('wavenet', 'complete', 'audio', np.nan, r'samples in \[-1, 1\]'),
    ('wavenet', 'complete', 'mask', 0.5, 'mask must be 1'),
    ('dcgan', 'sample', 'label', 10, 'label must be in 0..9'),
]


@pytest.mark.parametrize('model,signature,name,value,message', BAD)
def test_bad_input_is_refused_and_the_next_request_served(
    model, signature, name, value, message, exported
):
    loaded, _, rows = exported(model)
    function = loaded[signature]
    bad = {k: v.copy() for k, v in rows.items()}
    bad[name].reshape(-1)[3] = value
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        _call(function, bad, np.arange(4))
    _call(function, rows, np.arange(4))


@pytest.fixture(scope='module')
def server(exported):
    """(model, signature, names) -> function of the values of those inputs.

    Like a server, it passes on any shape without checking.
    """
    sessions = {}

    def get(model, signature, names):
        if model not in sessions:
            session = tf.compat.v1.Session(graph=tf.Graph())
            folder = str(exported(model)[1] / '1')
            with session.graph.as_default():
                found = tf.compat.v1.saved_model.load(
                    session, ['serve'], folder
                )
            sessions[model] = session, found.signature_def
        session, found = sessions[model]
        options = config_pb2.CallableOptions()
        inputs, outputs = found[signature].inputs, found[signature].outputs
        options.feed.extend(inputs[name].name for name in names)
        options.fetch.extend(output.name for output in outputs.values())
        return session._make_callable_from_options(options)

    yield get
    for session, _ in sessions.values():
        session.close()


@pytest.mark.parametrize('model,signature', tiny.some(EVERY, FEW))
def test_a_wrong_shape_is_refused_in_our_words(
    model, signature, exported, server
):
    loaded, _, rows = exported(model)
    names = sorted(loaded[signature].structured_input_signature[1])
    good = {n: rows[n][:2] for n in names}
    served = server(model, signature, names)
    for name in names:
        value = good[name]
        wrong = [value[..., None], value[0], value.repeat(2, axis=-1)]
        if value.ndim == 4:  # as many values, in another shape
            wrong.append(value.reshape(2, 4, 16, 1))
        if value.ndim == 1:
            wrong.pop()  # that is a batch of more rows, for another test
        for other in wrong:
            with pytest.raises(
                tf.errors.InvalidArgumentError,
                match=rf'{name} must have shape \[rows',
            ):
                served(*(good | {name: other}).values())
    for value in served(*good.values()):
        assert len(value) == 2


@pytest.mark.parametrize('model,signature', tiny.some(EVERY, FEW))
def test_no_rows_are_answered_with_no_rows(model, signature, exported):
    loaded, _, rows = exported(model)
    function = loaded[signature]
    served = _call(function, rows, np.arange(0))
    whole = _call(function, rows, np.arange(2))
    assert served.keys() == whole.keys()
    for key, value in served.items():
        assert value.shape == (0, *whole[key].shape[1:])


@pytest.mark.parametrize(
    'model',
    tiny.some(
        [m for m in tiny.SERVED if {'complete', 'log_prob'} <= SIGNATURES[m]],
        FEW,
    ),
)
def test_drawn_values_are_equal_bit_for_bit_with_any_neighbours(
    model, exported
):
    loaded, _, rows = exported(model)
    (whole,) = _call(loaded['sample'], rows, np.arange(64)).values()
    for pick in ([5], [63, 0, 17]):
        (some,) = _call(loaded['sample'], rows, np.asarray(pick)).values()
        np.testing.assert_array_equal(some, whole[pick])


@pytest.mark.parametrize('model,signature', tiny.some(EVERY, FEW))
def test_inputs_of_unequal_length_are_refused(model, signature, exported):
    loaded, _, rows = exported(model)
    function = loaded[signature]
    names = sorted(function.structured_input_signature[1])
    if len(names) == 1:
        pytest.skip('it has one input')
    for short in names:
        inputs = {
            n: tf.constant(rows[n][: 2 if n == short else 3]) for n in names
        }
        with pytest.raises(tf.errors.InvalidArgumentError, match='same number'):
            function(**inputs)


@pytest.mark.parametrize('model', tiny.some(tiny.SERVED, FEW))
def test_warm_up_records_name_every_signature(model, exported):
    prediction_log_pb2 = pytest.importorskip(
        'tensorflow_serving.apis.prediction_log_pb2'
    )
    loaded, folder, _ = exported(model)
    file = folder / '1' / 'assets.extra' / 'tf_serving_warmup_requests'
    seen = set()
    for record in tf.data.TFRecordDataset(str(file)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        assert request.model_spec.name == 'export'
        inputs = {
            k: tf.constant(tf.make_ndarray(v))
            for k, v in request.inputs.items()
        }
        loaded[request.model_spec.signature_name](**inputs)
        seen.add(request.model_spec.signature_name)
    assert seen == SIGNATURES[model]


def test_an_export_holds_what_its_signatures_use(exported):
    _, folder, _ = exported('dcgan')
    info = json.loads((folder / '1' / saved_model.INFO).read_text())
    model = workdir.Config.from_dict(info).build()
    loaded = tf.saved_model.load(str(folder / '1'))
    saved = sum(int(tf.size(v)) for v in loaded.model.values())
    used = model.generator.variables + model.discriminator.variables
    assert saved == sum(int(tf.size(v)) for v in used)


def test_versions_count_up_and_nothing_half_made_remains(
    tmp_path, data_dir, monkeypatch
):
    config, examples = tiny.load('dcgan', data_dir)
    model = config.build()
    for version in ('1', '2'):
        made = saved_model.export(model, config, 0, examples, tmp_path / 'x')
        assert made == tmp_path / 'x' / version
    (tmp_path / 'x' / '3').write_text('no version, but in the way')
    (tmp_path / 'x' / '²').mkdir()
    made = saved_model.export(model, config, 0, examples, tmp_path / 'x')
    assert made.name == '4'
    # The live model changes between saving and verification.
    save = tf.saved_model.save

    def save_another(*arguments, **named):
        save(*arguments, **named)
        model.generator.paint.bias.assign([1.0])

    monkeypatch.setattr(tf.saved_model, 'save', save_another)
    with pytest.raises(RuntimeError, match='differs from the live model'):
        saved_model.export(model, config, 0, examples, tmp_path / 'x')
    names = sorted(f.name for f in (tmp_path / 'x').iterdir())
    assert names == ['1', '2', '3', '4', '²']
    functions, info = saved_model.load(tmp_path / 'x')
    assert info['preset'] == 'dcgan_digits'
    assert set(functions) == SIGNATURES['dcgan']


def test_an_export_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match='holds no exported model'):
        saved_model.load(tmp_path)
