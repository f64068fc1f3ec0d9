"""Grids of pictures and their content."""

import types

import numpy as np
import pytest
import tensorflow as tf
import tiny
from PIL import Image

from tfgen import data, plots, storage
from tfgen.data import ImageSpec, PaletteSpec
from tfgen.errors import UserError
from tfgen.export import signatures
from tfgen.export.trained import TrainedModel
from tfgen.models.pixelrnn import PixelRNN
from tfgen.pictures import calls, completion, drawing, kinds, latent_space


@pytest.fixture(scope='module')
def served(data_dir):
    made = {}

    def get(model):
        if model not in made:
            config, images = tiny.load(model, data_dir)
            run = TrainedModel(config, 0, None, live=config.build())
            made[model] = run, images
        return made[model]

    return get


def test_grid_magnifies_every_pixel_equally_and_leaves_gutters():
    images = np.zeros([3, 8, 8, 1], np.uint8)
    images[1, 0, 0] = 255
    grid = plots.grid(images, 2)
    scale, gutter = 8, 5
    assert grid.shape == (2 * 64 + 3 * gutter, 2 * 64 + 3 * gutter, 1)
    left = gutter + 64 + gutter
    np.testing.assert_array_equal(
        grid[gutter : gutter + scale, left : left + scale], 255
    )
    assert (grid == 255).sum() == scale * scale
    assert np.all(grid[:gutter] == grid[0, 0])


def _parts(grid, plain):
    """Returns the size that titles add, and whether pictures are unchanged."""
    added = np.array(grid.shape) - plain.shape
    inside = grid[added[0] :, added[1] :]
    return added.tolist(), np.array_equal(inside, plain)


def test_titles_stand_where_they_are_shared():
    images = np.random.default_rng(0).integers(0, 200, [6, 8, 8, 1], 'uint8')
    plain = plots.grid(images, 3)
    by_column = plots.grid(images, 3, titles=['cat', 'dog', 'eel'] * 2)
    assert _parts(by_column, plain) == ([16, 0, 0], True)
    by_row = plots.grid(images, 3, titles=['cat'] * 3 + ['dog'] * 3)
    assert _parts(by_row, plain) == ([0, 88, 0], True)
    each = plots.grid(images, 3, titles=list('abcdef'))
    assert each.shape[0] == plain.shape[0] + 2 * 16
    for grid in (by_column[:16], by_row[:, :88], each[5:21]):
        assert (grid == 235).any()  # the titles contain text
    assert np.array_equal(plots.grid(images, 3, titles=None), plain)


def test_long_titles_do_not_run_into_the_next():
    images = np.full([2, 8, 8, 3], 255, np.uint8)
    grid = plots.grid(images, 2, titles=['m' * 60, 'l'])
    assert np.all(grid[:16, 5 + 64 + 3 : 5 + 64 + 5] == grid[0, 0])


@pytest.mark.parametrize(
    'classes,columns', [(1, 10), (2, 10), (3, 9), (7, 7), (12, 12), (100, 10)]
)
def test_columns_follow_the_labels(classes, columns):
    assert plots.label_columns(range(classes), 10) == columns
    assert plots.label_columns(None, 10) == 10


@pytest.mark.parametrize('ending', ['xyz', 'xbm', 'wmf'])
def test_a_picture_format_that_is_not_written_is_named(tmp_path, ending):
    picture = np.zeros([4, 4, 1], np.uint8)
    with pytest.raises(UserError, match='end its name in'):
        storage.write_picture(tmp_path / f'x.{ending}', picture)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('channels', [1, 3])
def test_png_files_hold_the_grid(tmp_path, channels):
    random = np.random.default_rng(0)
    images = random.integers(0, 256, [4, 8, 8, channels], 'uint8')
    grid = plots.grid(images, 2)
    storage.write_picture(tmp_path / 'new' / 'x.png', grid)
    read = np.asarray(Image.open(tmp_path / 'new' / 'x.png'))
    np.testing.assert_array_equal(read.reshape(grid.shape), grid)


