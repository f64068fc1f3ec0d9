"""Converts TensorFlow Serving's REST bodies between JSON and arrays.

Rows: the answer to {"instances": [{"seed": 1}, ...]} is
{"predictions": [...]}. Columns: the answer to {"inputs": {"seed": [1, ...]}}
is {"outputs": ...}. A request may omit the name of a single input, and an
answer omits the name of a single output. Bytes are {"b64": "..."} in requests.
In answers they have this form only if the name of the output ends in _bytes.

Source: https://www.tensorflow.org/tfx/serving/api_rest. Where this page says
nothing, the behaviour of TensorFlow Serving was observed.
"""

import base64
import binascii
import itertools
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

# Nesting of lists. NumPy arrays have a limited number of dimensions.
_DEEPEST = 32
_SHOWN = 256  # characters of a value in a message, about
_REASONS = {
    'Expecting value': 'Invalid value.',
    'Expecting property name enclosed in double quotes': 'Missing a name for '
    'object member.',
}
ROWS, COLUMNS = 'instances', 'inputs'
# NumPy's names of types -> TensorFlow Serving's names in messages.
_NAMES = {'float32': 'float', 'float64': 'double', 'object': 'string'}


class BadRequest(Exception):
    """An invalid request, with the message for the client."""


def parse(body: bytes) -> tuple[str, Any, str]:
    """Parses the body of a predict request.

    Returns:
      signature: the signature's name, '' if the request names none.
      values: the content of the member ROWS or COLUMNS.
      layout: ROWS or COLUMNS.

    Raises:
      BadRequest: the body is not a valid predict request.
    """
    request = _decode(body)
    if not isinstance(request, dict):
        raise BadRequest(f'JSON Value: {_shown(request)} Is not object')
    signature = request.get('signature_name', '')
    if not isinstance(signature, str):
        raise BadRequest("'signature_name' key must be a string value.")
    found = [layout for layout in (ROWS, COLUMNS) if layout in request]
    if len(found) != 1:
        raise BadRequest(
            f'JSON Value: {_shown(request)} Not formatted correctly expecting '
            "only one of 'inputs' or 'instances' keys to exist "
        )
    (layout,) = found
    values = request[layout]
    if layout == ROWS:
        if not isinstance(values, list):
            raise BadRequest(
                f'JSON Value: {_shown(request)} Expecting '
                "'instances' to be an list/array"
            )
        if not values:
            raise BadRequest(
                f"JSON Value: {_shown(request)} No values in 'instances' array"
            )
    return signature, values, layout


def count_rows(values: Any, layout: str) -> int:
    """Returns an upper bound of a request's rows, without checking them.

    Args:
      values, layout: results of `parse`.
    """
    if layout == ROWS:
        return len(values)
    columns = values.values() if isinstance(values, dict) else [values]
    return max((len(c) for c in columns if isinstance(c, list)), default=0)


def arrays(
    values: Any, layout: str, dtypes: Mapping[str, np.dtype]
) -> dict[str, np.ndarray]:
    """Converts the values of a request to one array of rows per input.

    Args:
      values, layout: results of `parse`.
      dtypes: input -> type; object for bytes.

    Raises:
      BadRequest: an input is missing or unknown, or its values are ragged or
        of another type.
    """
    if layout == COLUMNS:
        return _columns(values, dtypes)
    if not isinstance(values[0], dict) or 'b64' in values[0]:
        if len(dtypes) != 1:
            raise BadRequest(
                'instances is a plain list, but expecting list of objects as '
                'multiple input tensors required as per tensorinfo_map'
            )
        (name,) = dtypes
        values = [{name: value} for value in values]
    rows = {name: [] for name in dtypes}
    for number, instance in enumerate(values):
        where = f'Failed to process element: {number}'
        if not isinstance(instance, dict):
            raise BadRequest(
                f"{where} of 'instances' list. JSON Value: {_shown(instance)} "
                'Is not object'
            )
        for name, value in instance.items():
            at = f"{where} key: {name} of 'instances' list. Error: "
            at += 'INVALID_ARGUMENT: '
            if name not in dtypes:
                raise BadRequest(
                    f'{at}JSON object: does not have named input: {name}'
                )
            rows[name].append(_array(value, dtypes[name], at))
        if instance.keys() != dtypes.keys():
            raise BadRequest(
                f"{where} of 'instances' list. JSON object: {_shown(instance)} "
                f'keys must be equal to: {",".join(sorted(dtypes))}'
            )
    for name, found in rows.items():
        shapes = {value.shape for value in found}
        if len(shapes) > 1:
            one, other, *_ = map(list, sorted(shapes))
            raise BadRequest(
                f"'instances' must have one shape, but {name} has {one} and "
                f'{other}'
            )
    return {name: np.stack(found) for name, found in rows.items()}


