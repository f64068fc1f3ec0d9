"""The text VAE: reading and writing of lines."""

import numpy as np
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
