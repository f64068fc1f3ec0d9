"""A user's own networks, losses and penalties."""

import sys
import textwrap

import keras
import numpy as np
import processes
import pytest
import tensorflow as tf
import tiny
from keras import layers

import tfgen
from tfgen import presets
from tfgen.data import ImageSpec, PointSpec, SymbolSpec
from tfgen.errors import UserError
from tfgen.layers import own
from tfgen.layers.own import Dropout
from tfgen.losses import adversarial, penalties
from tfgen.models import (
    CVAE,
    GAN,
    VAEGAN,
    AutoEncoder,
    BiGAN,
    HierarchicalVAE,
    InpaintingVAE,
    TextVAE,
)
from tfgen.noise import BatchNoise
from tfgen.training import rehearsal

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, [60, 8, 8, 1], dtype=np.uint8)
LABELS = np.arange(60) % 3
SMALL = {'filters': (4,), 'latent_size': 3, 'batch_size': 16}
NOISE = BatchNoise(tf.constant([0, 3]), 8)


def _train(path, steps=4, **more):
    settings = SMALL | {'schedule': 'constant', 'log_every': 1} | more
    return tfgen.train(
        'cvae', IMAGES, LABELS, workdir=path, steps=steps, **settings
    )


# Networks.


def _encoder(size=6):
    return keras.Sequential(
        [
            layers.Flatten(),
            layers.Dense(8, 'relu'),
            Dropout(0.2),
            layers.Dense(size),
        ]
    )


def _decoder():
    z = keras.Input([6])
    x = layers.BatchNormalization()(layers.Dense(8)(z))
    x = layers.Reshape([8, 8, 1])(layers.Dense(64)(x))
    return keras.Model(z, x)


def test_own_networks_are_trained_resumed_exported_and_on_the_command_line(
    tmp_path,
):
    def train(name, steps):
        # Built anew each time, as in a new process.
        own = {'encoder': _encoder(), 'decoder': _decoder()}
        return _train(tmp_path / name, steps, **own)

    whole = train('whole', 6)
    train('parts', 3)
    parts = train('parts', 6)
    tiny.assert_equal_weights(
        tiny.weights(whole.folder, 6), tiny.weights(parts.folder, 6)
    )
    export = parts.export(tmp_path / 'export')
    np.testing.assert_allclose(export.sample(3), whole.sample(3), atol=1e-5)
    command = [sys.executable, tiny.script('train'), '--set=steps=7']
    out = processes.run([*command, f'--workdir={parts.folder}']).stdout
    assert 'continuing at step 6' in out
    with pytest.raises(UserError, match='another network'):
        _train(parts.folder, 7, encoder=_encoder(), decoder=None)
    assert whole.model().cross_replica(whole.model().settings)


