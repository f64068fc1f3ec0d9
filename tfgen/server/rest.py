"""TensorFlow Serving's REST bodies: from JSON to arrays, and back.

Rows: {"instances": [{"seed": 1}, ...]} is answered {"predictions": [...]}.
Columns: {"inputs": {"seed": [1, ...]}} is answered {"outputs": ...}. Where
there is one input, or one output, its name may be, or is, left out. Bytes are
{"b64": "..."}, both ways; on the way out only where the output's name ends in
_bytes.

Source: https://www.tensorflow.org/tfx/serving/api_rest, and what that server
was seen to answer where the page is silent.
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

_DEEPEST = 32  # lists in lists, that NumPy takes with others around
_SHOWN = 256  # letters of a value in a message, about
_REASONS = {
    'Expecting value': 'Invalid value.',
    'Expecting property name enclosed in double quotes': 'Missing a name for '
    'object member.',
}
ROWS, COLUMNS = 'instances', 'inputs'
# Of NumPy's kinds: what numbers are called in messages.
_NAMES = {'float32': 'float', 'float64': 'double', 'object': 'string'}


class BadRequest(Exception):
    """A request that is refused, with the message for the client."""


def parse(body: bytes) -> tuple[str, Any, str]:
    """The signature that a request asks for, its values, and their format.

    Returns:
      signature: '' if none is named.
      values: of the member ROWS or COLUMNS.
      layout: ROWS or COLUMNS.

    Raises:
      BadRequest: it is no such request.
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
    """How many rows a request has at most, before any of it is looked at.

    Args:
      values, layout: of `parse`.
    """
    if layout == ROWS:
        return len(values)
    columns = values.values() if isinstance(values, dict) else [values]
    return max((len(c) for c in columns if isinstance(c, list)), default=0)


def arrays(
    values: Any, layout: str, dtypes: Mapping[str, np.dtype]
) -> dict[str, np.ndarray]:
    """The values of a request as one array of rows for each input.

    Args:
      values, layout: of `parse`.
      dtypes: input -> type; object for bytes.

    Raises:
      BadRequest: an input is missing, unknown, ragged, or of another type.
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
    """The answer, as JSON.

    (Not finite numbers are written NaN and Infinity, as TensorFlow Serving
    does; JSON itself has no word for them.)

    Args:
      outputs: arrays of rows.
      layout: ROWS or COLUMNS, that of the request.

    Raises:
      BadRequest: the outputs are no rows, which ROWS asks for.
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
    """An output as lists; floats with the nine digits that tell them apart."""
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
    """A value as TensorFlow Serving lays it out."""
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
    """A value in a message; where it is long, its beginning."""
    if isinstance(value, float) and not math.isfinite(value):
        return ''
    try:
        text = _pretty(_beginning(value, [_SHOWN + 1]))
    except RecursionError:  # within what json reads
        return '...'
    # To the end of the number that is being written.
    end = re.compile(r'[^0-9.e+-]|$').search(text, _SHOWN)
    return text[: end.start()]


def _beginning(value, left):
    """Of a value no more than `left[0]` parts, each at least a letter long."""
    left[0] -= 1
    if isinstance(value, list):
        some = itertools.takewhile(lambda _: left[0] > 0, value)
        return [_beginning(v, left) for v in some]
    if isinstance(value, dict):
        some = itertools.takewhile(lambda _: left[0] > 0, value.items())
        return {k: _beginning(v, left) for k, v in some}
    return value


def _decode(body):
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
    except (RecursionError, ValueError) as error:  # too deep, too long a number
        raise BadRequest(f'JSON Parse error: {error}') from None


def _array(value, dtype, where):
    """Nested lists as an array, exactly; see `arrays`."""
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
    # (An integer beyond every float is no number to add up.)
    return isinstance(leaf, float) or (
        isinstance(leaf, int) and abs(leaf) < 2**1000
    )


def _type(leaf):
    if leaf is None:
        return 'Null'
    if isinstance(leaf, bool):
        return str(leaf)
    if isinstance(leaf, (int, float)):
        return 'Number'
    return {str: 'String', dict: 'Object', list: 'Array'}[type(leaf)]


def _bytes(leaf, where):
    if isinstance(leaf, str):
        return leaf.encode(errors='surrogatepass')
    try:
        text = ''.join(leaf['b64'].split())  # may be in lines
        text += '=' * (-len(text) % 4)  # or without its end
        return base64.b64decode(text, validate=True)
    except (binascii.Error, AttributeError, ValueError):
        raise BadRequest(
            f'{where}JSON Value: {_shown(leaf)} is no base64'
        ) from None
