"""Small runs and models for several test files."""

import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfgen import presets
from tfgen.data import (
    ImageSpec,
    PaletteSpec,
    PartlyLabelledSpec,
    PointSpec,
    SoundSpec,
    SymbolSpec,
)
from tfgen.data.embedded.points import TOY_DISTRIBUTIONS
from tfgen.errors import UserError
from tfgen.models.contracts.capabilities import GenerativeModel
from tfgen.models.contracts.updates import (
    BatchUpdate,
    EpochUpdate,
    GradientUpdate,
)
from tfgen.noise import BatchNoise
from tfgen.training import workdir

ROOT = pathlib.Path(__file__).resolve().parents[1]
# One preset of every model and variant, small enough to train in a second.
_PIXELS = ['units=6', 'num_layers=1', 'dropout=0.2', 'kernel_size=3']
SETTINGS = {
    'cvae': ('cvae_digits', ['filters=4,6', 'latent_size=3', 'kl=monte_carlo']),
    'categorical_vae': (
        'cvae_digits',
        ['filters=4', 'latent_size=3', 'likelihood=categorical'],
    ),
    'diagonal_bilstm': (
        'pixelrnn_digits',
        ['cell=diagonal_bilstm', 'ema=0.9', *_PIXELS, 'num_layers=2'],
    ),
    'pixelrnn': ('pixelrnn_digits', ['cell=lstm', *_PIXELS]),
    'gru': ('pixelrnn_digits', ['cell=gru', *_PIXELS]),
    'row_lstm': ('pixelrnn_digits', ['cell=row_lstm', *_PIXELS]),
    'pixelcnn': ('pixelrnn_digits', ['cell=pixelcnn', *_PIXELS]),
    'gated_pixelcnn': (
        'pixelrnn_digits',
        ['cell=pixelcnn', 'gated=true', *_PIXELS, 'num_layers=2'],
    ),
    'wavenet': (
        'wavenet_tones',
        [
            'audio_length=64',
            'units=4',
            'skip_units=6',
            'num_stacks=2',
            'layers_per_stack=2',
            'ema=0',
        ],
    ),
    'dcgan': (
        'dcgan_digits',
        [
            'generator_units=8,6',
            'discriminator_units=6,8',
            'latent_size=5',
            'dropout=0.2',
            'discriminator_updates=2',
        ],
    ),
    'unrolled': (
        'gan_ring',
        [
            'generator_units=6,5',
            'discriminator_units=5,6',
            'latent_size=3',
            'unrolled_steps=2',
            'penalty=dragan',
            'discriminator_rate=none',
            'spectral_norm=true',
            'pack=2',
        ],
    ),
    'ebgan': (
        'dcgan_digits',
        [
            'generator_units=6,5',
            'discriminator_units=5,6',
            'discriminator=energy',
            'loss=margin',
            'penalty=pulling_away',
            'prior=mixture',
            'self_modulation=true',
            'ema=0',
        ],
    ),
    'bigan': (
        'bigan_digits',
        [
            'network=mlp',
            'generator_units=6',
            'discriminator_units=6',
            'latent_size=3',
            'penalty=gradient_penalty',
            'conditional=true',
        ],
    ),
    'inpainting_gan': (
        'inpainting_gan_digits',
        ['generator_units=6,5', 'discriminator_units=5,6', 'latent_size=3'],
    ),
    'vae_gan': (
        'vae_gan_digits',
        ['generator_units=6,5', 'discriminator_units=5,6', 'latent_size=3'],
    ),
    'semi_supervised_gan': (
        'semi_supervised_gan_mnist',
        [
            'dataset=digits',
            'num_labels=20',
            'generator_units=6',
            'discriminator_units=8,6',
            'latent_size=3',
            'ema=0',
        ],
    ),
    'classifier': ('classifier_digits', ['filters=4', 'feature_size=6']),
    'gaussian': ('gaussian_two_moons', []),
    'autoencoder': (
        'deep_ae_digits',
        ['units=8,6', 'latent_size=3', 'code_noise=0.1', 'input_noise=0.1'],
    ),
    'convolutional_ae': (
        'deep_ae_digits',
        ['network=convolutional', 'units=4,6', 'error=cross_entropy'],
    ),
    # Two of the three RBMs have been trained where a test cuts the run.
    'layerwise_ae': (
        'deep_ae_digits',
        [
            'units=8,6',
            'latent_size=3',
            'activation=sigmoid',
            'layerwise_steps=5',
        ],
    ),
    'iwae': (
        'iwae_mnist',
        ['dataset=digits', 'units=8', 'latent_size=3'],
    ),
    'free_bits': (
        'vae_mnist',
        [
            'dataset=digits',
            'units=8',
            'latent_size=3',
            'free_bits=0.01',
            'kl_warmup=15',
        ],
    ),
    'hierarchical_vae': (
        'iwae2_mnist',
        [
            'dataset=digits',
            'low_size=4',
            'top_size=3',
            'low_units=8',
            'top_units=6',
            'importance_samples=3',
        ],
    ),
    'inpainting_vae': (
        'inpainting_vae_mnist',
        ['dataset=digits', 'units=8', 'latent_size=3', 'masks=any'],
    ),
    'text_vae': (
        'text_vae_numerals',
        [
            'filters=6,8',
            'latent_size=3',
            'conditional=true',
            'recurrent_units=5',
        ],
    ),
    'rbm': (
        'rbm_digits',
        ['hidden_size=5', 'sampling_steps=10', 'gibbs_steps=2'],
    ),
    'rbm_from_data': (
        'rbm_digits',
        ['hidden_size=5', 'sampling_steps=10', 'persistent=false'],
    ),
    # The steps below make two iterations, or passes.
    'pca': ('pca_digits', ['latent_size=3', 'batch_size=104']),
    'gmm': (
        'gmm_digits',
        ['num_components=3', 'variance_floor=0.01', 'batch_size=104'],
    ),
}
COMMON = [
    'batch_size=16',
    'steps=30',
    'log_every=5',
    'checkpoint_every=10',
    'schedule=cosine',
]
MODELS = tuple(SETTINGS)