def _columns(values, dtypes):
    """Converts the values of a column request; see `arrays`."""
    if not isinstance(values, dict) or 'b64' in values:
        if len(dtypes) != 1:
            raise BadRequest(
                'inputs is a plain value/list, but expecting an object as '
                'multiple input tensors required as per tensorinfo_map'
            )
        (name,) = dtypes
        values = {name: values}
    for name in sorted(dtypes):
        if name not in values:
            raise BadRequest(f"Missing named input: {name} in 'inputs' object.")
    for name in values:
        if name not in dtypes:
            raise BadRequest(f'JSON object: does not have named input: {name}')
    return {
        name: _array(values[name], dtype, f"key: {name} of 'inputs'. Error: ")
        for name, dtype in dtypes.items()
    }


def render(outputs: Mapping[str, np.ndarray], layout: str) -> str:
    """Formats the answer as JSON.

    Numbers that are not finite become NaN and Infinity, as in TensorFlow
    Serving. Standard JSON cannot express them.

    Args:
      outputs: name -> array [rows, ...].
      layout: the request's layout, ROWS or COLUMNS.

    Raises:
      BadRequest: layout is ROWS, but an output is a scalar or the outputs have
        different numbers of rows.
    """
    if layout == ROWS:
        _require_rows(outputs)
    values = {name: _values(name, value) for name, value in outputs.items()}
    one = next(iter(values.values())) if len(values) == 1 else None
    if layout == COLUMNS:
        answer = values if one is None else one
        return json.dumps({'outputs': answer}, indent=4)
    if one is None:
        columns = zip(*values.values(), strict=True)
        rows = [dict(zip(values, row, strict=True)) for row in columns]
        text = '\n        ' + ',\n        '.join(_pretty(r, 2) for r in rows)
    else:
        text = ', '.join(_pretty(row, 2) for row in one)
    return f'{{\n    "predictions": [{text}\n    ]\n}}'


def _require_rows(outputs):
    """Raises BadRequest unless all outputs have the same number of rows."""
    count = None
    for name, value in outputs.items():
        if not value.ndim:
            raise BadRequest(f'Tensor name: {name} has no shape information ')
        count = len(value) if count is None else count
        if len(value) != count:
            raise BadRequest(
                f'Tensor name: {name} has inconsistent batch size: '
                f'{len(value)} expecting: {count}'
            )


def _values(name, array):
    """Converts an output to lists.

    A float32 is rounded to nine digits, which identify it.
    """
    if array.dtype == object:
        as_bytes = name.endswith('_bytes')
        flat = [
            {'b64': base64.b64encode(v).decode()}
            if as_bytes
            else v.decode(errors='replace')
            for v in array.ravel()
        ]
        boxed = np.empty(len(flat), object)
        boxed[:] = flat
        return boxed.reshape(array.shape).tolist()
    if array.dtype == np.float32:
        digits = [float(f'{v:.9g}') for v in array.ravel().tolist()]
        array = np.array(digits, np.float64).reshape(array.shape)
    return array.tolist()


def _pretty(value, level=0):
    """Formats a value as JSON with TensorFlow Serving's layout."""
    pad = '    ' * (level + 1)
    if isinstance(value, dict):
        members = [
            f'{pad}{json.dumps(name)}: {_pretty(member, level + 1)}'
            for name, member in value.items()
        ]
        inside = ',\n'.join(members)
        return f'{{\n{inside}\n{"    " * level}}}' if members else '{}'
    if isinstance(value, list):
        return f'[{", ".join(_pretty(v, level + 1) for v in value)}]'
    if isinstance(value, float) and math.isfinite(value):
        return repr(value).replace('e+', 'e')
    return json.dumps(value, ensure_ascii=False)


