"""Properties of every model with an exact likelihood.

They are tested for every such model of tests/tiny.py, on the smallest examples
of its specs, and for a toy model of symbols, which no model here takes yet.
"""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tiny
import toys

from tfgen import probability
from tfgen.data import ImageSpec, PaletteSpec, PointSpec, SoundSpec, SymbolSpec
from tfgen.models.contracts.likelihood import Autoregressive, LikelihoodModel
from tfgen.noise import BatchNoise, RowNoise

EXACT = [
    m for m in tiny.MODELS if issubclass(tiny.preset(m).model, LikelihoodModel)
]
SEQUENTIAL = [
    m for m in EXACT if issubclass(tiny.preset(m).model, Autoregressive)
]
# Specs whose examples can all be enumerated.
SMALLEST = {
    **tiny.SPECS,
    ImageSpec: ImageSpec(height=2, width=2, levels=2, num_classes=3),
}
# More than one layer, to test the path from layer to layer.
DEEPER = {'num_layers': 2, 'layers_per_stack': 3}
# Larger examples: name -> (spec, whether the model is conditional).
LARGER = {
    'grey': (ImageSpec(height=4, width=3, levels=2), False),
    'colour': (
        ImageSpec(height=3, width=3, channels=3, levels=5, num_classes=4),
        True,
    ),
    'palette': (
        PaletteSpec(
            height=3,
            width=4,
            levels=3,
            palette=((1, 2, 3), (4, 5, 6), (7, 8, 9)),
        ),
        False,
    ),
    'sound': (SoundSpec(length=40, sample_rate=8000), False),
    'labelled sound': (
        SoundSpec(length=40, sample_rate=8000, num_classes=3),
        True,
    ),
    'symbols': (SymbolSpec(length=9, alphabet=tuple('abcde')), False),
}


def _build(model, spec=None, conditional=False, **changes):
    if model == 'bigram':
        spec = spec or tiny.SPECS[SymbolSpec]
        built = toys.Bigram(spec, conditional=conditional)
        random = np.random.default_rng(0)
        for v in built.trainable_variables:
            v.assign(random.normal(size=v.shape))
        return built
    if 'conditional' in tiny.preset(model).settings:
        changes['conditional'] = conditional
    spec = spec or SMALLEST[_kinds(model)[0]]
    return tiny.build(model, spec, **changes)


def _kinds(model):
    if model == 'bigram':
        return toys.Bigram.spec_types
    return tiny.preset(model).model.spec_types


def _takes(model, spec, conditional):
    if model == 'bigram':
        return tiny.takes(toys.Bigram, spec)
    own = tiny.preset(model)
    settings = own.settings
    if 'conditional' in settings:
        settings['conditional'] = conditional
    return tiny.takes(own.model, spec, **settings)


def _everything(built, count):
    """Enumerates all examples of `count` levels: levels, examples."""
    size = built.spec.dimensions
    levels = np.array(list(itertools.product(range(count), repeat=size)))
    levels = tf.constant(levels.reshape(-1, *built.spec.shape), tf.int32)
    return levels, built.to_example(levels)


EVERY = pytest.mark.parametrize('model', [*SEQUENTIAL, 'bigram'])
CASES = [
    (model, case)
    for model in [*SEQUENTIAL, 'bigram']
    for case, (spec, conditional) in LARGER.items()
    if _takes(model, spec, conditional)
]
# Colours are the hardest case of an image. The other networks have the same
# parts as these, or fewer.
FEW = ('diagonal_bilstm', 'pixelrnn', 'gated_pixelcnn', 'wavenet', 'bigram')
ON_LARGER = pytest.mark.parametrize(
    'model,case',
    [
        pytest.param(
            *case,
            marks=()
            if case[0] in FEW and case[1] not in ('grey', 'palette')
            else pytest.mark.wide,
        )
        for case in CASES
    ],
)


def _examples(built, count):
    """Draws random examples at the model's levels."""
    random = np.random.default_rng(5)
    levels = random.integers(0, built.levels, [count, *built.spec.shape])
    return built.to_example(tf.constant(levels, tf.int32))


