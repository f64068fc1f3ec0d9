"""Fixtures that several test files share."""

import os
import pathlib

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Prepared TFDS sets beside the checkout, on machines that have them.
PREPARED = ROOT.parent / 'shared' / 'tfds'


@pytest.fixture(scope='session')
def data_dir(tmp_path_factory):
    """A folder into which the embedded set is prepared."""
    return str(tmp_path_factory.mktemp('tfds'))


@pytest.fixture(scope='session')
def prepared():
    """A folder with mnist, fashion_mnist and binarized_mnist."""
    if not PREPARED.is_dir():
        pytest.skip(f'no prepared data sets in {PREPARED}')
    return str(PREPARED)
