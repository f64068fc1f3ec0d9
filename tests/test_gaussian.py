"""The normal distribution: its moments are those of the data."""

import numpy as np
import tiny

from tfgen.training.run import train


def test_one_pass_gives_the_moments_of_all_batches(tmp_path, data_dir):
    config, examples = tiny.load('gaussian', data_dir)
    model = train(config, examples, tmp_path)
    seen = examples.train(0, config.preset.batch_size).take(30)
    x = np.concatenate([batch['point'] for batch in seen]).astype(np.float64)
    scale = model.scale().numpy()
    np.testing.assert_allclose(model.first, x.mean(0), atol=1e-5)
    np.testing.assert_allclose(scale @ scale.T, np.cov(x.T, ddof=0), atol=1e-4)
