"""Settings that are read from signatures."""

from typing import Literal

import pytest

from tfgen import arguments
from tfgen.arguments import Positive, Share, Size
from tfgen.errors import UserError


def _function(
    spec,
    count: Size = 3,
    rate: Share = 0.0,
    cell: Literal['lstm', 'gru'] = 'lstm',
    sizes: tuple[Size, ...] = (1, 2),
    pair: tuple[int, float] = (1, 2.5),
    speed: Positive | None = None,
    whole: int | None = None,
    flags: tuple[bool, ...] = (True,),
    words: tuple[Literal['a', 'b'], ...] = ('a',),
    name: str = '',
):
    """All types that a setting may have."""


HINTS = {k: hint for k, (hint, _) in arguments.of(_function).items()}
DEFAULTS = {k: default for k, (_, default) in arguments.of(_function).items()}


@pytest.mark.parametrize(
    'name,text,value',
    [
        ('count', '7', 7),
        ('rate', '0.5', 0.5),
        ('cell', 'gru', 'gru'),
        ('sizes', '4,5,6', (4, 5, 6)),
        ('pair', '(3,4)', (3, 4.0)),
        ('speed', 'none', None),
        ('speed', '1e-3', 1e-3),
        ('whole', '4', 4),
        ('whole', 'None', None),
        ('flags', 'true,false', (True, False)),
        ('words', 'b,a', ('b', 'a')),
        ('name', 'a=b', 'a=b'),
    ],
)
def test_texts_are_parsed_by_type_and_fit(name, text, value):
    found = arguments.parse(name, text, HINTS[name])
    assert found == value and type(found) is type(value)
    arguments.check(HINTS, DEFAULTS | {name: found})


@pytest.mark.parametrize(
    'name,text',
    [
        ('count', '1.5'),
        ('rate', 'x'),
        ('sizes', ''),
        ('pair', '1'),
        ('pair', '1,2,3'),
        ('flags', 'true,perhaps'),
        ('speed', 'fast'),
    ],
)
def test_texts_of_another_type_are_refused(name, text):
    with pytest.raises(UserError, match='not a value of type'):
        arguments.parse(name, text, HINTS[name])


@pytest.mark.parametrize(
    'name,value,message',
    [
        ('count', 0, 'use 1 or more'),
        ('count', 2**31, 'less than 2'),
        ('count', '4', 'of type int'),
        ('count', 2.5, 'of type int'),
        ('count', True, 'of type int'),
        ('rate', 1.0, 'up to below 1'),
        ('rate', float('nan'), 'up to below 1'),
        ('cell', 'rnn', 'use one of lstm, gru'),
        ('sizes', (), 'any number'),
        ('sizes', (4, 0), r'sizes is \(4, 0\): use 1 or more'),
        ('pair', (1, 2, 3), 'int,float'),
        ('speed', -1.0, 'above 0'),
        ('whole', 2**40, 'less than 2'),
        ('words', ('a', 'c'), "unknown words 'c'"),
    ],
)
def test_values_that_may_not_be_are_refused(name, value, message):
    with pytest.raises(UserError, match=message):
        arguments.check(HINTS, DEFAULTS | {name: value})
