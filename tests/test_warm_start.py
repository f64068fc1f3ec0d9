"""A new run starts from the weights of a run or an export."""

import dataclasses
import sys

import numpy as np
import processes
import pytest
import tensorflow as tf
import tiny

from tfgen import arguments
from tfgen.data import ImageSpec, PaletteSpec, SymbolSpec
from tfgen.errors import UserError
from tfgen.export import saved_model, signatures
from tfgen.models.contracts.capabilities import Classifying
from tfgen.models.contracts.likelihood import LikelihoodModel
from tfgen.models.contracts.updates import GradientUpdate
from tfgen.noise import BatchNoise
from tfgen.training import checkpoints, run, warm_start, workdir

SHARED = tiny.ROOT.parent / 'shared' / 'cases'

# One model with averages, one without, one assigned by EM, and one with more
# weights than it serves.
MODELS = ('dcgan', 'cvae', 'gmm', 'semi_supervised_gan')


def _fresh(directory):
    config = workdir.read_config(directory)
    return dataclasses.replace(config, seed=config.seed + 1).build()


@pytest.fixture(scope='module', params=tiny.some(MODELS, ('dcgan',)))
def trained(request, uninterrupted):
    return uninterrupted(request.param, 'off')


def test_the_weights_of_a_run_are_those_that_it_exports(trained):
    expected, _ = workdir.read_config(trained).restore(trained)
    model = _fresh(trained)
    said = warm_start.begin_from(model, str(trained))
    assert 'checkpoint-30' in said and 'others are new' not in said
    for ours, theirs in zip(model.variables, expected.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_weights_of_an_export_serve_what_it_serves(trained, tmp_path):
    config = workdir.read_config(trained)
    live, step = config.restore(trained)
    examples = config.load_data()
    saved_model.export(live, config, step, examples, tmp_path / 'model')
    model = _fresh(trained)
    for source in (tmp_path / 'model', tmp_path / 'model' / '1'):
        assert 'variables' in warm_start.begin_from(model, str(source))
    served, ours = signatures.functions(live), signatures.functions(model)
    requests = saved_model.example_requests(live, served, examples)
    for name, function in served.items():
        inputs = {k: tf.constant(v) for k, v in requests[name].items()}
        for key, value in function(**inputs).items():
            np.testing.assert_array_equal(ours[name](**inputs)[key], value)


def test_a_run_goes_on_from_where_another_ended(
    uninterrupted, tmp_path, data_dir
):
    source = uninterrupted('cvae', 'off')
    config, examples = tiny.load('cvae', data_dir)
    config = dataclasses.replace(config, init_from=str(source), seed=5)
    one = run.train(config, examples, tmp_path / 'one', jit='off')
    flags = ['--seed=5', '--strategy=mirrored', '--jit=off']
    flags += [f'--init_from={source}']
    path = tmp_path / 'two'
    output = processes.run(tiny.train_command('cvae', path, data_dir, *flags))
    assert 'starts from' in output.stdout
    both = workdir.read_config(path).restore(path)[0]
    before = workdir.read_config(source).restore(source)[0]
    cold = dataclasses.replace(config, init_from=None)
    cold = run.train(cold, examples, tmp_path / 'cold', jit='off')

    def distance(other):
        pairs = zip(one.variables, other.variables, strict=True)
        return sum(float(tf.norm(a - b)) for a, b in pairs)

    assert distance(both) < 1e-3
    assert 0.0 < distance(before) < 0.5 * distance(cold)
    # A resumed run does not need its source any more.
    stored = workdir.read_config(tmp_path / 'one')
    assert stored.init_from == str(source)
    gone = dataclasses.replace(config, init_from=str(tmp_path / 'gone'))
    with pytest.raises(UserError, match='was trained with init_from='):
        run.train(gone, examples, tmp_path / 'one')
    run.train(config, examples, tmp_path / 'one')


def test_several_draws_go_on_from_one_whose_rate_warmed_up(
    uninterrupted, data_dir
):
    source = uninterrupted('free_bits', 'off')
    expected, _ = workdir.read_config(source).restore(source)
    model = tiny.load('iwae', data_dir)[0].build()
    assert 'anew' not in warm_start.begin_from(model, str(source))
    for ours, theirs in zip(model.variables, expected.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_other_shapes_are_refused_and_change_nothing(uninterrupted, data_dir):
    source = str(uninterrupted('cvae', 'off'))
    for settings, said in (
        (['latent_size=4'], 'of shape'),
        (['filters=4,6,6'], 'of shape'),
    ):
        model = tiny.load('cvae', data_dir, *settings)[0].build()
        before = [np.array(v) for v in model.variables]
        with pytest.raises(UserError, match=said):
            warm_start.begin_from(model, source)
        for old, now in zip(before, model.variables, strict=True):
            np.testing.assert_array_equal(old, now)
    small = tiny.load('gaussian', data_dir)[0].build()
    with pytest.raises(UserError, match='holds another model'):
        warm_start.begin_from(small, source)


def test_an_export_whose_weights_have_no_numbers_is_refused(tmp_path, data_dir):
    module = tf.Module()
    module.used = [tf.Variable(1.0)]
    tf.saved_model.save(module, str(tmp_path / '1'))
    model = tiny.load('cvae', data_dir)[0].build()
    with pytest.raises(UserError, match='by an older tfgen'):
        warm_start.begin_from(model, str(tmp_path))
    broken = tmp_path / '1' / 'variables' / 'variables.index'
    broken.write_bytes(b'nothing')
    with pytest.raises(UserError, match='cannot be read'):
        warm_start.begin_from(model, str(tmp_path))


# Matching of classes and symbols by name.

NAMES = ('cat', 'dog', 'owl')
LETTERS = ('', 'a', 'b', ' ')
COLOURS = ((1, 2, 3), (4, 5, 6), (1, 2, 3))  # two of them the same
PALETTE = [
    m
    for m in tiny.MODELS
    if PaletteSpec in tiny.preset(m).model.spec_types
    and tiny.preset(m).settings.get('likelihood') in (None, 'categorical')
]


def _turned(names):
    """Moves the last name to the front: number i becomes i + 1."""
    return (names[-1], *names[:-1])


def _run(name, preset, spec, directory):
    """Writes a run with random weights; returns its Config and model."""
    config = workdir.Config(name, preset, 1, 'float32', spec)
    made = config.build()
    random = np.random.default_rng(3)
    for v in made.variables:
        # Positive, because averages of squares are among them.
        v.assign(0.1 + np.abs(0.3 * random.normal(size=v.shape)))
    workdir.write_config(directory, config)
    step = tf.Variable(1, dtype=tf.int64)
    state = checkpoints.of(made, step)
    checkpoints.save(state, directory / 'checkpoints', 1, True)
    return config, made


def _small(model, spec, directory, **changes):
    """Writes a run of a small model for examples of `spec`."""
    preset = dataclasses.replace(tiny.preset(model), ema=0.0, **changes)
    return _run(tiny.SETTINGS[model][0], preset, spec, directory)


def _begun(config, spec, directory):
    """Starts a model for other data from a run; returns it and the messages."""
    model = dataclasses.replace(config, spec=spec, seed=2).build()
    return model, warm_start.begin_from(model, str(directory))


def _results(model, config, example, label):
    """Returns the updates' losses, and the served results of examples."""
    noise = BatchNoise(tf.constant([1, 2]), len(example))
    batch = {model.spec.key: example, 'label': label}
    batch |= {'labelled_image': example, 'labelled_label': label}
    found = {}
    for update in model.updates():
        if isinstance(update, GradientUpdate):
            update.build(config.preset)
            found |= update.loss_terms(batch, noise)
    given = batch | {'seed': tf.range(len(example), dtype=tf.int64)}
    for name, function in signatures.functions(model).items():
        asked = function.structured_input_signature[1]
        if asked.keys() <= given.keys():
            served = function(**{k: given[k] for k in asked})
            found |= {(name, k): v for k, v in served.items()}
    return found


@pytest.mark.parametrize(
    'model', tiny.some(tiny.MODELS, ('cvae', 'dcgan', 'text_vae'))
)
def test_names_in_another_order_give_the_same_function(model, tmp_path):
    spec, changes = tiny.smallest(model), {}
    spec = dataclasses.replace(spec, num_classes=3, class_names=NAMES)
    other = dataclasses.replace(spec, class_names=_turned(NAMES))
    kind = tiny.preset(model).model
    if 'conditional' in arguments.of(kind) and kind.labels_last:
        changes = {'conditional': True}
    letters = isinstance(spec, SymbolSpec)
    if letters:
        spec = dataclasses.replace(spec, alphabet=LETTERS)
        other = dataclasses.replace(other, alphabet=_turned(LETTERS))
    old, expected = _small(model, spec, tmp_path, **changes)
    begun, said = _begun(old, other, tmp_path)
    told = changes or issubclass(kind, Classifying)
    assert ('classes by name, 0 of 3 new' in said) == bool(told)
    assert ('symbols by name, 0 of 4 new' in said) == letters
    random = np.random.default_rng(0)
    values = random.integers(0, 4 if letters else 2, [6, *spec.shape])
    label = random.integers(0, 3, 6)

    def results(built, turn):
        moved = (values + turn) % 4 if letters else values
        given = tf.constant((label + turn) % 3, tf.int32)
        return _results(built, old, tf.constant(moved, spec.dtype), given)

    theirs, ours = results(expected, 0), results(begun, 1)
    assert theirs.keys() == ours.keys()
    for name, value in theirs.items():
        if name[1] == 'class':
            value = (value + 1) % 3
        elif name[1] == 'probabilities':
            value = np.roll(value, 1, axis=1)
        elif name[1] == 'logits' and letters:
            value = np.roll(value, 1, axis=2)
        elif name[1] == 'symbols':
            value = (value + 1) % 4
        if value.dtype == tf.string:
            assert np.array_equal(ours[name], value)
        else:
            np.testing.assert_allclose(ours[name], value, 1e-4, 1e-4)


@pytest.mark.parametrize('model', PALETTE)
def test_colours_in_another_order_give_the_same_density(model, tmp_path):
    spec = PaletteSpec(height=2, width=2, levels=3, palette=COLOURS)
    other = dataclasses.replace(spec, palette=_turned(COLOURS))
    changes = {'conditional': False}
    if 'levels' in tiny.preset(model).hints():
        changes['levels'] = 3
    old, expected = _small(model, spec, tmp_path, **changes)
    begun, said = _begun(old, other, tmp_path)
    assert 'colours by name, 0 of 3 new' in said
    levels = np.random.default_rng(0).integers(0, 3, [6, *spec.shape])
    theirs = _log_density(expected, spec.to_example(levels, 3))
    # The two levels of one colour keep their order.
    turned = np.array([0, 2, 1])[levels]
    ours = _log_density(begun, spec.to_example(turned, 3))
    np.testing.assert_allclose(ours, theirs, 1e-5)


def _log_density(model, example):
    """log p(x), or log p(x|z) at the mean of q(z|x)."""
    if isinstance(model, LikelihoodModel):
        return model.log_prob(example)
    return model.log_likelihood(example, model.code(example))


def test_new_names_keep_their_initial_weights(tmp_path):
    spec = dataclasses.replace(
        tiny.SPECS[SymbolSpec], alphabet=tuple('abcd'), class_names=NAMES
    )
    old, expected = _small('text_vae', spec, tmp_path)
    other = dataclasses.replace(
        spec, alphabet=tuple('xbya'), class_names=('owl', 'elk', 'cat')
    )
    initial = dataclasses.replace(old, spec=other, seed=2).build()
    begun, said = _begun(old, other, tmp_path)
    assert 'symbols by name, 2 of 4 new' in said
    assert 'classes by name, 1 of 3 new' in said
    assert said.count('\n') == 0
    first = [m.variables[0].numpy() for m in (begun, expected, initial)]
    ours, theirs, untrained = first  # [taps, symbols and classes, channels]
    for here, there in enumerate([None, 1, None, 0, 6, None, 4]):
        source = untrained[:, here] if there is None else theirs[:, there]
        np.testing.assert_array_equal(ours[:, here], source)
    for one, other in zip(begun.variables, expected.variables, strict=True):
        if not {4, 6, 7} & set(one.shape):
            np.testing.assert_array_equal(one, other)


def test_sets_that_share_no_name_are_refused(tmp_path):
    spec = dataclasses.replace(
        tiny.SPECS[SymbolSpec], alphabet=('', ' ', 'a', 'b')
    )
    old, _ = _small('text_vae', spec, tmp_path)
    for changes, said in (
        ({'alphabet': ('', ' ', 'x', 'y')}, "symbols '', ' ', 'a', 'b'"),
        (
            {'class_names': NAMES},
            "'0', '1', '2', and the data has none",
        ),
    ):
        other = dataclasses.replace(spec, **changes)
        with pytest.raises(UserError, match=said):
            _begun(old, other, tmp_path)
    # Classes without names are named by their numbers.
    named = dataclasses.replace(spec, class_names=('0', '1', '2'))
    _, said = _begun(old, named, tmp_path)
    assert 'by name' not in said


def test_what_cannot_be_given_by_name_is_refused(tmp_path):
    spec = dataclasses.replace(tiny.smallest('cvae'), class_names=NAMES)
    old, _ = _small('inpainting_gan', spec, tmp_path, conditional=True)
    other = dataclasses.replace(spec, class_names=_turned(NAMES))
    with pytest.raises(UserError, match='InpaintingGAN cannot reorder'):
        _begun(old, other, tmp_path)


IMAGES = ImageSpec(height=4, width=8, levels=2, num_classes=3)


@pytest.mark.parametrize(
    ('model', 'spec', 'changes', 'said'),
    [
        ('cvae', IMAGES, {'num_classes': 2}, '2 classes instead of 3'),
        ('classifier', IMAGES, {'num_classes': 2}, '2 classes instead of 3'),
        ('dcgan', IMAGES, {'channels': 3}, 'channels 3 instead of 1'),
        ('pixelrnn', IMAGES, {'levels': 5}, 'levels 5 instead of 2'),
        # Another shape with as many pixels.
        (
            'iwae',
            IMAGES,
            {'height': 8, 'width': 4},
            'height 8 instead of 4, width 4 instead of 8',
        ),
        (
            'text_vae',
            tiny.SPECS[SymbolSpec],
            {'alphabet': ('a', 'b', 'c')},
            '3 symbols instead of 2',
        ),
        (
            'text_vae',
            tiny.SPECS[SymbolSpec],
            {'length': 13},
            'length 13 instead of 3',
        ),
    ],
)
def test_data_of_another_form_are_said_to_be_that(
    model, spec, changes, said, tmp_path
):
    old, _ = _small(model, spec, tmp_path)
    other = dataclasses.replace(spec, **changes)
    with pytest.raises(UserError, match=said):
        _begun(old, other, tmp_path)


def test_what_a_model_does_not_know_of_its_data_may_change(tmp_path):
    old, expected = _small('cvae', IMAGES, tmp_path, conditional=False)
    other = dataclasses.replace(
        IMAGES, num_classes=2, class_names=('a', 'b'), binarization='dynamic'
    )
    begun, said = _begun(old, other, tmp_path)
    assert 'by name' not in said
    for ours, theirs in zip(begun.variables, expected.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_models_of_another_kind_are_refused(tmp_path):
    old, _ = _small('dcgan', IMAGES, tmp_path / 'gan', conditional=False)
    with pytest.raises(UserError, match='conditional=False, not True'):
        _begun(
            dataclasses.replace(
                old, preset=dataclasses.replace(old.preset, conditional=True)
            ),
            IMAGES,
            tmp_path / 'gan',
        )
    _small('cvae', IMAGES, tmp_path / 'vae')
    with pytest.raises(UserError, match='another model, with CVAE'):
        _begun(old, IMAGES, tmp_path / 'vae')
    points, _ = _small(
        'iwae',
        tiny.smallest('unrolled'),
        tmp_path / 'points',
        likelihood='gaussian',
    )
    with pytest.raises(UserError, match='images instead of points'):
        _begun(points, IMAGES, tmp_path / 'points')


def test_an_export_tells_the_names_of_its_data(uninterrupted, tmp_path):
    source = uninterrupted('cvae', 'off')
    config = workdir.read_config(source)
    live, step = config.restore(source)
    made = tmp_path / 'model'
    saved_model.export(live, config, step, config.load_data(), made)
    other = dataclasses.replace(
        config.spec, class_names=_turned(config.spec.class_names)
    )
    for place in (made, made / '1'):
        _, said = _begun(config, other, place)
        assert 'classes by name, 0 of 10 new' in said
    (made / '1' / saved_model.INFO).unlink()
    with pytest.raises(UserError, match='export the model again'):
        _begun(config, other, made)


def test_lines_of_another_alphabet(tmp_path):
    if not SHARED.is_dir():
        pytest.skip(f'no cases in {SHARED}')
    texts = [SHARED / f'{name}.txt' for name in ('underscore', 'cyrillic')]
    mixed = tmp_path / 'mixed.txt'
    mixed.write_text(texts[0].read_text().replace('r', 'р'), 'utf-8')
    source = tmp_path / 'run'

    def said(text):
        flags = [f'--dataset=lines:{text}', '--set=text_length=8']
        flags += ['--set=steps=2', '--set=filters=4', '--set=latent_size=2']
        command = [sys.executable, str(tiny.script('train'))]
        command += ['--preset=text_vae_numerals', *flags]
        if source.exists():
            command += [f'--init_from={source}', f'--workdir={tmp_path / "b"}']
        else:
            command += [f'--workdir={source}']
        return processes.outcome(command)

    assert said(texts[0]).returncode == 0
    refused = said(texts[1])
    assert refused.returncode == 2
    assert 'the data has none of them' in refused.stderr
    assert refused.stderr.count('\n') == 1
    assert not (tmp_path / 'b').exists()
    assert 'symbols by name, 1 of 18 new' in said(mixed).stdout