def test_samples_repeat_labels_and_follow_seeds(served):
    model, _ = served('dcgan')
    images, columns, titles = completion.samples(model, [3, 1], 6, seed=10)
    assert images.shape == (6, 8, 8, 1) and columns == calls.COLUMNS
    assert titles == ['3', '1'] * 3
    later, *_ = completion.samples(model, [3, 1], 2, seed=14)
    np.testing.assert_allclose(images[4:], later, atol=1e-6)


def test_interpolation_is_between_its_ends(served):
    model, _ = served('cvae')
    images, columns, _ = latent_space.interpolation(model, [7], 0)
    rows = images.reshape(-1, columns, 64)
    # Each step of a row is smaller than the change along the whole row.
    steps = np.abs(np.diff(rows, axis=1)).sum(-1)
    whole = np.abs(rows[:, -1] - rows[:, 0]).sum(-1)
    assert np.all(steps.max(1) < whole)


def test_manifold_varies_along_both_axes(served):
    model, _ = served('cvae')
    images, size, _ = latent_space.manifold(
        model, latent_space.Codes(model), None, size=5
    )
    plane = images.reshape(size, size, 64)
    assert np.abs(np.diff(plane, axis=0)).max() > 1e-6
    assert np.abs(np.diff(plane, axis=1)).max() > 1e-6


def test_styles_show_the_image_and_every_label(served):
    model, images = served('cvae')
    drawn, columns, titles = latent_space.styles(model, images)
    assert columns == 11
    assert titles[:11] == ['test image', *map(str, range(10))]
    rows = drawn.reshape(-1, columns, 8, 8, 1)
    (batch,) = images.evaluation('test', 10).take(1)
    np.testing.assert_array_equal(rows[:, 0], batch['image'])
    # In the column of its own label is the reconstruction of the image.
    inputs = {'image': batch['image'], 'label': batch['label']}
    reconstructed = model.functions['reconstruct'](**inputs)['image'].numpy()
    own = 1 + batch['label'].numpy()
    np.testing.assert_allclose(
        rows[np.arange(10), own], reconstructed, atol=1e-5
    )


def test_completion_keeps_the_upper_half(served):
    model, images = served('pixelrnn')
    drawn, columns, _ = completion.completion(model, images, 10, 8, 0)
    rows = drawn.reshape(-1, columns, 8, 8, 1)
    for column in range(2, columns):
        np.testing.assert_array_equal(rows[:, column, :4], rows[:, 0, :4])
    assert np.abs(rows[:, 2, 4:] - rows[:, 3, 4:]).max() > 0


def test_completion_starts_from_samples_where_there_is_no_data(served):
    model, _ = served('pixelrnn')
    drawn, columns, _ = completion.completion(model, None, 3, 2, 5)
    rows = drawn.reshape(3, columns, 8, 8, 1)
    own, *_ = completion.samples(model, None, 3, 5)
    np.testing.assert_allclose(rows[:, 0], own, atol=1e-6)
    np.testing.assert_array_equal(rows[:, 2, :4], rows[:, 0, :4])
    assert np.any(rows[:, 2, 4:] != rows[:, 0, 4:])


def test_completion_continues_sounds(served):
    model, sounds = served('wavenet')
    drawn, columns, _ = completion.completion(model, sounds, 3, 2, 0)
    assert columns == 4
    rows = drawn.reshape(3, columns, 64)
    (batch,) = sounds.evaluation('test', 3).take(1)
    np.testing.assert_array_equal(rows[:, 0], batch['audio'])
    for column in (1, 2, 3):
        np.testing.assert_array_equal(rows[:, column, :32], rows[:, 0, :32])
    np.testing.assert_array_equal(rows[:, 1, 32:], 0.0)
    assert np.any(rows[:, 2, 32:] != rows[:, 3, 32:])


def test_a_palette_gives_its_colours():
    palette = ((1, 2, 3), (40, 50, 60), (250, 100, 0))
    spec = PaletteSpec(height=2, width=2, levels=3, palette=palette)
    index = np.array([[0, 1], [2, 1]])
    image = (index / 2).reshape(1, 2, 2, 1).astype(np.float32)
    (png,) = spec.encode(tf.constant(image)).numpy()
    pixels = tf.io.decode_png(png).numpy()
    np.testing.assert_array_equal(pixels, np.array(palette)[index])
    grid = spec.draw(image, 1)
    colours = {tuple(c) for c in grid.reshape(-1, 3)}
    assert colours == {*palette, tuple(grid[0, 0])}


