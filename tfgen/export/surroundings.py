"""Numbers of the test set that an export carries, for the explorer's page.

A number that a model says of a picture has no scale by itself. Beside the
numbers of test examples it has one. The same holds for a code beside the codes
of test examples.
"""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from tfgen.data import Data
from tfgen.models import GMM
from tfgen.models.contracts.model import Model

FILE = 'assets.extra/explorer.json'
_NUMBERS = ('log_prob', 'elbo', 'score')
_EXAMPLES, _ROWS = 200, 50
_BINS = 24
_MOST = 12_000  # numbers of all codes together, about 80 kB


def measured(
    functions: Mapping[str, Callable],
    examples: Data,
    model: Model | None = None,
) -> dict:
    """Histograms of what a model says of test examples, and their codes.

    Args:
      functions: signature -> function, of a live model or of an export.
      examples: the model's data.
      model: the live model, if there is one.

    Returns:
      numbers: signature -> edges [N + 1] and counts [N] of a histogram.
      codes: z [M, K], plane [M, 2] (the two directions of largest variance) and
        label [M]; missing for models without codes.
      components: of a live mixture of points of the plane; see GMM.components.
    """
    key = examples.spec.key
    batches = [
        {k: v for k, v in batch.items() if k in (key, 'label')}
        for batch in examples.evaluation('test', _ROWS, _EXAMPLES)
    ]
    found: dict = {'numbers': {}}
    for name in _NUMBERS:
        if name in functions:
            values = _outputs(functions[name], (name,), batches)
            found['numbers'][name] = _histogram(values)
    if 'encode' in functions and key == 'image':
        z = _outputs(functions['encode'], ('mean', 'z'), batches)
        found['codes'] = _codes(z, batches)
    if isinstance(model, GMM) and examples.spec.dimensions == 2:
        found['components'] = {
            name: np.round(values, 4).tolist()
            for name, values in model.components().items()
        }
    return found


def _outputs(function, keys, batches):
    """The first of the outputs `keys` of a signature: [M, ...]."""
    stated = function.structured_input_signature[1]
    parts = []
    for batch in batches:
        rows = len(next(iter(batch.values())))
        values = batch | {'seed': tf.range(rows, dtype=tf.int64)}
        given = {name: values[name] for name in stated}
        made = function(**given)
        parts.append(next(made[k] for k in keys if k in made).numpy())
    return np.concatenate(parts)


def _histogram(values):
    finite = values[np.isfinite(values)].astype(float)
    if not len(finite):
        return {'edges': [], 'counts': []}
    counts, edges = np.histogram(finite, _BINS)
    return {
        'edges': np.round(edges, 3).tolist(),
        'counts': counts.tolist(),
    }


def _codes(z, batches):
    """Codes, their places in the plane, and labels."""
    z = np.where(np.isfinite(z), z, 0.0).astype(float)
    z = z[: max(2, _MOST // z.shape[1])]
    centred = z - z.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    plane = centred @ axes[:2].T
    if plane.shape[1] < 2:
        plane = np.pad(plane, [[0, 0], [0, 2 - plane.shape[1]]])
    found = {
        'z': np.round(z, 2).tolist(),
        'plane': np.round(plane, 2).tolist(),
    }
    if 'label' in batches[0]:
        labels = np.concatenate([b['label'].numpy() for b in batches])
        found['label'] = labels[: len(z)].tolist()
    return found
