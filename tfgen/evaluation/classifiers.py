"""Classifiers whose features compare images; trained once and cached."""

import dataclasses
import hashlib
import json
import math
import pathlib

import keras

from tfgen import evaluation, presets, storage
from tfgen.data import ARRAYS, Data, Spec
from tfgen.data.readers import PATHS, stacked
from tfgen.errors import UserError
from tfgen.evaluation.features import (
    Features,
    lack_of_classes,
    of_classifier,
)
from tfgen.presets.settings import Preset
from tfgen.training.run import train
from tfgen.training.workdir import Config

# Increase it when the classifier changes, so that no cached one is used.
_VERSION = 1
# A set with fewer training images gets the classifier of a small set.
_SMALL, _PRESETS = 10_000, ('classifier_digits', 'classifier_mnist')


def features(
    config: Config,
    cache: pathlib.Path | None = None,
    data_dir: str | None = None,
    dataset: str | None = None,
    examples: Data | None = None,
) -> Features:
    """The features of a classifier of the data set of `config`.

    The classifier is read from `cache`, or else trained now and cached. For
    stacked digits it is the classifier of single digits. Every result that is
    measured in these features names the classifier's preset and data set, its
    test accuracy, and a digest of all that determines the classifier.

    Args:
      config: of the run whose samples are compared.
      cache: folder; None for `storage.default_cache`.
      data_dir, dataset: where the data are now; see Config.load_data.
      examples: the data themselves, if they were given in Python.

    Raises:
      UserError: the data set has fewer than two classes; the folder cannot be
        written.
    """
    config, examples = _config(config, data_dir, dataset, examples)
    lack = lack_of_classes(examples)
    if lack:
        raise UserError(lack)
    digest = _digest(config)
    cache = storage.place(cache) if cache else storage.default_cache()
    folder = cache / f'{config.name}-{digest}'
    metrics = folder / 'metrics.json'
    if metrics.exists():
        model, _ = config.restore(folder)
    else:
        storage.require_writable(cache, '--cache_dir')
        print(
            f'training {config.name} on {config.spec.name}, once, for at most '
            f'{config.preset.steps:,} steps; it is kept in {folder}'
        )
        model = train(
            config,
            examples,
            folder,
            callbacks=early_stopping(config.preset, examples.spec),
        )
        figure = evaluation.evaluate(model, examples)['accuracy']
        storage.write_json(metrics, figure.as_dict())
    accuracy = json.loads(metrics.read_text())['mean']
    name = f'{config.name} on {config.spec.name}'
    facts = {'classifier_accuracy': accuracy, 'classifier': digest}
    return of_classifier(model, name, facts)


def early_stopping(
    preset: Preset, spec: Spec
) -> list[keras.callbacks.Callback]:
    """Stops a classifier of the user's data whose loss no longer falls.

    It stops if the mean loss of an epoch has not fallen by 0.001 nats in a
    fifth of all epochs. The classifiers of named sets make all their steps, so
    that distances stay comparable with published ones.
    """
    if preset.dataset.partition(':')[0] not in PATHS:
        return []
    size = spec.split_sizes.get('train', preset.batch_size)
    epochs = preset.steps * preset.batch_size / size
    patience = max(2, math.ceil(epochs / 5))
    return [
        keras.callbacks.EarlyStopping('loss', min_delta=1e-3, patience=patience)
    ]


def _config(config, data_dir, dataset=None, examples=None):
    """The Config of the classifier's run, and its data."""
    preset = config.preset
    name = dataset or config.data_path or preset.dataset
    prefix = preset.dataset.partition(':')[0]
    given = examples if prefix == ARRAYS else None
    changes = {'dataset': name.removeprefix(stacked.PREFIX)}
    changes['image_size'] = preset.image_size
    changes['binarization'] = preset.binarization
    small = config.spec.split_sizes['train'] < _SMALL
    small |= changes['dataset'] == 'digits'
    kind = _PRESETS[0 if small else 1]
    preset = dataclasses.replace(presets.PRESETS[kind], **changes)
    return Config.of(
        kind, preset, data_dir=data_dir or config.data_dir, data=given
    )


def _digest(config):
    """A digest of all that determines the classifier.

    It does not depend on where the data are stored.
    """
    content = config.as_dict()
    # The preset implies its model and its optimizer.
    for name in ('data_dir', 'data_path', 'versions', 'init_from', 'model'):
        del content[name]
    del content['fields']['dataset'], content['spec']['name']
    del content['fields']['optimizer']
    content['version'] = _VERSION
    text = json.dumps(content, sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=6).hexdigest()