def _shown(value):
    """Formats a value for a message; a long value is cut."""
    if isinstance(value, float) and not math.isfinite(value):
        return ''
    try:
        text = _pretty(_beginning(value, [_SHOWN + 1]))
    except RecursionError:  # json reads deeper values than _pretty can format
        return '...'
    # Do not cut a number in two.
    end = re.compile(r'[^0-9.e+-]|$').search(text, _SHOWN)
    return text[: end.start()]


def _beginning(value, left):
    """Cuts a nested value to its first `left[0]` parts, and counts them down.

    Each part takes at least one character in a message.
    """
    left[0] -= 1
    if isinstance(value, list):
        some = itertools.takewhile(lambda _: left[0] > 0, value)
        return [_beginning(v, left) for v in some]
    if isinstance(value, dict):
        some = itertools.takewhile(lambda _: left[0] > 0, value.items())
        return {k: _beginning(v, left) for k, v in some}
    return value


def _decode(body):
    """Parses JSON; raises BadRequest in TensorFlow Serving's words."""
    if not body.strip():
        raise BadRequest('JSON Parse error: The document is empty')
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        reason = _REASONS.get(error.msg, error.msg)
        raise BadRequest(
            f'JSON Parse error: {reason} at offset: {error.pos}'
        ) from None
    except UnicodeDecodeError as error:
        raise BadRequest(
            f'JSON Parse error: Invalid value. at offset: {error.start}'
        ) from None
    except (RecursionError, ValueError) as error:  # deep lists, huge numbers
        raise BadRequest(f'JSON Parse error: {error}') from None


def _array(value, dtype, where):
    """Converts nested lists to an array and checks type and shape.

    `where` is the beginning of the message of an error.
    """
    leaves, shape = [], []
    level = [value]
    while level and isinstance(level[0], list):
        sizes = {len(v) if isinstance(v, list) else -1 for v in level}
        if len(sizes) > 1:
            raise BadRequest(f'{where}its lists are of different lengths')
        shape.append(sizes.pop())
        level = [inner for outer in level for inner in outer]
        if len(shape) > _DEEPEST:
            raise BadRequest(f'{where}its lists are too deep')
    kind = _NAMES.get(str(dtype), str(dtype))
    for leaf in level:
        if not _fits(leaf, dtype):
            raise BadRequest(
                f'{where}JSON Value: {_shown(leaf)} Type: {_type(leaf)} is '
                f'not of expected type: {kind}'
            )
        leaves.append(leaf)
    if dtype.hasobject:
        leaves = [_bytes(leaf, where) for leaf in leaves]
    with np.errstate(over='ignore'):
        return np.array(leaves, dtype).reshape(shape)


def _fits(leaf, dtype):
    """Whether a JSON value may become a number or string of a type."""
    if dtype.hasobject:
        return isinstance(leaf, str) or (
            isinstance(leaf, dict) and leaf.keys() == {'b64'}
        )
    if dtype == np.bool_:
        return isinstance(leaf, bool)
    if isinstance(leaf, bool):
        return False
    if np.issubdtype(dtype, np.integer):
        bounds = np.iinfo(dtype)
        return isinstance(leaf, int) and bounds.min <= leaf <= bounds.max
    # An integer near 2**1024 or beyond overflows a float.
    return isinstance(leaf, float) or (
        isinstance(leaf, int) and abs(leaf) < 2**1000
    )


def _type(leaf):
    """TensorFlow Serving's name of a JSON type."""
    if leaf is None:
        return 'Null'
    if isinstance(leaf, bool):
        return str(leaf)
    if isinstance(leaf, (int, float)):
        return 'Number'
    return {str: 'String', dict: 'Object', list: 'Array'}[type(leaf)]


def _bytes(leaf, where):
    """Converts a string or {"b64": ...} to bytes."""
    if isinstance(leaf, str):
        return leaf.encode(errors='surrogatepass')
    try:
        text = ''.join(leaf['b64'].split())  # line breaks are allowed
        text += '=' * (-len(text) % 4)  # missing padding is allowed
        return base64.b64decode(text, validate=True)
    except (binascii.Error, AttributeError, ValueError):
        raise BadRequest(
            f'{where}JSON Value: {_shown(leaf)} is no base64'
        ) from None