# Spec type -> a spec so small that tests can enumerate its examples.
SPECS = {
    ImageSpec: ImageSpec(height=4, width=4, levels=2, num_classes=3),
    PartlyLabelledSpec: PartlyLabelledSpec(
        height=4, width=4, num_classes=3, num_labels=3
    ),
    PaletteSpec: PaletteSpec(
        height=2, width=2, levels=2, palette=((1, 2, 3), (4, 5, 6))
    ),
    SoundSpec: SoundSpec(length=2, sample_rate=8000, num_classes=3),
    PointSpec: PointSpec(size=2, num_classes=3),
    SymbolSpec: SymbolSpec(length=3, alphabet=('a', 'b'), num_classes=3),
}


def preset(model: str) -> presets.Preset:
    """Returns the preset of a small run."""
    return presets.get(SETTINGS[model][0], settings(model))


def takes(model, spec, **settings) -> bool:
    """Whether a model class takes examples of `spec`."""
    try:
        model.check(spec, **settings)
    except UserError:
        return False
    return True


def smallest(model: str):
    """Returns the entry of SPECS for the type of the model's own spec."""
    own = preset(model)
    kinds = own.model.spec_types
    points = own.dataset in TOY_DISTRIBUTIONS
    return SPECS[PointSpec if points and PointSpec in kinds else kinds[0]]


def build(model: str, spec=None, seed: int = 4, **changes):
    """Builds a small model for `spec`, with random weights that are not small.

    The default spec is `smallest(model)`.
    """
    own = preset(model)
    spec = spec or smallest(model)
    built = own.model(spec, **own.settings | changes)
    random = np.random.default_rng(seed)
    for update in built.updates():
        if isinstance(update, BatchUpdate | EpochUpdate):
            if isinstance(update, EpochUpdate):
                update.examples = 1  # so that a batch is an epoch
            update.build(own)
            _move(update, built, random)
            continue
        if not isinstance(update, GradientUpdate):
            continue
        for v in update.variables:
            scale = 0.9 / np.sqrt(max(1, np.prod(v.shape[:-1])))
            v.assign(random.normal(size=v.shape) * scale)
    return built


