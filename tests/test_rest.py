"""Bodies of TensorFlow Serving's REST API, without a server."""

import base64
import functools
import json

import numpy as np
import pytest

from tfgen.server import rest

DTYPES = {
    'seed': np.dtype(np.int64),
    'z': np.dtype(np.float32),
    'text': np.dtype(object),
}


def _inputs(request, dtypes=DTYPES):
    _, values, layout = rest.parse(json.dumps(request).encode())
    return rest.arrays(values, layout, dtypes)


def _values(rows=3):
    random = np.random.default_rng(0)
    text = [b'one', 'zwölf 十二'.encode(), b'\xff\x00']
    return {
        'seed': np.array([-(2**63), 2**63 - 1, 0])[:rows],
        'z': random.normal(size=[rows, 2, 3]).astype(np.float32),
        'text': np.array(text, object)[:rows],
    }


def _as_json(value):
    if isinstance(value, bytes):
        return {'b64': base64.b64encode(value).decode()}
    return value.tolist() if hasattr(value, 'tolist') else value


@pytest.mark.parametrize('layout', [rest.ROWS, rest.COLUMNS])
def test_values_come_through_exactly(layout):
    values = _values()
    columns = {k: [_as_json(row) for row in v] for k, v in values.items()}
    rows = [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]
    request = {layout: rows if layout == rest.ROWS else columns}
    found = _inputs(request)
    for name, value in values.items():
        assert found[name].dtype == value.dtype
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize('layout', [rest.ROWS, rest.COLUMNS])
def test_answers_hold_every_digit_of_a_float32(layout):
    z = _values()['z'] * np.float32(1e-20)
    answer = json.loads(rest.render({'z': z}, layout))
    (got,) = answer.values()
    np.testing.assert_array_equal(np.array(got, np.float32), z)


def test_one_name_is_left_out_and_several_stand_by_their_rows():
    one = {'seed': np.dtype(np.int64)}
    for request in (
        {'instances': [1, 2]},
        {'instances': [{'seed': 1}, {'seed': 2}]},
        {'inputs': [1, 2]},
        {'inputs': {'seed': [1, 2]}},
    ):
        np.testing.assert_array_equal(_inputs(request, one)['seed'], [1, 2])
    outputs = {'a': np.array([1, 2]), 'b_bytes': np.array([b'x', b'y'], object)}
    rows = json.loads(rest.render(outputs, rest.ROWS))['predictions']
    assert rows == [
        {'a': 1, 'b_bytes': {'b64': 'eA=='}},
        {'a': 2, 'b_bytes': {'b64': 'eQ=='}},
    ]
    columns = json.loads(rest.render(outputs, rest.COLUMNS))['outputs']
    assert columns == {'a': [1, 2], 'b_bytes': [{'b64': x} for x in _B64]}
    # Outputs whose names do not end in _bytes are text.
    text = rest.render({'text': np.array(['十'.encode()], object)}, rest.ROWS)
    assert json.loads(text) == {'predictions': ['十']}


_B64 = ('eA==', 'eQ==')


def test_no_rows_are_rows():
    found = _inputs({'inputs': {'seed': [], 'z': [], 'text': []}})
    assert {len(v) for v in found.values()} == {0}


