"""Python objects in stored configurations: networks, optimizers, functions.

Keras's layers and optimizers are stored by Keras's serialization. A function
and a class are stored as 'package.module:name', so that any process that can
import the module finds them again.
"""

import contextlib
import copy
import importlib
import json
import re
import types
from collections.abc import Mapping
from typing import Any

import keras

from tfgen.errors import UserError

# Keys of a serialized layer whose values are names of layers.
_NAMES = ('name', 'keras_history', 'input_layers', 'output_layers')


def path_of(thing: Any) -> str:
    """The stored name of a class or function, 'package.module:name'."""
    return f'{thing.__module__}:{thing.__qualname__}'


def find(path: str) -> Any:
    """The class or function of a stored name; None if there is none."""
    module, _, name = path.partition(':')
    try:
        found = importlib.import_module(module)
        for part in name.split('.'):
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError):
        return None
    return found


def is_own(value: Any) -> bool:
    """Whether a setting is a user's network or function, or its stored form."""
    kinds = (keras.layers.Layer, dict, types.FunctionType)
    return isinstance(value, kinds) or (isinstance(value, str) and ':' in value)


def serialize(value: Any) -> Any:
    """A setting as a JSON value; plain values stay as they are.

    Raises:
      UserError: it cannot be stored.
    """
    if isinstance(value, keras.layers.Layer):
        return _layer(value)
    if isinstance(value, keras.optimizers.Optimizer):
        found = keras.optimizers.serialize(value)
        del found['config']['name']
        return json.loads(json.dumps(found))
    if isinstance(value, types.FunctionType):
        return _function(value)
    if isinstance(value, Mapping) and 'class_name' not in value:
        return {name: serialize(one) for name, one in value.items()}
    return value


def one_line(error: Exception) -> str:
    """The last part of Keras's message, without colours of a terminal."""
    text = re.sub('\x1b\\[\\d*m', '', str(error)).strip()
    text = re.sub(r'Exception encountered when calling .*?\n', '', text)
    text = text.partition('Arguments received by')[0]
    text = ' '.join(text.rpartition('Exception encountered: ')[2].split())
    return text if len(text) <= 200 else f'... {text[-200:].partition(" ")[2]}'


def restore(value: Any, name: str) -> Any:
    """The layer or optimizer of a serialized one; anything else as it is.

    Args:
      value: the result of `serialize`.
      name: of the setting, for messages.

    Raises:
      UserError: its classes or functions are not found.
    """
    if not isinstance(value, dict):
        return value
    _import_modules(value)
    try:
        # Keras empties the dicts that it reads.
        return keras.saving.deserialize_keras_object(copy.deepcopy(value))
    except (TypeError, ValueError, ImportError) as error:
        missing = re.search(
            r"Could not locate (class|function) '(.+?)'", str(error)
        )
        if missing:
            raise UserError(
                f'{name} has the {missing[1]} {missing[2]!r}, which is not '
                'found: import its module first, and decorate it with '
                '@keras.saving.register_keras_serializable()'
            ) from None
        raise UserError(
            f'{name} cannot be built again ({one_line(error)}): let '
            'get_config of its layers return all arguments of the constructor'
        ) from None


def _import_modules(value):
    """Imports the modules of the classes in a serialized layer, if they exist.

    Keras itself imports no module.
    """
    if isinstance(value, list):
        for part in value:
            _import_modules(part)
    if isinstance(value, dict):
        module = value.get('module')
        if isinstance(module, str) and module.partition('.')[0] != 'keras':
            with contextlib.suppress(ImportError, ValueError):
                importlib.import_module(module)
        _import_modules(list(value.values()))


def restore_function(value: Any, name: str) -> Any:
    """The function of a stored name; a function as it is.

    Raises:
      UserError: there is none.
    """
    if not isinstance(value, str):
        return value
    found = find(value)
    if not isinstance(found, types.FunctionType):
        raise UserError(
            f'{name}={value} names a function, and there is none here: put '
            'its module where Python finds it, or define it before'
        )
    return found


def _function(function):
    """The stored name of a function that other processes can find."""
    path = path_of(function)
    if find(path) is not function:
        raise UserError(
            f'the function {function.__qualname__!r} could not be loaded '
            'again: define it by def, at the top of a module'
        )
    return path


def _layer(layer):
    """A layer as JSON values, without its weights.

    Layers are named by their order, so two networks that are built in the same
    way give equal values.
    """
    found = keras.saving.serialize_keras_object(layer)
    found = _unbuilt(json.loads(json.dumps(found)))
    names = {}

    def collect(value):
        """Notes the names of layers, in order."""
        if isinstance(value, dict):
            if value.get('class_name') == '__lambda__':
                raise UserError(
                    'a network has a Lambda layer with a lambda, which cannot '
                    'be stored: write a subclass of keras.layers.Layer, and '
                    'decorate it with '
                    '@keras.saving.register_keras_serializable()'
                )
            config = value.get('config')
            layer = value.get('class_name') != 'DTypePolicy'
            if layer and isinstance(config, dict) and 'name' in config:
                names.setdefault(config['name'], f'layer_{len(names)}')
            value = list(value.values())
        for part in value if isinstance(value, list) else ():
            collect(part)

    def renamed(value, is_name=False):
        """The value with new names of layers."""
        if isinstance(value, dict):
            return {k: renamed(v, k in _NAMES) for k, v in value.items()}
        if isinstance(value, list):
            return [renamed(part, is_name) for part in value]
        return names.get(value, value) if is_name else value

    collect(found)
    return renamed(found)


def _unbuilt(value):
    """A serialized layer without the traces of calls: shapes of inputs."""
    if isinstance(value, list):
        return [_unbuilt(part) for part in value]
    if not isinstance(value, dict):
        return value
    kept = {
        k: _unbuilt(v)
        for k, v in value.items()
        if k not in ('build_config', 'build_input_shape', 'compile_config')
    }
    if kept.get('class_name') == 'Sequential':
        layers = kept['config']['layers']
        if layers and layers[0].get('class_name') == 'InputLayer':
            kept['config']['layers'] = layers[1:]
    return kept
