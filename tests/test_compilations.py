"""Nothing is compiled after the first step or the first request.

A model that compiles at every step has the right weights but is a thousand
times too slow.
"""

import json
import os
import sys

import numpy as np
import processes
import pytest
import tensorflow as tf
import tiny
from tensorflow.python.eager import context

from tfgen.export import signatures

_JITTED = [
    m
    for m in tiny.MODELS
    if tiny.preset(m).model.jit_on_cpu(tiny.preset(m).settings)
]
_OTHERS = [m for m in tiny.MODELS if m not in _JITTED]


@pytest.mark.parametrize(
    'models',
    [
        ['row_lstm', 'cvae', 'gmm'],
        *(
            pytest.param(models, marks=pytest.mark.wide)
            for models in (_JITTED, _OTHERS[::2], _OTHERS[1::2])
        ),
    ],
    ids=['few', 'jit', 'a', 'b'],
)
def test_training_compiles_in_its_first_step_alone(models, data_dir):
    script = tiny.ROOT / 'tests' / 'compilations.py'
    done = processes.run(
        [sys.executable, script, *models],
        env=os.environ | {'TFGEN_DATA_DIR': data_dir},
    )
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [f['name'] for f in found] == models
    for counts in found:
        for name in ('run', 'resumed'):
            first, *later = counts[name]
            assert all(more == first for more in later), counts
        # A resumed run compiles as much as the whole run.
        assert counts['resumed'][0][1] == counts['run'][0][1], counts


@pytest.mark.parametrize(
    'model', tiny.some(tiny.SERVED, ('cvae', 'pixelrnn', 'gmm'))
)
def test_a_signature_is_traced_once_for_all_requests(model):
    built = tiny.build(model)
    functions = signatures.functions(built)
    for rows in (1, 3):
        for function in functions.values():
            before = context.context().list_function_names()
            function(**_request(function, rows))
            after = context.context().list_function_names()
            assert rows == 1 or after == before


def _request(function, rows):
    return {
        name: tf.constant(np.zeros([rows, *spec.shape[1:]]), spec.dtype)
        for name, spec in function.structured_input_signature[1].items()
    }
