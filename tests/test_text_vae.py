"""The text VAE: reading and writing of lines."""

import io
import itertools
import json
import sys
import tarfile

import keras
import numpy as np
import processes
import pytest
import tensorflow as tf
import tiny

from tfgen import evaluation
from tfgen.data import SymbolSpec
from tfgen.data.embedded import numerals
from tfgen.evaluation.base import Settings
from tfgen.export import signatures
from tfgen.models.text_vae import TextVAE
from tfgen.noise import BatchNoise, RowNoise
from tfgen.training.run import train

SPEC = SymbolSpec(length=7, alphabet=('', 'a', '月', 'c'))
SHORT = SymbolSpec(length=3, alphabet=('', 'a', '月', 'c'))


def _reading(spec=SHORT, **settings):
    """A model with a GRU whose weights are large enough to matter."""
    keras.utils.set_random_seed(3)
    return TextVAE(spec, 2, (4, 5), recurrent_units=6, **settings)


def _lines(count=4, length=3):
    """Every line: int32 [count^length, length]."""
    return np.array([*itertools.product(range(count), repeat=length)], np.int32)


def test_probabilities_of_all_lines_sum_to_one_with_a_gru():
    model, lines = _reading(), _lines()
    z = tf.tile([[0.7, -1.3]], [len(lines), 1])
    logs = model.log_likelihood(tf.constant(lines), z).numpy()
    assert np.exp(logs).sum() == pytest.approx(1, abs=1e-5)
    # Letters depend on the letters before: no product of independent places.
    alone = TextVAE(SHORT, 2, (4, 5))
    for found, together in ((logs, True), (None, False)):
        if found is None:
            found = alone.log_likelihood(tf.constant(lines), z).numpy()
        p = np.exp(found).reshape(4, 4, 4)
        first, second = p.sum((1, 2)), p.sum((0, 2))
        joint = np.abs(p.sum(2) - first[:, None] * second)
        assert (joint.max() > 1e-4) == together


def test_each_letter_sees_exactly_z_and_the_letters_before_it():
    model, lines = _reading(SPEC), np.zeros([1, 7], np.int32)
    z = tf.constant([[0.3, 0.8]])
    base = model.reader(z, tf.constant(lines)).numpy()
    for place in range(7):
        other = lines.copy()
        other[0, place] = 2
        moved = np.abs(model.reader(z, tf.constant(other)).numpy() - base)
        changed = moved.max((0, 2)) > 0
        np.testing.assert_array_equal(changed, np.arange(7) > place)
    assert np.abs(model.reader(z + 1.0, tf.constant(lines)) - base).min() > 0


def test_letters_are_written_as_they_are_read():
    model = _reading(SPEC)
    z = tf.constant(np.random.default_rng(0).normal(size=[5, 2]), tf.float32)
    logits = model.decode(z)
    line = model.values(logits)
    read = model.decoder(z) + model.reader(z, line)
    np.testing.assert_allclose(logits, read, atol=1e-5)
    # The likeliest letter of each place, given those before it.
    np.testing.assert_array_equal(line, np.argmax(read, axis=-1))


def test_samples_have_the_probabilities_of_the_lines():
    """p(x) is a mean over z."""
    model, lines = _reading(), _lines()
    count = 20_000
    noise = BatchNoise(tf.constant([0, 5]), count)
    drawn = model.sample(noise).numpy()
    places = drawn @ [16, 4, 1]
    seen = np.bincount(places, minlength=64) / count
    z = tf.random.stateless_normal([2000, 2], [1, 2])
    logs = [
        model.log_likelihood(tf.tile(line[None], [2000, 1]), z)
        for line in tf.constant(lines)
    ]
    expected = np.exp(np.stack(logs)).mean(1)
    error = np.sqrt(expected / count) + expected / np.sqrt(2000)
    assert np.all(np.abs(seen - expected) < 5 * error)


