"""Digits: codes of equal size, changed pixels, and samples by density."""

import numpy as np
import runs
import tensorflow as tf

_SIZE = 8  # latent_size of the auto-encoders


def sevens():
    """Scores 7s and copies with one changed pixel, by VAE and by GAN."""
    from tfgen import plots

    vae, _, examples = runs.trained('cvae_digits')
    # A penalty would keep the discriminator's scores close to each other.
    gan, _, _ = runs.trained('dcgan_digits', 'penalty=none', 'ema=0')
    (batch,) = examples.evaluation('test', 1000)
    images = batch['image'].numpy()[batch['label'] == 7]
    triples = [t for t in map(_changed, images) if t is not None]
    shown = np.concatenate(triples)
    label = tf.fill([len(shown)], 7)
    # Squared errors of all three images of a triple against the VAE's
    # reconstruction of the first.
    z, _ = vae.encode(tf.constant(np.repeat(shown[::3], 3, axis=0)), label)
    off = shown - vae.to_example(vae.decode(z, label)).numpy()
    errors = (off**2).sum((1, 2, 3)).reshape(-1, 3)
    scores = gan.score(tf.constant(shown), label).numpy().reshape(-1, 3)
    named = ('as it is', 'a longer stroke', 'a speck')
    titles = [
        f'{name}: error {e:.2f}, d {s:+.2f}'
        for name, e, s in zip(named, errors[0], scores[0], strict=True)
    ]
    pixels = np.round(255 * triples[0]).astype(np.uint8)
    large = pixels.repeat(24, axis=1).repeat(24, axis=2)
    found = {
        'sevens': len(triples),
        'squared_error': dict(zip(named, errors.mean(0).tolist(), strict=True)),
        'd': dict(zip(named, scores.mean(0).tolist(), strict=True)),
        'stroke_above_speck': float(np.mean(scores[:, 1] > scores[:, 2])),
    }
    return {'sevens.png': runs.png(plots.grid(large, 3, titles))}, found


def _changed(seven):
    """Returns a 7 and two copies, each with one pixel set, [3, 8, 8, 1].

    The pixel of the first copy touches a stroke, that of the second does not.
    None if every white pixel touches a stroke.
    """
    ink = np.pad(seven[..., 0] > 0.3, 1)
    near = ink[:-2, 1:-1] | ink[2:, 1:-1] | ink[1:-1, :-2] | ink[1:-1, 2:]
    white = seven[..., 0] == 0
    if not (white & ~near).any():
        return None
    places = np.argwhere(white & near)[0], np.argwhere(white & ~near)[-1]
    pictures = [seven, seven.copy(), seven.copy()]
    for picture, place in zip(pictures[1:], places, strict=True):
        picture[tuple(place)] = 0.8
    return np.stack(pictures)


def codes():
    """Compares reconstructions at equal code size, and maps the codes."""
    from tfgen import evaluation, plots
    from tfgen.evaluation.base import Settings
    from tfgen.export.trained import TrainedModel
    from tfgen.pictures import latent_space

    rows, found = [], {}
    for name, preset in (
        ('PCA', 'pca_digits'),
        ('shallow', 'shallow_ae_digits'),
        ('deep', 'deep_ae_digits'),
    ):
        model, config, examples = runs.trained(preset, f'latent_size={_SIZE}')
        figures = evaluation.evaluate(
            model, examples, Settings(), ['reconstruction', 'code_classes']
        )
        found[name] = {k: v.value for k, v in figures.items()}
        (batch,) = examples.evaluation('test', 12).take(1)
        rows.append(model.reconstruct(batch['image']).numpy())
    rows = [batch['image'].numpy(), *rows]
    titles = [t for t in ('data', *found) for _ in range(12)]
    pixels = np.round(255 * np.concatenate(rows)).astype(np.uint8)
    run = TrainedModel(config, config.preset.steps, None, live=model)
    picture = latent_space.plane(run, examples, 'tsne')
    return {
        'codes.png': runs.png(plots.grid(pixels, 12, titles)),
        'map_deep_ae.png': runs.png(picture),
    }, found


def ranked():
    """Draws samples of a PixelRNN, the most probable first."""
    import tfgen
    from tfgen import plots

    model = tfgen.load('pixelrnn_digits')
    labels = np.repeat(np.arange(10), 20)
    drawn = model.sample(200, labels=labels)
    logs = np.asarray(model.log_prob(drawn, labels=labels))
    rows = []
    for digit in range(10):
        own = np.flatnonzero(labels == digit)
        order = own[np.argsort(-logs[own])]
        rows.append(drawn[order[[*range(6), *range(-6, 0)]]])
    picture = plots.grid(runs.pixels(np.concatenate(rows)), 12)
    found = {'most': float(logs.max()), 'least': float(logs.min())}
    return {'ranked.png': runs.png(picture)}, found


def moving():
    """Animations: a PixelRNN draws, WaveNet's field, a walk through codes."""
    import tfgen
    from tfgen import plots

    made = {}
    for file, name, kind, options in (
        ('drawing', 'pixelrnn_digits', 'drawing', {'count': 9}),
        ('receptive_field', 'wavenet_tones', 'receptive_field', {}),
        ('walk', 'cvae_digits', 'interpolation', {}),
    ):
        picture = tfgen.load(name).show(kind, **options)
        content = plots.moving(list(picture.frames), picture.seconds)
        made[f'{file}.gif'] = content
    return made, {}
