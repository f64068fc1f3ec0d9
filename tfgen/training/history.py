"""The curves of a run, read from its TensorBoard summaries."""

import pathlib
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from tfgen.storage import remote


class History(dict):
    """The curves of a training: name -> array over the logged steps.

    'step' holds the steps. The other names are loss terms such as
    'generator/fool', metrics such as 'metrics/accuracy', and
    'examples_per_second'. A curve is NaN at steps where it was not logged.
    """

    def __missing__(self, name: str):
        raise KeyError(f'no curve {name!r}: there are {", ".join(self)}')

    def __repr__(self) -> str:
        steps = self.get('step', ())
        if not len(steps):
            return 'history without steps'
        lines = [f'history of {len(steps)} points, to step {steps[-1]:,}']
        for name, values in self.items():
            if name != 'step':
                lines.append(f'  {name}: {values[0]:.4g} -> {values[-1]:.4g}')
        return '\n'.join(lines)


def read_history(directory: pathlib.Path) -> History:
    """The curves in a workdir; empty before the first logged step."""
    found = {}
    for file in sorted((directory / 'summaries').glob('*tfevents*')):
        for _, event in events(file):
            for value in event.summary.value:
                # The text and HParams of a run are summary values too.
                if value.metadata.plugin_data.plugin_name == 'scalars':
                    number = float(tf.make_ndarray(value.tensor))
                    found.setdefault(value.tag, {})[event.step] = number
    steps = sorted({step for curve in found.values() for step in curve})
    curves = {
        name: np.array([curve.get(step, np.nan) for step in steps])
        for name, curve in found.items()
    }
    return History({'step': np.array(steps, np.int64), **curves})


def events(file: pathlib.Path) -> Iterator[tuple[bytes, tf.compat.v1.Event]]:
    """The records of a TensorBoard file, as bytes and as parsed events.

    It leaves out a last record that was cut off when the run was killed.
    """
    try:
        for record in tf.data.TFRecordDataset(str(file)):
            content = record.numpy()
            yield content, tf.compat.v1.Event.FromString(content)
    except tf.errors.DataLossError:
        return
    except tf.errors.OpError as error:
        raise remote.os_error(error, str(file)) from None