def _larger(model, case):
    spec, conditional = LARGER[case]
    deeper = {}
    if model != 'bigram':
        own = tiny.preset(model).settings
        deeper = {k: v for k, v in DEEPER.items() if k in own}
    built = _build(model, spec, conditional, **deeper)
    label = tf.range(6) % spec.num_classes if conditional else None
    return built, label


@EVERY
def test_probabilities_of_all_examples_sum_to_one(model):
    built = _build(model)
    _, examples = _everything(built, built.levels)
    log_p = built.log_prob(examples).numpy().astype(np.float64)
    np.testing.assert_allclose(np.exp(log_p).sum(), 1.0, rtol=1e-4)


@pytest.mark.parametrize('model', [m for m in EXACT if m not in SEQUENTIAL])
def test_a_density_integrates_to_one(model):
    built = _build(model)
    if tiny.preset(model).model.spec_types[0] is not PointSpec:
        pytest.skip('only in the plane can a sum stand for the integral')
    line = np.linspace(-9, 9, 400)
    plane = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    log_p = built.log_prob(tf.constant(plane, tf.float32)).numpy()
    total = np.exp(log_p.astype(np.float64)).sum() * (line[1] - line[0]) ** 2
    np.testing.assert_allclose(total, 1.0, rtol=1e-3)


@EVERY
def test_a_label_gives_another_distribution_that_sums_to_one(model):
    built = _build(model, conditional=True)
    if not built.num_classes:
        pytest.skip('it knows no label')
    _, examples = _everything(built, built.levels)
    totals = []
    for label in (0, 1):
        log_p = built.log_prob(examples, tf.fill([len(examples)], label))
        totals.append(np.exp(log_p.numpy().astype(np.float64)))
        np.testing.assert_allclose(totals[-1].sum(), 1.0, rtol=1e-4)
    assert np.abs(totals[0] - totals[1]).max() > 1e-6


