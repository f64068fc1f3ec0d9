"""Signatures of models of real size; test_export.py has the others."""

import numpy as np
import pytest
import tensorflow as tf

from tfgen import data, presets
from tfgen.export import signatures


@pytest.mark.parametrize('preset', ['conv_vae_mnist', 'dcgan_mnist'])
def test_pictures_differ_by_less_than_a_millionth_with_their_neighbours(
    preset,
):
    # Real sizes, since small models show no difference at all.
    binary = preset == 'conv_vae_mnist'
    spec = data.ImageSpec(height=28, width=28, levels=2 if binary else 256)
    config = presets.get(preset, ['conditional=false'])
    model = config.build(spec)
    random = np.random.default_rng(0)
    for v in model.trainable_variables:
        v.assign(v * 1.5 + random.normal(0, 0.05, v.shape))
    sample = signatures.functions(model)['sample']
    seeds = tf.range(64, dtype=tf.int64)
    whole = sample(seed=seeds)['image'].numpy()
    assert whole.std() > 0.02
    for count in (1, 2, 3, 17):
        some = sample(seed=seeds[:count])['image']
        np.testing.assert_allclose(some, whole[:count], rtol=0, atol=1e-6)