def test_probabilities_of_the_letters_of_each_place_sum_to_one():
    model = TextVAE(SPEC, 2, (4, 5))
    z = tf.constant([[0.3, -1.0]])
    logits = model.decode(z)
    assert logits.shape == (1, 7, 4)
    rows = tf.constant([[k] * 7 for k in range(4)])
    each = tf.nn.log_softmax(logits)[0]
    for row in rows:
        found = model.log_likelihood(row[None], z)
        expected = sum(each[t, row[t]] for t in range(7))
        np.testing.assert_allclose(found[0], expected, rtol=1e-5)
    likeliest = model.to_example(logits)
    np.testing.assert_array_equal(likeliest[0], np.argmax(each, axis=1))


def test_any_length_will_do():
    for length in (1, 5, 8, 13):
        spec = SymbolSpec(length=length, alphabet=('a', 'b'))
        model = TextVAE(spec, 2, (4, 5, 6))
        drawn = model.sample(RowNoise(tf.range(3)))
        assert drawn.shape == (3, length) and drawn.dtype == tf.int32


def test_trained_it_writes_lines_that_there_are(tmp_path, data_dir):
    # The entropy of a hundred equally likely lines is log 100 nats.
    file = tmp_path / 'lines.txt'
    lines = [numerals.chinese(n) for n in range(100)]
    file.write_text('\n'.join(lines * 5), encoding='utf-8')
    config, examples = tiny.load(
        'text_vae',
        data_dir,
        f'dataset=lines:{file}',
        'text_length=4',
        'conditional=false',
        'recurrent_units=0',
        'filters=32,32',
        'latent_size=8',
        'steps=3000',
        'batch_size=50',
        'learning_rate=3e-3',
        'log_every=1000',
        'checkpoint_every=3000',
    )
    model = train(config, examples, tmp_path / 'run')
    figures = evaluation.evaluate(model, examples, Settings(), ['bounds'])
    bound = figures['importance_bound']
    assert np.log(100) - 3 * bound.error < bound.value < np.log(100) + 0.3
    noise = BatchNoise(tf.constant([0, 1]), 200)
    drawn = examples.spec.encode(model.sample(noise)).numpy()
    known = [line.decode() in lines for line in drawn]
    assert np.mean(known) > 0.9
    # The served signature returns strings.
    served = signatures.functions(model)
    made = served['sample_txt'](seed=tf.range(3, dtype=tf.int64))
    assert all(isinstance(t, bytes) for t in made['symbols_bytes'].numpy())


def _package(path, poems):
    """An npm package with one file of poems."""
    content = json.dumps(poems).encode()
    with tarfile.open(path, 'w:gz') as package:
        name = 'package/dist/quantangshi/poet.tang.0.json'
        member = tarfile.TarInfo(name)
        member.size = len(content)
        package.addfile(member, io.BytesIO(content))


def test_couplets_of_poems_are_written_line_by_line(tmp_path):
    moon = '床前明月光，疑是地上霜'
    verses = [f'{moon}。', '春眠不覺曉，處處聞啼鳥。夜來。', '不是詩']
    _package(tmp_path / 'poems.tgz', [{'paragraphs': verses}])
    command = [sys.executable, str(tiny.script('poems'))]

    def run(package, *flags):
        file = tmp_path / 'poems.txt'
        flags = [f'--package={tmp_path / package}', f'--output={file}', *flags]
        return processes.run([*command, *flags]).stdout, file

    out, file = run('poems.tgz')
    assert '2 of 2 couplets' in out
    lines = file.read_text(encoding='utf-8').splitlines()
    assert sorted(lines) == lines and moon in lines
    _package(tmp_path / 'none.tgz', [{'paragraphs': ['短，句。']}])
    (tmp_path / 'no.tgz').write_text('nothing')
    for package, message in (
        ('none.tgz', 'has no Tang poems'),
        ('no.tgz', 'cannot be read'),
        ('missing.tgz', 'cannot be read'),
    ):
        with pytest.raises(AssertionError, match=message):
            run(package)