@ON_LARGER
def test_no_value_reaches_its_own_logits_or_those_of_earlier_ones(model, case):
    built, label = _larger(model, case)
    size, count = built.spec.dimensions, built.levels
    # Several examples, since a ReLU may block the path in one of them.
    example = _examples(built, 6)
    levels = built.to_levels(example).numpy().reshape(6, size)
    before = built.logits(example, label).numpy().reshape(6, size, count)
    reached = np.zeros([size, size], bool)
    for i in range(size):
        other = levels.copy()
        other[:, i] = (other[:, i] + 1 + count // 3) % count
        other = built.to_example(tf.reshape(tf.constant(other), example.shape))
        after = built.logits(other, label).numpy().reshape(6, size, count)
        reached[i] = np.any(after != before, axis=(0, 2))
    assert not np.any(reached[np.tril_indices(size)])
    # Each value reaches the next, but in some networks a row's last does not.
    assert np.diag(reached, 1).mean() > 0.6


@ON_LARGER
def test_drawing_step_by_step_equals_the_whole_network(model, case):
    built, label = _larger(model, case)
    noise = RowNoise(tf.range(6))
    fast = tf.function(lambda: built.sample(noise, label))()
    uniforms = tf.reshape(built.uniforms(noise), [6, -1])
    slow = np.zeros([6, built.spec.dimensions], np.int32)
    logits = tf.function(lambda x: built.logits(built.to_example(x), label))
    for t in range(slow.shape[1]):
        found = logits(tf.reshape(tf.constant(slow), fast.shape))
        found = tf.reshape(found, [6, slow.shape[1], -1])[:, t]
        slow[:, t] = probability.categorical(found, uniforms[:, t])
    levels = built.to_levels(fast).numpy().reshape(slow.shape)
    np.testing.assert_array_equal(levels, slow)
    assert len(np.unique(slow)) > 1


@EVERY
def test_samples_have_the_models_probabilities(model):
    built = _build(model)
    count = built.levels
    if count**built.spec.dimensions > 1000:
        pytest.skip('too many examples to count')
    draws = 40_000
    drawn = built.sample(BatchNoise(tf.constant([1, 2]), draws))
    levels = built.to_levels(drawn).numpy().reshape(draws, -1)
    codes = levels @ count ** np.arange(levels.shape[1])[::-1]
    counts = np.bincount(codes, minlength=count ** levels.shape[1])
    _, examples = _everything(built, count)
    p = np.exp(built.log_prob(examples))
    deviation = np.sqrt(draws * p * (1 - p)) + 1
    assert np.all(np.abs(counts - draws * p) < 4.5 * deviation)


@pytest.mark.parametrize('model', [m for m in EXACT if m not in SEQUENTIAL])
def test_samples_of_a_density_have_its_entropy(model):
    built = _build(model)
    if tiny.preset(model).model.spec_types[0] is not PointSpec:
        pytest.skip('only in the plane can a sum stand for the integral')
    drawn = built.sample(BatchNoise(tf.constant([1, 2]), 40_000))
    drawn = -built.log_prob(drawn).numpy()
    line = np.linspace(-9, 9, 400)
    plane = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    log_p = built.log_prob(tf.constant(plane, tf.float32)).numpy()
    entropy = -np.sum(np.exp(log_p) * log_p) * (line[1] - line[0]) ** 2
    error = drawn.std() / np.sqrt(len(drawn))
    assert abs(drawn.mean() - entropy) < 4 * error + 1e-3


def _halves(built, rows):
    mask = np.ones([rows, *built.spec.mask_shape], np.float32)
    mask[:, mask.shape[1] // 2 :] = 0.0
    return tf.constant(mask)


@ON_LARGER
def test_completion_keeps_what_is_known_bit_for_bit(model, case):
    built, label = _larger(model, case)
    random = np.random.default_rng(6)
    example = _examples(built, 6)
    if example.dtype == tf.float32:  # values between levels are valid, too
        example *= tf.constant(random.uniform(0.9, 1, example.shape), 'float32')
    mask = random.integers(0, 2, [6, *built.spec.mask_shape])
    mask = tf.constant(mask, tf.float32)
    completed = built.complete(example, mask, RowNoise(tf.range(6)), label)
    known = np.broadcast_to(mask.numpy() == 1, example.shape)
    np.testing.assert_array_equal(
        completed.numpy()[known], example.numpy()[known]
    )
    assert built.spec.valid(completed)[0]


@ON_LARGER
def test_completion_of_nothing_is_a_sample_and_of_all_the_example(model, case):
    built, label = _larger(model, case)
    example, noise = _examples(built, 6), RowNoise(tf.range(6))
    shape = [6, *built.spec.mask_shape]
    np.testing.assert_array_equal(
        built.complete(example, tf.zeros(shape), noise, label),
        built.sample(noise, label),
    )
    np.testing.assert_array_equal(
        built.complete(example, tf.ones(shape), noise, label), example
    )


@ON_LARGER
def test_completion_goes_on_as_a_sample_would(model, case):
    # From the first half and the noise of a sample, it gives the sample.
    built, label = _larger(model, case)
    noise = RowNoise(tf.range(6))
    drawn = built.sample(noise, label)
    np.testing.assert_array_equal(
        built.complete(drawn, _halves(built, 6), noise, label), drawn
    )


@ON_LARGER
def test_completion_depends_on_what_is_known_and_not_on_what_is_hidden(
    model, case
):
    built, _ = _larger(model, case)
    if built.num_classes:
        built = _build(model, built.spec)
    rows = 200
    noise = BatchNoise(tf.constant([3, 4]), rows)
    mask = _halves(built, rows)
    one = tf.repeat(_examples(built, 1), rows, axis=0)
    two = built.to_example((built.to_levels(one) + 1) % built.levels)
    ends = [built.complete(x, mask, noise).numpy() for x in (one, two)]
    hidden = np.broadcast_to(mask.numpy() == 0, one.shape)
    assert np.any(ends[0][hidden] != ends[1][hidden])
    other = tf.where(mask == 1, one, two)
    np.testing.assert_array_equal(built.complete(other, mask, noise), ends[0])


@ON_LARGER
def test_dropout_acts_in_training_alone(model, case):
    built, label = _larger(model, case)
    example = _examples(built, 6)
    batch = {built.spec.key: example, 'label': label}
    noise = BatchNoise(tf.constant([0, 0]), 6)
    loss = built.loss_terms(batch, noise)['negative_log_likelihood']
    exact = -built.log_prob(example, label)
    if getattr(built, 'dropout', 0.0):
        assert np.all(loss != exact)
    else:
        np.testing.assert_allclose(loss, exact, rtol=1e-6)
    np.testing.assert_array_equal(exact, -built.log_prob(example, label))