def test_a_palette_is_served_in_colour():
    palette = tuple((i, 2 * i, 255 - i) for i in range(5))
    spec = PaletteSpec(height=4, width=4, levels=5, palette=palette)
    model = PixelRNN(
        spec, cell='diagonal_bilstm', units=4, num_layers=1, kernel_size=3
    )
    (png,) = signatures.functions(model)['sample_png'](
        seed=tf.constant([3], tf.int64)
    )['image_bytes'].numpy()
    pixels = tf.io.decode_png(png).numpy()
    assert {tuple(c) for c in pixels.reshape(-1, 3)} <= set(palette)


def test_hidden_pixels_are_drawn_grey():
    images = np.full([1, 64, 64, 1], np.nan)
    images[0, 0, 0] = 1.0
    palette = ((0, 0, 0), (1, 2, 3))
    spec = PaletteSpec(height=64, width=64, levels=2, palette=palette)
    assert {tuple(c) for c in spec.draw(images, 1).reshape(-1, 3)} == {
        (1, 2, 3),
        (64, 64, 64),
        (128, 128, 128),
    }
    grey = ImageSpec(height=64, width=64).draw(images, 1)
    assert {*grey.reshape(-1)} == {64, 128, 255}


def test_a_spectrogram_shows_pitch_and_time():
    time = np.arange(4000) / 8000
    sound = np.where(time < 0.25, np.sin(2 * np.pi * 1000 * time), 0.0)
    (picture,) = plots.spectrograms(sound[None])[..., 0]
    assert picture.shape[0] == 128 and picture.max() == 1.0
    # 1,000 of 4,000 Hz: at a quarter of the height.
    assert abs(picture[:, 3].argmax() - (127 - 32)) <= 1
    assert picture[:, -3].max() == 0.0
    assert plots.spectrograms(np.zeros([1, 400])).max() == 0.0


def test_reconstruction_puts_images_above_their_copies(served):
    model, images = served('cvae')
    drawn, columns, _ = completion.reconstruction(model, images)
    rows = drawn.reshape(-1, 2, columns, 8, 8, 1)
    (batch,) = images.evaluation('test', 40).take(1)
    np.testing.assert_array_equal(
        rows[:, 0].reshape(-1, 8, 8, 1), batch['image']
    )


def test_what_a_model_cannot_draw_is_refused(served):
    model, images = served('pixelrnn')
    with pytest.raises(UserError, match='cannot draw interpolation'):
        latent_space.interpolation(model, None, 0)
    model, _ = served('dcgan')
    with pytest.raises(UserError, match='cannot draw completion'):
        completion.completion(model, images, 10, 8, 0)
    with pytest.raises(UserError, match='use 0 to 9'):
        completion.samples(model, [10], 3, 0)


def test_what_only_some_models_can_draw_is_refused(data_dir):
    # The refusal comes before any function is called.
    functions = dict.fromkeys(('sample', 'encode', 'decode'))
    config, images = tiny.load('cvae', data_dir, 'conditional=false')
    model = TrainedModel(config, 0, None, functions=functions)
    with pytest.raises(UserError, match='needs a conditional model'):
        latent_space.styles(model, images)
    with pytest.raises(UserError, match='not conditional'):
        completion.samples(model, [1], 3, 0)
    config, _ = tiny.load('cvae', data_dir, 'latent_size=1')
    model = TrainedModel(config, 0, None, functions=functions)
    with pytest.raises(UserError, match='latent_size 2 or more'):
        latent_space.manifold(model, latent_space.Codes(model), None)


def test_a_set_in_the_order_of_its_classes_is_shown_with_all_of_them():
    labels = np.repeat(np.arange(3), 20)
    images = np.zeros([60, 8, 8], np.uint8)
    images[:, 0, 0] = labels + 1
    found = data.from_examples(((images, labels), (images, labels)))
    model = types.SimpleNamespace(conditional=True)
    batch = calls.real_examples(model, found, 6)
    assert set(batch['label']) == {0, 1, 2}
    # A set in any other order is shown from its beginning.
    other = (images[::-7], labels[::-7])
    mixed = data.from_examples(((images, labels), other))
    batch = calls.real_examples(model, mixed, 6)
    np.testing.assert_array_equal(batch['label'], labels[::-7][:6])