def test_a_model_of_own_networks_is_what_its_keras_file_says(tmp_path):
    spec = tiny.SPECS[ImageSpec]
    network = keras.Sequential([layers.Flatten(), layers.Dense(6)])
    model = CVAE(spec, latent_size=3, filters=(4,), encoder=network)
    model.save(tmp_path / 'x.keras')
    again = keras.models.load_model(tmp_path / 'x.keras')
    for a, b in zip(model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_own_gan_networks_of_colour(tmp_path):
    colour = RNG.integers(0, 256, [40, 8, 8, 3], dtype=np.uint8)
    generator = keras.Sequential(
        [layers.Dense(4 * 4 * 4), layers.Reshape([4, 4, 4])]
        + [layers.Conv2DTranspose(3, 4, 2, 'same')]
    )
    discriminator = keras.Sequential(
        [layers.Conv2D(4, 4, 2, 'same'), layers.Dropout(0.2)]
        + [layers.Flatten(), layers.Dense(1)]
    )
    given = {'generator': generator, 'discriminator': discriminator}
    for name in ('gan', 'bigan'):
        model = tfgen.train(
            name,
            colour,
            workdir=tmp_path / name,
            steps=2,
            batch_size=8,
            latent_size=5,
            discriminator_units=(4,),
            **given,
        )
        assert model.sample(2).shape == (2, 8, 8, 3)


def _dense(*shape):
    """A network of dense layers that gives [B, *shape]."""
    size = int(np.prod(shape))
    return keras.Sequential(
        [layers.Flatten(), layers.Dense(size), layers.Reshape(shape)]
    )


def test_dropout_of_several_draws_gives_each_its_own_mask():
    layer, x = Dropout(0.5), tf.ones([24, 50])
    with own.training(NOISE):
        dropped = layer(x).numpy().reshape(8, 3, 50)
    assert {*np.unique(dropped)} == {0.0, 2.0}
    masks = {row.tobytes() for row in dropped.reshape(24, 50)}
    assert len(masks) == 24  # of draws, and of examples
    half = BatchNoise(tf.constant([0, 3]), 8, start=4, count=4)  # a replica's
    with own.training(half):
        np.testing.assert_array_equal(
            layer(x[:12]).numpy().reshape(4, 3, 50), dropped[4:]
        )
    np.testing.assert_array_equal(layer(x), x)


BINARY = ImageSpec(height=8, width=8, levels=2, num_classes=3)
POINTS = PointSpec(size=2, num_classes=3)
LINES = SymbolSpec(length=5, alphabet=tuple('abcd'), num_classes=3)


@pytest.mark.parametrize(
    ('kind', 'spec', 'settings', 'own'),
    [
        (TextVAE, LINES, {'latent_size': 3, 'conditional': True},
         {'encoder': (6,), 'decoder': (5, 4)}),
        (InpaintingVAE, BINARY, {'latent_size': 3},
         {'prior': (6,), 'encoder': (6,), 'decoder': (8, 8, 1)}),
        (HierarchicalVAE, BINARY, {'low_size': 3, 'top_size': 2},
         {'to_low': (6,), 'to_top': (4,), 'from_top': (6,),
          'from_low': (8, 8, 1)}),
        (BiGAN, POINTS, {'network': 'mlp', 'latent_size': 3,
                         'conditional': True},
         {'encoder': (6,), 'generator': (2,), 'discriminator': (1,)}),
        (VAEGAN, POINTS, {'network': 'mlp', 'latent_size': 3,
                          'conditional': True},
         {'encoder': (6,), 'generator': (2,), 'discriminator': (1,)}),
    ],
)  # fmt: skip
def test_every_family_takes_own_networks(kind, spec, settings, own):
    given = {name: _dense(*shape) for name, shape in own.items()}
    model = kind(spec, **settings, **given)
    again = kind.from_config(model.get_config())
    for name, shape in own.items():
        assert len(model.variables) == len(again.variables)
        wrong = given | {name: _dense(*shape, 2)}
        with pytest.raises(UserError, match=f'{name} gives'):
            kind(spec, **settings, **wrong)
    rows = tf.zeros([8, *spec.shape], spec.dtype)
    batch = {spec.key: rows, 'label': tf.range(8) % 3}
    for update in model.updates():
        with tf.GradientTape() as tape:
            terms = update.loss_terms(batch, NOISE)
            total = tf.add_n([tf.reduce_sum(term) for term in terms.values()])
        slopes = tape.gradient(total, update.variables)
        assert all(slope is not None for slope in slopes)


@pytest.mark.parametrize(
    ('own', 'said'),
    [
        ({'encoder': _encoder(5)}, r'must give \[B, 6\]'),
        ({'decoder': layers.Conv2D(3, 3)}, 'decoder does not take'),
        ({'encoder': {'class_name': 'No', 'config': {}, 'module': 'x'}},
         "has the class 'No', which is not found"),
        ({'encoder': 3}, 'encoder is 3: use a Keras layer or none'),
        ({'encoder': lambda x: x}, 'use a Keras layer or none'),
        ({'encoder': keras.Sequential([layers.Lambda(lambda x: x)])},
         'a Lambda layer with a lambda'),
    ],
)  # fmt: skip
def test_a_wrong_network_is_one_line(own, said, tmp_path):
    with pytest.raises(UserError, match=said):
        _train(tmp_path / 'run', **own)
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
    'setting', [{'spectral_norm': True}, {'penalty': 'weight_clipping'}]
)
def test_settings_of_layers_are_not_for_own_networks(setting, tmp_path):
    network = keras.Sequential([layers.Flatten(), layers.Dense(1)])
    with pytest.raises(UserError, match='acts on layers of tfgen'):
        tfgen.train(
            'gan',
            IMAGES,
            workdir=tmp_path / 'run',
            discriminator=network,
            **setting,
        )


def test_a_network_cannot_be_written_on_the_command_line():
    with pytest.raises(UserError, match='is a Keras layer or none'):
        presets.get('cvae', ['encoder=x'])


# Losses and penalties.


def hinge(scores, role):
    """The loss named 'hinge', as a user writes it."""
    if role == 'real':
        return tf.nn.relu(1.0 - scores)
    if role == 'fake':
        return tf.nn.relu(1.0 + scores)
    return scores if role == 'encoder' else -scores


def slope(game):
    """The penalty named 'r1', as a user writes it."""
    if game.network == 'discriminator':
        return penalties.r1(game.score, game.real)


def laplace(example, mean):
    """The log density of a Laplace distribution of scale 1."""
    each = -tf.abs(example - mean) - np.log(2.0)
    return tf.reduce_sum(each, axis=[1, 2, 3])


