"""PCA equals scikit-learn's; a linear auto-encoder spans its subspace."""

import numpy as np
import pytest
import sklearn.decomposition
import tensorflow as tf
import tiny

from tfgen import evaluation
from tfgen.data import PointSpec
from tfgen.errors import UserError
from tfgen.evaluation.base import Settings
from tfgen.models.pca import PCA
from tfgen.training.run import train


def _images(examples, split):
    return np.concatenate(
        [b['image'] for b in examples.evaluation(split, 500)]
    ).reshape(-1, 64)


@pytest.mark.parametrize('batch_size', (1500, 64, 7))
def test_one_epoch_is_scikit_learns(batch_size, tmp_path, data_dir):
    steps = -(-1500 // batch_size)
    config, examples = tiny.load(
        'pca',
        data_dir,
        f'batch_size={batch_size}',
        f'steps={steps}',
        'latent_size=8',
        f'checkpoint_every={steps}',
    )
    model = train(config, examples, tmp_path)
    x, test = (_images(examples, split) for split in ('train', 'test'))
    reference = sklearn.decomposition.PCA(8, svd_solver='full').fit(x)
    np.testing.assert_allclose(model.mean, reference.mean_, atol=1e-5)
    np.testing.assert_allclose(
        model.variances, reference.explained_variance_, rtol=1e-4
    )
    along = np.sum(model.components.numpy() * reference.components_, axis=1)
    np.testing.assert_allclose(abs(along), 1.0, atol=1e-4)
    np.testing.assert_allclose(
        model.encode(tf.reshape(test, [-1, 8, 8, 1])).numpy() * np.sign(along),
        reference.transform(test),
        atol=1e-4,
    )


def test_its_error_is_the_variance_that_it_leaves(tmp_path, data_dir):
    config, examples = tiny.load(
        'pca', data_dir, 'batch_size=1500', 'steps=1', 'latent_size=8'
    )
    model = train(config, examples, tmp_path)
    x = _images(examples, 'train').astype(np.float64)
    left = np.linalg.eigvalsh(np.cov(x.T, ddof=0))[:-8].sum()
    images = tf.constant(x.reshape(-1, 8, 8, 1), tf.float32)
    decoded = model.decode(model.encode(images))
    off = tf.reshape(decoded, [-1, 64]) - x
    np.testing.assert_allclose(
        tf.reduce_mean(tf.reduce_sum(off**2, axis=1)), left, rtol=1e-4
    )
    figures = evaluation.evaluate(
        model, examples, Settings(split='train'), ['reconstruction']
    )
    np.testing.assert_allclose(figures['squared_error'].value, left, rtol=1e-4)


def test_a_linear_auto_encoder_ends_where_pca_is(tmp_path, data_dir):
    # Baldi and Hornik 1989: the only minimum is that subspace.
    config, examples = tiny.load(
        'autoencoder',
        data_dir,
        'units=none',
        'output=linear',
        'latent_size=2',
        'code_noise=0',
        'input_noise=0',
        'batch_size=500',
        'steps=4000',
        'learning_rate=0.01',
        'checkpoint_every=4000',
        'log_every=1000',
    )
    model = train(config, examples, tmp_path)
    x = _images(examples, 'train').astype(np.float64)
    reference = sklearn.decomposition.PCA(2).fit(x)
    kernel = model.decoder.layers[0].kernel.numpy()
    basis, _ = np.linalg.qr(kernel.T)
    cosines = np.linalg.svd(reference.components_ @ basis, compute_uv=False)
    assert cosines.min() > 0.999


def test_more_components_than_numbers_is_refused():
    with pytest.raises(UserError, match='has 2 numbers'):
        PCA(PointSpec(size=2), latent_size=3)