def test_a_manifold_is_spanned_by_any_two_dimensions(served):
    model, _ = served('cvae')
    codes = latent_space.Codes(model)
    images, size, _ = latent_space.manifold(
        model, codes, None, size=3, dimensions=(2, 0)
    )
    z = np.full([1, 1, 3], 0.5)
    z[..., 2], z[..., 0] = 5 / 6, 5 / 6  # the upper right corner
    wanted = calls.decode(model, codes.quantiles(z), [0])
    np.testing.assert_allclose(images[size - 1], wanted[0], atol=1e-6)
    for wrong in ((1, 1), (0, 3)):
        with pytest.raises(UserError, match='use two different ones of 0 to 2'):
            latent_space.manifold(model, codes, None, dimensions=wrong)


def test_corners_are_codes_and_the_rest_their_mixtures(served):
    model, images = served('autoencoder')
    drawn, columns, _ = latent_space.corners(model, None, 0, images)
    batch = calls.real_examples(model, images, 100)
    labels = images.at('test', range(100))['label'].numpy()
    ends = np.stack([drawn[i] for i in (0, 9, 90, 99)])
    made = calls.in_rows(drawn, columns)
    codes = latent_space.encode(model, batch)
    first = np.sort(np.unique(labels, return_index=True)[1])[:4]
    assert len(set(labels[first])) == 4
    wanted = calls.decode(model, codes[first][None], None)
    np.testing.assert_allclose(ends, wanted, atol=1e-5)
    middle = (codes[first[0]] * 5 + codes[first[1]] * 4) / 9
    wanted = calls.decode(model, middle[None, None], None)
    np.testing.assert_allclose(made[0, 4], wanted[0], atol=1e-5)
    # Without examples the corners come from the prior.
    model, _ = served('cvae')
    one, *_ = latent_space.corners(model, [2], 0)
    other, *_ = latent_space.corners(model, [2], 1)
    assert one.shape == (100, 8, 8, 1) and not np.allclose(one, other)
    with pytest.raises(UserError, match='this model has no prior'):
        latent_space.corners(served('autoencoder')[0], None, 0)


def test_a_drawing_shows_the_values_in_their_order(served):
    model, _ = served('pixelrnn')
    picture = kinds.draw(model, 'drawing', count=4)
    frames = [np.asarray(frame) for frame in picture.frames]
    last = model.spec.draw(picture.examples, 2).squeeze()
    np.testing.assert_array_equal(frames[-1], last)
    known = [(frame == last).mean() for frame in frames]
    assert known == sorted(known) and known[-1] == 1.0
    # Values that are shown stay.
    half = frames[len(np.unique(known)) // 2]
    top = last.shape[0] // 8
    np.testing.assert_array_equal(half[:top], last[:top])
    assert (half[top * 3 : top * 4] != last[top * 3 : top * 4]).any()


def test_a_receptive_field_is_where_the_logits_look(served):
    model, _ = served('wavenet')
    live = model.model()
    dilations = live.dilations[:2]  # the first stack
    assert dilations == [1, 2]
    live.blocks = live.blocks[:2]
    label = tf.constant([3])
    levels = np.random.default_rng(0).integers(0, 256, [1, 12])
    audio = live.to_example(tf.constant(levels))
    place, seen = 9, set()
    before = live.logits(audio, label)[0, place]
    for other in range(12):
        changed = levels.copy()
        changed[0, other] = 255 - changed[0, other]
        audio = live.to_example(tf.constant(changed))
        after = live.logits(audio, label)[0, place]
        if not np.array_equal(before, after):
            seen.add(other)
    # A value is computed from the ones before it.
    found = drawing.sources(dilations, place)
    assert {p - 1 for p in found[0]} == seen
    assert [len(places) for places in found] == [4, 2, 1]
    picture = kinds.draw(model, 'receptive_field')
    assert len(picture.frames) > 10
