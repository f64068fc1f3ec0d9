"""MNIST: the latent space of a VAE, and the size of the code."""

import numpy as np
import runs
from absl import flags

_SIZES = (1, 2, 4, 8, 16, 32)
_CLASSES = [3, 8]  # the picture of an attribute goes from the first to the last


def latents():
    """Draws the latent space of a pretrained VAE of MNIST."""
    from tfgen.export.trained import TrainedModel

    vae, examples = _pretrained('conv_vae_mnist')
    across, up = map(int, _widest(vae, examples)[:2])
    kinds = {
        'line': ('interpolation', {'given': 'test'}),
        'plane': ('manifold', {'dimensions': (across, up)}),
        'corners': ('corners', {'given': 'test'}),
        'traversal': ('traversal', {}),
        'attribute': ('attributes', {'labels': _CLASSES}),
        'map': ('map', {'method': 'tsne'}),
        'neighbours': ('code_neighbours', {'count': 10}),
    }
    made = {
        f'mnist_{file}.png': _drawn(vae, examples, kind, **options)
        for file, (kind, options) in kinds.items()
    }
    deep, config, examples = runs.trained('deep_ae_digits', 'latent_size=8')
    small = TrainedModel(config, config.preset.steps, None, live=deep)
    made['digits_neighbours.png'] = _drawn(
        small, examples, 'code_neighbours', count=10
    )
    return made, {'plane': [across, up]}


def _pretrained(name):
    """A pretrained model, and its data."""
    import tfgen

    model = tfgen.load(name)
    return model, model.config.load_data(flags.FLAGS.data_dir)


def _widest(model, examples):
    """The dimensions of the code, those of the largest variance first."""
    from tfgen.pictures import calls, latent_space

    batch = calls.real_examples(model, examples, 2000, repeat=False)
    return np.argsort(-latent_space.encode(model, batch).var(axis=0))


def _drawn(model, examples, kind, **options):
    """A picture of `kind`, as a PNG file."""
    from tfgen.pictures import kinds

    return runs.png(kinds.draw(model, kind, examples, **options).pixels)


def dimensions():
    """Plots how often neighbours by code agree, against the code's size."""
    from matplotlib.figure import Figure

    from tfgen import evaluation
    from tfgen.evaluation.base import Settings

    found = {}
    for name, preset in (
        ('PCA', ['pca_mnist']),
        ('auto-encoder', ['deep_ae_mnist', 'steps=2000']),
        ('VAE', ['vae_mnist', 'steps=20000', 'kl_warmup=0']),
    ):
        shares = found[name] = {}
        for size in _SIZES:
            model, _, examples = runs.trained(*preset, f'latent_size={size}')
            figures = evaluation.evaluate(
                model, examples, Settings(), ['code_classes']
            )
            shares[str(size)] = figures['code_accuracy'].value
        # The data, and so the pixels, are the same for all three.
        found['pixels'] = figures['value_accuracy'].value
    figure = Figure(figsize=(5, 3.4), dpi=110, layout='tight')
    axes = figure.subplots()
    for name in ('PCA', 'auto-encoder', 'VAE'):
        axes.plot(_SIZES, list(found[name].values()), 'o-', label=name)
    axes.axhline(found['pixels'], color='k', linestyle=':', label='by pixels')
    axes.set_xscale('log', base=2)
    axes.set_xticks(_SIZES, _SIZES)
    axes.set_xlabel('numbers in the code')
    axes.set_ylabel('accuracy of five neighbours')
    axes.legend()
    return {'mnist_dimensions.png': runs.saved(figure)}, found
