"""Pictures of the latent space, and interpolation between codes."""

import numpy as np
import pytest
import tensorflow as tf
import tiny
from PIL import Image

from tfgen.errors import UserError
from tfgen.export.trained import TrainedModel
from tfgen.models.contracts.latent import between
from tfgen.pictures import calls, latent_space


@pytest.fixture(scope='module')
def served(data_dir):
    made = {}

    def get(model):
        if model not in made:
            config, images = tiny.load(model, data_dir)
            built = tiny.build(model, config.spec)
            run = TrainedModel(config, 0, None, live=built)
            made[model] = run, images
        return made[model]

    return get


def test_the_way_between_codes():
    random = np.random.default_rng(0)
    first, last = (
        tf.constant(random.normal(size=[50, 8]), tf.float32) for _ in range(2)
    )
    straight, curved = tf.zeros([50], tf.int32), tf.ones([50], tf.int32)
    for way in (straight, curved):
        for weight, end in ((0.0, first), (1.0, last)):
            found = between(first, last, tf.fill([50], weight), way)
            np.testing.assert_allclose(found, end, atol=1e-5)
    half = tf.fill([50], 0.5)
    middle = between(first, last, half, straight)
    np.testing.assert_allclose(middle, (first + last) / 2, atol=1e-6)
    arc = between(first, last, half, curved)
    lengths = [np.linalg.norm(v, axis=1) for v in (first, last, arc, middle)]
    np.testing.assert_allclose(lengths[2], (lengths[0] + lengths[1]) / 2, 1e-4)
    assert np.all(lengths[3] < lengths[2])
    # The middle has equal angles to both ends.
    np.testing.assert_allclose(
        _cosine(arc, first), _cosine(arc, last), atol=1e-5
    )
    # Without an angle or a direction, the arc becomes the straight line.
    for other in (first, -first, 2.0 * first, tf.zeros_like(first)):
        found = between(first, other, half, curved)
        np.testing.assert_allclose(found, (first + other) / 2, atol=1e-5)


def _cosine(a, b):
    a, b = a.numpy(), b.numpy()
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(1) / lengths


CODING = ('cvae', 'autoencoder', 'pca', 'rbm', 'bigan', 'text_vae')


@pytest.mark.parametrize('model', CODING)
def test_rows_between_examples_begin_and_end_with_their_reconstructions(
    model, served
):
    model, examples = served(model)
    drawn, columns, _ = latent_space.interpolation(model, None, 0, examples)
    batch = calls.real_examples(model, examples, 2 * columns)
    # Each row has the first label of its pair.
    if 'label' in batch:
        batch['label'] = np.repeat(batch['label'][::2], 2)
    z = latent_space.encode(model, batch)
    rows = drawn.reshape(columns, columns, *model.spec.shape)
    ends = rows[:, [0, -1]].reshape(2 * columns, *model.spec.shape)
    labels = {k: v for k, v in batch.items() if k == 'label'}
    if 'label' in batch:
        own = calls.real_examples(model, examples, 2 * columns)
        z = latent_space.encode(model, own)
    decoded = model.call('decode', {'z': z} | labels)
    np.testing.assert_allclose(ends, decoded[model.spec.key], atol=1e-4)


@pytest.mark.parametrize(
    'model', ('cvae', 'dcgan', 'autoencoder', 'pca', 'rbm', 'hierarchical_vae')
)
def test_a_traversal_changes_one_number_a_row(model, served):
    model, examples = served(model)
    codes = latent_space.Codes.of(model, examples)
    assert (codes.sorted is None) == latent_space.has_prior(model)
    drawn, columns, _ = latent_space.traversal(model, codes, None)
    size = model.config.preset.model.code_size(model.config.preset.settings)
    rows = drawn.reshape(size, columns, -1)
    assert np.all(np.abs(np.diff(rows, axis=1)).max((1, 2)) > 0)
    # The middle of every row is the same median code.
    middle = codes.quantiles(np.full([1, size], 0.5))
    ends = codes.quantiles(np.stack([np.full(size, q) for q in (0.05, 0.95)]))
    assert np.all(ends[0] < middle) and np.all(middle < ends[1])