def squared(image, made):
    """The error named 'squared', as a user writes it."""
    return tf.reduce_sum(tf.square(image - made), axis=[1, 2, 3])


def average(first, second):
    """A wrong loss: one number for all examples."""
    return tf.reduce_mean(first)


def nothing(scores, role):
    """A wrong loss: it forgets to return."""


def other(scores):
    """A wrong loss: it has no role."""
    return scores


def failing(scores, role):
    """A wrong loss: it fails for one role."""
    return -scores if role == 'real' else {}[role]


def rounded(scores, role):
    """A wrong loss: it has no gradient."""
    return tf.round(scores)


def mean_slope(game):
    """A wrong penalty: one number for all examples."""
    return tf.reduce_mean(penalties.r1(game.score, game.real))


def _terms(model, rows=8):
    example = tf.constant(IMAGES[:rows] / 255.0, tf.float32)
    return [
        update.loss_terms({'image': example}, NOISE)
        for update in model.updates()
    ]


@pytest.mark.parametrize(
    ('kind', 'named', 'own'),
    [
        (GAN, {'loss': 'hinge'}, {'loss': hinge}),
        (BiGAN, {'loss': 'hinge'}, {'loss': hinge}),
        (GAN, {'penalty': 'r1', 'penalty_weight': 2.0},
         {'penalty': slope, 'penalty_weight': 2.0}),
        (AutoEncoder, {'error': 'squared'}, {'error': squared}),
    ],
)  # fmt: skip
def test_an_own_function_acts_as_the_named_one(kind, named, own):
    sizes = {'latent_size': 3}
    if kind is not AutoEncoder:
        units = {'generator_units': (4,), 'discriminator_units': (4,)}
        sizes |= {'network': 'mlp'} | units
    spec = ImageSpec(height=8, width=8, levels=256)
    pair = [kind(spec, **sizes, **given) for given in (named, own)]
    for a, b in zip(*(model.variables for model in pair), strict=True):
        b.assign(a)
    for a, b in zip(*map(_terms, pair), strict=True):
        assert a.keys() == b.keys()
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_an_own_likelihood():
    spec = ImageSpec(height=8, width=8, levels=256)
    model = CVAE(spec, filters=(4,), latent_size=3, likelihood=laplace)
    image = tf.constant(IMAGES[:8] / 255.0, tf.float32)
    z = tf.zeros([8, 3])
    expected = laplace(image, model.decode(z))
    np.testing.assert_allclose(model.log_likelihood(image, z), expected)
    np.testing.assert_array_equal(
        model.values(model.decode(z)), model.decode(z)
    )
    assert model.is_density


def test_own_functions_are_stored_by_name_and_resumed(tmp_path):
    def train(name, steps):
        return tfgen.train(
            'gan',
            IMAGES,
            workdir=tmp_path / name,
            steps=steps,
            batch_size=8,
            generator_units=(4,),
            discriminator_units=(4,),
            loss=hinge,
            penalty=slope,
        )

    whole = train('whole', 4)
    train('parts', 2)
    parts = train('parts', 4)
    tiny.assert_equal_weights(
        tiny.weights(whole.folder, 4), tiny.weights(parts.folder, 4)
    )
    fields = presets.restore('GAN', whole.config.as_dict()['fields'])
    assert fields.loss == 'test_own:hinge'
    export = parts.export(tmp_path / 'export')
    np.testing.assert_allclose(export.sample(3), whole.sample(3), atol=1e-5)


def test_a_function_is_written_on_the_command_line_by_its_name():
    assert presets.get('gan', ['loss=test_own:hinge']).loss == 'test_own:hinge'
    spec = ImageSpec(height=8, width=8, levels=256)
    with pytest.raises(UserError, match='there is none here'):
        GAN(spec, loss='test_own:hing')
    with pytest.raises(UserError, match="unknown loss 'hing'"):
        GAN(spec, loss='hing')
    with pytest.raises(UserError, match="unknown penalty 'r2'"):
        presets.get('gan', ['penalty=r2'])


def test_a_function_without_a_name_is_refused(tmp_path):
    for function in (lambda scores, role: scores, _local()):
        with pytest.raises(UserError, match='at the top of a module'):
            tfgen.train('gan', IMAGES, workdir=tmp_path / 'run', loss=function)
    assert not (tmp_path / 'run').exists()


def _local():
    def local(scores, role):
        return scores

    return local