def _move(update, built, random):
    """Applies an update without gradients to some random examples."""
    example = tf.constant(random.random([50, *built.spec.shape]), tf.float32)
    noise = BatchNoise(tf.constant([0, 0]), 50)
    batch = {built.spec.key: example, 'weight': tf.ones([50])}
    built.initialize_from(batch, noise)
    _, means = update.compute(batch, noise, lambda v: tf.reduce_mean(v, axis=0))
    update.apply(means, tf.constant(0, tf.int64))


def settings(model: str) -> list[str]:
    return COMMON + SETTINGS[model][1]


# The models that draw examples.
DRAWING = tuple(
    m for m in MODELS if issubclass(preset(m).model, GenerativeModel)
)
# The first model of each class, for expensive tests.
FAMILIES = tuple({preset(m).model: m for m in reversed(MODELS)}.values())[::-1]


# Models that differ in how they train, draw and compute: an update or several,
# gradients or means, values at once or one by one.
FEW = ('cvae', 'diagonal_bilstm', 'dcgan', 'rbm', 'gmm')


def some(cases, few=FEW) -> list:
    """The cases of a test; those of models outside `few` run with --all.

    Args:
      cases: names of models, or tuples that begin with one.
      few: names of models, or whole cases.
    """
    return [
        case
        if case in few or case[0] in few
        else pytest.param(
            *([case] if isinstance(case, str) else case), marks=pytest.mark.wide
        )
        for case in cases
    ]


# Models that differ in what they serve. The others differ only in training.
SERVED = tuple(
    m
    for m in MODELS
    if m not in ('gru', 'layerwise_ae', 'iwae', 'free_bits', 'rbm_from_data')
)


def load(model: str, data_dir: str, *extra: str, precision='float32'):
    """Returns the Config and data of a small run."""
    name = SETTINGS[model][0]
    changed = presets.get(name, [*settings(model), *extra])
    return workdir.Config.of(name, changed, 0, precision, data_dir)


def script(name: str) -> pathlib.Path:
    """Returns the file of a script in any folder of scripts/."""
    (file,) = (ROOT / 'scripts').rglob(f'{name}.py')
    return file


def train_command(model: str, directory, data_dir, *extra: str) -> list[str]:
    """Returns the command line of a small run; `extra` are more flags."""
    command = [sys.executable, str(script('train'))]
    command += [f'--preset={SETTINGS[model][0]}', f'--workdir={directory}']
    command += [f'--data_dir={data_dir}']
    command += [f'--set={setting}' for setting in settings(model)]
    return command + list(extra)


def weights(directory, step: int) -> dict[str, np.ndarray]:
    """Returns all tensors of a checkpoint: name -> array."""
    reader = tf.train.load_checkpoint(
        f'{directory}/checkpoints/checkpoint-{step}'
    )
    names = sorted(reader.get_variable_to_shape_map())
    return {
        name: reader.get_tensor(name)
        for name in names
        if name != '_CHECKPOINTABLE_OBJECT_GRAPH' and 'save_counter' not in name
    }


def assert_named_generator(graph) -> None:
    """Checks that no operation lets the device choose the random generator.

    A TPU would choose another, and the same seed would give other pictures.
    """
    definition = graph.as_graph_def(add_shapes=False)
    nodes = list(definition.node)
    for function in definition.library.function:
        nodes += function.node_def
    assert 'StatelessRandomGetKeyCounter' not in {node.op for node in nodes}


def assert_equal_weights(a: dict, b: dict) -> None:
    """Checks that weights are equal bit for bit."""
    assert a.keys() == b.keys()
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name], err_msg=name)


def save_picture(file, pixels=100, size=(8, 8), **options) -> None:
    """Writes a picture; `pixels` is an array, or one grey level for all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(pixels, int):
        pixels = np.full(size, pixels, np.uint8)
    Image.fromarray(pixels).save(file, **options)
