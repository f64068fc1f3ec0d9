"""Calls served functions with NumPy arrays; helpers of all pictures."""

import numpy as np

from tfgen import plots
from tfgen.data.readers.base import sample_rows
from tfgen.errors import UserError

COLUMNS = 10
# Examples, the number of columns of their grid, and titles; see plots.grid.
Pictures = tuple[np.ndarray, int, list[str] | None]


def decode(model, z, labels):
    """Decodes z [rows, columns, K], with one label per row, to examples.

    Returns:
      [rows * columns, ...], row after row.
    """
    inputs = {'z': z.reshape(-1, z.shape[-1]).astype(np.float32)}
    row_labels = labels_of(model, labels, len(z))
    inputs |= {k: np.repeat(v, z.shape[1]) for k, v in row_labels.items()}
    return model.call('decode', inputs)[model.spec.key]


def labels_of(model, labels, count):
    """Returns {'label': int32 [count]}, or {} for unconditional models.

    The labels repeat; by default they are all classes in turn.
    """
    if not model.conditional:
        if labels is not None:
            raise UserError(
                f'labels {list(labels)}: this model is not conditional, leave '
                '--labels out'
            )
        return {}
    classes = model.spec.num_classes
    labels = list(range(classes)) if labels is None else list(labels)
    if any(not 0 <= label < classes for label in labels):
        raise UserError(f'labels {labels}: use 0 to {classes - 1}')
    return {'label': np.resize(labels, count).astype(np.int32)}


def titles_of(model, labels):
    """Returns the class names of labels as titles."""
    return plots.titles(labels, model.spec.class_names)


def real_examples(model, examples, count, repeat=True):
    """Returns a batch of the first `count` test examples.

    If half of the classes are missing among them, as in a folder that is
    ordered by class, the examples are evenly spread over the split instead. If
    the split has fewer, they repeat; with repeat=False the batch is smaller.
    """
    size = examples.count('test')
    batch = examples.at('test', range(min(count, size)))
    seen = len(np.unique(batch.get('label', ())))
    if 2 * seen <= min(count, examples.spec.num_classes):
        batch = examples.at('test', sample_rows(size, count))
    batch = {k: v.numpy() for k, v in batch.items()}
    if not model.conditional:
        batch.pop('label', None)
    if not repeat:
        return batch
    return {k: np.resize(v, (count, *v.shape[1:])) for k, v in batch.items()}


def in_rows(examples, columns=COLUMNS):
    """Reshapes [rows * columns, ...] to [rows, columns, ...]."""
    return examples.reshape(-1, columns, *examples.shape[1:])


def require(model, name, kind):
    """Raises UserError unless the model serves a function."""
    if name not in model.functions:
        raise UserError(
            f'this model cannot draw {kind}: it serves '
            f'{", ".join(sorted(model.functions))}'
        )