@pytest.mark.parametrize(
    'value,said',
    [
        ({'seed': 1.0}, 'Value: 1.0 Type: Number is not of expected type: int'),
        ({'seed': True}, 'Type: True'),
        ({'seed': 2**63}, 'Value: 9223372036854775808 Type: Number'),
        ({'seed': 1e99}, 'Value: 1e99 Type'),
        ({'seed': float('nan')}, 'Value:  Type: Number'),
        ({'seed': {'b64': ''}}, 'Type: Object'),
        ({'z': [[1, 2], [3]]}, 'lists are of different lengths'),
        ({'z': [[1, 2], 3]}, 'lists are of different lengths'),
        ({'z': [1, [2]]}, 'Type: Array'),
        ({'z': 10**400}, 'Type: Number is not of expected type: float'),
        ({'text': 1}, 'expected type: string'),
        ({'text': {'b64': 'no!'}}, 'is no base64'),
        ({'text': {'b64': 1}}, 'is no base64'),
        ({'other': 1}, 'does not have named input: other'),
        (
            {'seed': functools.reduce(lambda v, _: [v], range(70), 1)},
            'too deep',
        ),
    ],
)
@pytest.mark.parametrize('layout', [rest.ROWS, rest.COLUMNS])
def test_other_values_are_refused_by_name(value, said, layout):
    row = {'seed': 1, 'z': [0.5], 'text': 'a'} | value
    columns = {name: [v] for name, v in row.items()}
    request = {layout: [row] if layout == rest.ROWS else columns}
    with pytest.raises(rest.BadRequest) as raised:
        _inputs(request)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    'request_,said',
    [
        ({'instances': [1]}, 'plain list'),
        ({'inputs': [1]}, 'expecting an object'),
        ({'instances': [{'seed': 1, 'z': 1, 'text': ''}, 2]}, 'not object'),
        ({'instances': [{'seed': 1}]}, 'keys must be equal to: seed,text,z'),
        ({'instances': []}, "No values in 'instances'"),
        ({'instances': 3}, 'to be an list/array'),
        ({'inputs': {}, 'instances': []}, 'only one of'),
        ({}, 'only one of'),
        ([], 'Is not object'),
        (functools.reduce(lambda v, _: [v], range(500), 1), 'Is not object'),
        ({'signature_name': 1, 'inputs': {}}, 'must be a string'),
        ({'inputs': {'seed': 1}}, "Missing named input: text in 'inputs'"),
    ],
)
def test_other_requests_are_refused(request_, said):
    with pytest.raises(rest.BadRequest) as raised:
        _inputs(request_)
    assert said in str(raised.value)


@pytest.mark.parametrize(
    'outputs,said',
    [
        ({'y': np.float32(1)}, 'Tensor name: y has no shape information'),
        (
            {'y': np.ones(3), 'z': np.ones(2)},
            'Tensor name: z has inconsistent batch size: 2 expecting: 3',
        ),
    ],
)
def test_outputs_that_are_no_rows_come_in_columns_alone(outputs, said):
    outputs = {k: np.asarray(v) for k, v in outputs.items()}
    with pytest.raises(rest.BadRequest, match=said):
        rest.render(outputs, rest.ROWS)
    assert json.loads(rest.render(outputs, rest.COLUMNS))


@pytest.mark.parametrize('request_', [{'instances': [1]}, {'inputs': 5}])
def test_what_takes_nothing_is_given_nothing(request_):
    with pytest.raises(rest.BadRequest):
        _inputs(request_, {})


def test_bytes_may_come_in_lines_and_without_their_end():
    text = base64.encodebytes(bytes(range(100))).decode().rstrip('=\n')
    assert '\n' in text
    dtypes = {'text': DTYPES['text']}
    found = _inputs({'inputs': {'text': [{'b64': text}]}}, dtypes)
    assert found['text'] == [bytes(range(100))]


def test_a_message_shows_the_beginning_of_a_value():
    generator = np.random.default_rng(0)

    def some(depth):
        kind = generator.integers(4 if depth else 2)
        if kind == 0:
            return int(generator.integers(10**6))
        if kind == 1:
            return 'x' * int(generator.integers(9))
        inner = [some(depth - 1) for _ in range(generator.integers(12))]
        if kind == 2:
            return inner
        return {f'{k}': v for k, v in enumerate(inner)}

    lengths = []
    for _ in range(300):
        value = some(4)
        whole, shown = rest._pretty(value), rest._shown(value)
        assert whole.startswith(shown)
        rest_ = whole[len(shown) :]
        assert not rest_ or (len(shown) >= 256 and not rest_[0].isdigit())
        lengths.append(len(whole))
    assert min(lengths) < 256 < max(lengths)


def test_rows_of_different_shapes_are_refused():
    row = {'seed': 1, 'text': 'a'}
    rows = [row | {'z': [1, 2]}, row | {'z': [1]}]
    with pytest.raises(rest.BadRequest) as raised:
        _inputs({'instances': rows})
    assert 'z has [1] and [2]' in str(raised.value)


@pytest.mark.parametrize(
    'body',
    [
        b'',
        b'  ',
        b'{',
        b'{"instances":[1',
        b'\xff\xfe',
        b'[' * 100_000,
        b'{"instances":[' + b'9' * 5000 + b']}',
        '{"signature_name":"\ud800"'.encode(errors='surrogatepass'),
    ],
)
def test_what_is_no_json_is_refused(body):
    with pytest.raises(rest.BadRequest, match='JSON Parse error'):
        _, values, layout = rest.parse(body)
        rest.arrays(values, layout, {'seed': DTYPES['seed']})