def test_quantiles_of_codes_are_those_of_examples(served):
    model, examples = served('pca')
    codes = latent_space.Codes.of(model, examples)
    batch = calls.real_examples(model, examples, 2000, repeat=False)
    z = latent_space.encode(model, batch)
    found = codes.quantiles(np.full([1, 3], 0.25))
    np.testing.assert_allclose((z < found).mean(0), 0.25, atol=0.01)


def test_attributes_move_by_the_difference_of_two_classes(served):
    model, examples = served('autoencoder')
    drawn, columns, _ = latent_space.attributes(model, examples, [3, 5])
    rows = drawn.reshape(-1, columns, 64)
    (batch,) = examples.evaluation('test', 1000)
    label = batch['label'].numpy()
    real = batch['image'].numpy().reshape(-1, 64)[label == 3]
    np.testing.assert_array_equal(rows[:, 0], real[: len(rows)])
    z = model.functions['encode'](image=batch['image'])['z'].numpy()
    step = z[label == 5].mean(0) - z[label == 3].mean(0)
    z = z[label == 3][: len(rows)]
    for column, weight in ((1, 0.0), (columns - 1, 1.5)):
        moved = model.call('decode', {'z': z + weight * step})['image']
        np.testing.assert_allclose(
            rows[:, column], tf.reshape(moved, [-1, 64]), atol=1e-4
        )
    for labels, message in (([1], 'take two'), ([0, 77], 'label 77')):
        with pytest.raises(UserError, match=message):
            latent_space.attributes(model, examples, labels)
    with pytest.raises(UserError, match='an unconditional model'):
        latent_space.attributes(*served('cvae'), None)


def test_neighbours_by_code_and_by_value(served):
    model, examples = served('pca')
    drawn, columns, _ = latent_space.code_neighbours(model, examples, 5)
    real, by_code, by_value = drawn.reshape(3, columns, 64)
    training = np.concatenate(
        [b['image'].numpy() for b in examples.evaluation('train', 500)]
    )
    flat = training.reshape(-1, 64)
    for row in range(5):
        off = ((flat - real[row]) ** 2).sum(1)
        np.testing.assert_allclose(by_value[row], flat[off.argmin()])
    known = model.call('encode', {'image': training})['z']
    z = model.call('encode', {'image': real.reshape(-1, 8, 8, 1)})['z']
    for row in range(5):
        off = ((known - z[row]) ** 2).sum(1)
        np.testing.assert_allclose(by_code[row], flat[off.argmin()])


@pytest.mark.parametrize('method', ('pca', 'tsne'))
def test_a_map_shows_each_label_in_its_colour(method, served):
    picture = latent_space.plane(*served('autoencoder'), method)
    assert picture.shape == (480, 480, 3)
    inside = picture[30:450].reshape(-1, 3)
    colours = {tuple(c) for c in inside if c.max() > 200}
    assert len(colours) >= 10


def test_the_projector_has_codes_labels_and_pictures(served, tmp_path):
    model, examples = served('pca')
    files = latent_space.projector(model, examples)
    codes = np.loadtxt(files['codes.tsv'].decode().splitlines())
    count = model.spec.split_sizes['test']
    assert codes.shape == (count, 3)
    labels = files['labels.tsv'].decode().splitlines()
    (batch,) = examples.evaluation('test', 1000)
    assert labels == [str(label) for label in batch['label'].numpy()]
    (tmp_path / 'sprites.png').write_bytes(files['sprites.png'])
    sheet = np.asarray(Image.open(tmp_path / 'sprites.png'))
    side = int(np.ceil(count**0.5))
    assert sheet.shape == (side * 8, side * 8)
    image = batch['image'].numpy()[side + 2, ..., 0]  # second row, third
    np.testing.assert_allclose(sheet[8:16, 16:24] / 255, image, atol=0.003)
    # TensorBoard's own message parses the file.
    from google.protobuf import text_format
    from tensorboard.plugins.projector import ProjectorConfig

    read = text_format.Parse(
        files['projector_config.pbtxt'].decode(), ProjectorConfig()
    )
    (embedding,) = read.embeddings
    assert embedding.tensor_path in files and embedding.metadata_path in files
    assert list(embedding.sprite.single_image_dim) == [8, 8]


def test_models_that_have_no_codes_are_told(served):
    with pytest.raises(UserError, match="given='test'"):
        latent_space.interpolation(served('rbm')[0], None, 0)
    with pytest.raises(UserError, match='cannot draw'):
        latent_space.plane(*served('dcgan'), 'pca')
