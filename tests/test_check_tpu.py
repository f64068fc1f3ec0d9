"""scripts/check_tpu.py finds what a TPU would refuse."""

import importlib
import json
import sys

import processes
import pytest
import tensorflow as tf
import tiny

SCRIPT = tiny.script('check_tpu')


def test_without_the_compiler_it_says_what_to_install():
    setup = (
        'import importlib.util as u; find = u.find_spec; '
        "u.find_spec = lambda name, *a: None if name == 'libtpu' "
        'else find(name, *a)'
    )
    command = [sys.executable, SCRIPT, 'cvae_digits']
    done = processes.outcome(command, setup=setup)
    assert done.returncode == 2
    assert done.stderr == (
        'error: libtpu is missing, which compiles for a TPU: pip install '
        "'.[tpu-check]'\n"
    )


@pytest.fixture(scope='module')
def script():
    """Returns the script as a module; skips the test without its compiler."""
    pytest.importorskip('libtpu', reason="pip install '.[tpu-check]'")
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        return importlib.import_module('check_tpu')
    finally:
        sys.path.pop(0)


@pytest.fixture(scope='module')
def compiler(script):
    return script.Compiler()


def test_presets_compile(script, tmp_path):
    names = ['cvae_digits', 'dcgan_digits', 'gaussian_two_moons']
    done = processes.run(
        [sys.executable, str(SCRIPT), *names, f'--record={tmp_path}']
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / 'tpu_compile.json').read_text())
    assert list(record['presets']) == names
    for found in record['presets'].values():
        for what in ('step', 'sample'):
            assert found[what]['flops'] > 0 and not found[what]['notes']


def test_what_a_tpu_lacks_is_named(compiler):
    value = tf.Variable([1.0])
    for function, name in (
        (lambda: tf.strings.as_string(value.read_value()), 'AsString'),
        (
            lambda: tf.py_function(abs, [value.read_value()], tf.float32),
            'EagerPyFunc',
        ),
    ):
        assert compiler.compiled(function)['refused'] == f'no TPU has {name}'


def test_what_does_not_fit_is_refused(compiler):
    value = tf.Variable([1.0])

    def large():
        matrix = tf.random.stateless_normal(
            [70_000, 70_000], [1, 2], alg='philox'
        )
        return matrix @ (matrix + value.read_value())

    assert 'RESOURCE_EXHAUSTED' in compiler.compiled(large)['refused']


def test_what_a_tpu_takes_unwillingly_is_noted(compiler):
    seed = tf.Variable([1, 2], dtype=tf.int64)
    for function, note in (
        (lambda: tf.cast(seed.read_value(), tf.float64) * 2.0, 'float64'),
        (
            lambda: tf.random.experimental.stateless_fold_in(
                seed.read_value(), 3
            ),
            'StatelessRandomGetKeyCounter',
        ),
        (lambda: tf.where(seed.read_value() > 0), 'Where'),
    ):
        (found,) = compiler.compiled(function)['notes']
        assert found.startswith(note)


def test_a_loss_of_a_variable_counts_its_products(compiler):
    """The flops are those of the function, and assigned variables compile."""
    value = tf.Variable(tf.ones([64, 64]))

    def update():
        value.assign(value.read_value() @ value.read_value())
        return tf.reduce_sum(value.read_value())

    found = compiler.compiled(update)
    assert 2 * 64**3 <= found['flops'] <= 3 * 64**3