def test_a_function_gives_one_number_per_example():
    spec = ImageSpec(height=8, width=8, levels=256)
    said = r'shape \(\), and must give one float per example'
    with pytest.raises(UserError, match=said):
        GAN(spec, loss=average)
    for model in (
        AutoEncoder(spec, error=average),
        CVAE(spec, likelihood=average),
    ):
        with pytest.raises(UserError, match=said):
            _terms(model)


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        ({'loss': nothing}, 'gives None'),
        ({'loss': other}, r'takes \(scores\), and must take \(scores, role\)'),
        ({'loss': failing}, "fails for role 'fake' \\(KeyError"),
        ({'loss': rounded}, 'does not depend on any weight'),
        ({'penalty': mean_slope}, r'shape \(\), and must give'),
        ({'optimizer': {'gen': 'sgd'}}, "names the update 'gen': this model"),
    ],
)
def test_a_mistake_shows_before_anything_is_written(given, said, tmp_path):
    with pytest.raises(UserError, match=said):
        tfgen.train('gan', IMAGES, workdir=tmp_path / 'run', **given)
    assert not (tmp_path / 'run').exists()


class Failing(CVAE):
    """A user's model whose loss fails."""

    def loss_terms(self, batch, noise):
        return {'distortion': tf.zeros([2]) + tf.zeros([3])}


@keras.saving.register_keras_serializable('tests')
class Incomplete(layers.Layer):
    """A user's layer whose get_config lacks an argument."""

    def __init__(self, size, **options):
        super().__init__(**options)
        self.size = size

    def get_config(self):
        return super().get_config()

    def call(self, x):
        return x


def test_a_layer_that_does_not_state_its_arguments_is_told(tmp_path):
    encoder = keras.Sequential(
        [Incomplete(3), layers.Flatten(), layers.Dense(6)]
    )
    with pytest.raises(UserError, match='let get_config of its layers return'):
        _train(tmp_path / 'run', encoder=encoder)
    assert not (tmp_path / 'run').exists()


class Averaged(CVAE):
    """A user's model with a wrong term: one number for all examples."""

    def loss_terms(self, batch, noise):
        terms = super().loss_terms(batch, noise)
        return terms | {'more': tf.reduce_mean(terms['rate'])}


def test_a_model_of_ones_own_is_rehearsed():
    spec = ImageSpec(height=8, width=8, levels=256)
    model = Averaged(spec, likelihood='gaussian')
    with pytest.raises(UserError, match=r"the term 'more' has shape \(\)"):
        model.fit(IMAGES, verbose=0)
    model = Failing(spec, likelihood='gaussian')
    with pytest.raises(UserError, match='the loss cannot be computed'):
        model.fit(IMAGES, verbose=0)


def test_a_rehearsal_changes_nothing(tmp_path):
    spec = ImageSpec(height=8, width=8, levels=256)
    network = keras.Sequential(
        [layers.Flatten(), layers.BatchNormalization(), layers.Dense(6)]
    )
    model = CVAE(spec, latent_size=3, likelihood='gaussian', encoder=network)
    before = [v.numpy() for v in model.variables]
    settings = presets.get('cvae')
    rehearsal.rehearse(model, settings)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_layers_of_ones_own_are_found_by_their_module(tmp_path, monkeypatch):
    (tmp_path / 'my_layers.py').write_text(
        'import keras\n'
        '@keras.saving.register_keras_serializable("mine")\n'
        'class Twice(keras.layers.Layer):\n'
        '    def call(self, x):\n'
        '        return 2 * x\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import my_layers

    network = keras.Sequential(
        [my_layers.Twice(), layers.Flatten(), layers.Dense(6)]
    )
    _train(tmp_path / 'run', 2, encoder=network)
    command = [sys.executable, tiny.script('sample'), '--workdir=run']
    processes.run(command, cwd=tmp_path)
    assert (tmp_path / 'run' / 'samples.png').exists()


def test_rows_of_own_functions_may_depend_on_each_other():
    assert GAN.cross_replica(_settings(loss=hinge))
    assert GAN.cross_replica(_settings(penalty=slope))
    assert not GAN.cross_replica(_settings(loss='hinge', penalty='r1'))


def _settings(**more):
    spec = ImageSpec(height=8, width=8, levels=256)
    return GAN(spec, network='mlp', **more).settings


def test_the_documented_functions_are_what_they_say():
    """The examples in the docstrings of losses and penalties run."""
    for module in (adversarial, penalties):
        text = module.__doc__
        code = textwrap.dedent(text[text.index('    def ') :])
        names = {'tf': tf}
        exec(compile(code, module.__name__, 'exec'), names)
        if module is adversarial:
            mine = adversarial.loss('hinge')
            scores = tf.constant([-2.0, 0.5, 3.0])
            for role in ('real', 'fake', 'generator', 'encoder'):
                np.testing.assert_array_equal(
                    names['hinge'](scores, role), getattr(mine, role)(scores)
                )
        else:
            assert callable(names['drift'])
