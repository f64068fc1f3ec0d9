"""Properties of WaveNets only; test_exact.py has the others."""

import numpy as np
import tensorflow as tf

from tfgen import probability
from tfgen.data import SoundSpec
from tfgen.models.wavenet import WaveNet, mu_law_audio, mu_law_levels
from tfgen.noise import RowNoise

RNG = np.random.default_rng(6)


def _model(length, **options):
    sizes = {'units': 6, 'skip_units': 8, 'num_stacks': 2}
    spec = SoundSpec(length=length, sample_rate=8000, num_classes=3)
    model = WaveNet(spec, **sizes | {'layers_per_stack': 3} | options)
    for v in model.trainable_variables:
        v.assign(RNG.normal(size=v.shape) * 0.4)
    return model


def _audio(count, length):
    return mu_law_audio(tf.constant(RNG.integers(0, 256, [count, length])))


def test_mu_law_is_g711s_formula_in_float64():
    x = np.linspace(-1, 1, 2001)
    y = np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256)
    expected = np.round((y + 1) / 2 * 255)
    levels = mu_law_levels(tf.constant(x, tf.float32)).numpy()
    # Rounding of a value between two levels may differ in float32.
    assert np.abs(levels - expected).max() <= 1
    assert np.mean(levels != expected) < 0.01
    assert (levels.min(), levels.max()) == (0, 255)


def test_a_level_is_one_value_wherever_it_stands():
    levels = np.arange(256)
    whole = mu_law_audio(tf.constant(levels))
    for size in (1, 3, 7):
        parts = [
            mu_law_audio(tf.constant(levels[i : i + size]))
            for i in range(0, 256, size)
        ]
        np.testing.assert_array_equal(tf.concat(parts, 0), whole)


def test_mu_law_levels_survive_the_way_through_audio():
    levels = tf.range(256)
    audio = mu_law_audio(levels)
    np.testing.assert_array_equal(mu_law_levels(audio), levels)
    assert np.all(np.diff(audio) > 0)
    assert (float(audio[0]), float(audio[-1])) == (-1.0, 1.0)


def test_each_sample_sees_exactly_its_receptive_field():
    length = 24
    model = _model(length)
    # Several sounds, since a ReLU may block the path in one of them.
    audio = _audio(8, length)
    before = model.logits(audio).numpy()
    reached = np.zeros([length, length], bool)
    for i in range(length):
        changed = audio.numpy()
        changed[:, i] = -changed[:, i]
        after = model.logits(tf.constant(changed)).numpy()
        reached[i] = np.any(after != before, axis=(0, 2))
    ago = np.arange(length)[None, :] - np.arange(length)[:, None]
    expected = (ago >= 1) & (ago <= model.receptive_field)
    np.testing.assert_array_equal(reached, expected)


def test_label_reaches_every_layer():
    model = _model(12, conditional=True)
    audio = _audio(1, 12)
    for block in model.blocks:
        (kernel,) = block.label.trainable_variables
        before = model.log_prob(audio, tf.constant([1])).numpy()
        saved = kernel.numpy()
        kernel.assign(saved + 1.0)
        assert model.log_prob(audio, tf.constant([1])).numpy() != before
        kernel.assign(saved)


def test_a_dilation_beyond_the_sound_is_harmless():
    # It does not take any memory either.
    model = _model(5, num_stacks=1, layers_per_stack=60)
    noise = RowNoise([1, 2])
    fast = model.sample(noise)
    uniforms = model.uniforms(noise)
    slow = np.zeros([2, 5], np.float32)
    for t in range(5):
        logits = model.logits(tf.constant(slow))[:, t]
        level = probability.categorical(logits, uniforms[:, t])
        slow[:, t] = mu_law_audio(level).numpy()
    np.testing.assert_array_equal(mu_law_levels(fast), mu_law_levels(slow))
