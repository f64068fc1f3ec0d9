"""What may be given to a function, read from its own signature.

A constructor says the name, type, default and limits of its arguments once;
presets, flags, stored configurations and the checks of values read them here.

    def __init__(self, spec, units: Size = 32, dropout: Share = 0.0,
                 cell: Literal['lstm', 'gru'] = 'lstm'): ...
"""

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from tfgen.errors import UserError

_LARGEST_INT = 2**31  # of TensorFlow's sizes
_LARGEST_FLOAT = 1e38


@dataclasses.dataclass(frozen=True)
class Limit:
    """What a number must be: a test, and the remedy where it fails."""

    holds: Callable[[float], bool]
    remedy: str


Size = Annotated[int, Limit(lambda n: n >= 1, 'use 1 or more')]
Share = Annotated[float, Limit(lambda x: 0 <= x < 1, 'use 0 up to below 1')]
Positive = Annotated[
    float,
    Limit(
        lambda x: 0 < x < _LARGEST_FLOAT,
        f'use a number above 0 and below {_LARGEST_FLOAT}',
    ),
]


@functools.cache
def of(function: Callable) -> dict[str, tuple[Any, Any]]:
    """Name -> (type, default) of the arguments that have a default."""
    hints = typing.get_type_hints(function, include_extras=True)
    return {
        name: (hints[name], parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not parameter.empty
    }


def check(hints: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raises UserError for the first value that may not be; see `of`.

    Args:
      hints: name -> type.
      values: by name; of the right type.
    """
    for name, hint in hints.items():
        _check(name, hint, values[name])


def fits(hint: Any, value: Any) -> bool:
    """Whether a value is of type `hint`; its limits are for `check`."""
    one, *others = _options(hint)
    if others:
        return any(fits(k, value) for k in (one, *others))
    hint = _plain(hint)
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return isinstance(value, type(members[0]))
    if origin is tuple:
        return (
            isinstance(value, tuple)
            and (Ellipsis in members or len(value) == len(members))
            and len(value) > 0
            and all(fits(members[0], v) for v in value)
        )
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def parse(name: str, text: str, hint: Any) -> Any:
    """The value of type `hint` that `name=text` means.

    Raises:
      UserError: it is none.
    """
    one, *others = _options(hint)
    if type(None) in others and text.lower() == 'none':
        return None
    hint = _plain(one)
    try:
        if hint is bool:
            return {'true': True, 'false': False}[text.lower()]
        members = typing.get_args(hint)
        if typing.get_origin(hint) is Literal:
            return type(members[0])(text)
        if typing.get_origin(hint) is tuple:
            one = _plain(members[0])
            values = tuple(one(x) for x in text.strip('()').split(','))
            if Ellipsis not in members and len(values) != len(members):
                raise ValueError
            return values
        return hint(text)
    except (ValueError, KeyError):
        more = ', write true or false' if hint is bool else ''
        raise UserError(
            f'--set {name}={text}: not a value of type {_words(hint)}{more}'
        ) from None


def _check(name, hint, value):
    if value is None:
        return
    hint, *_ = _options(hint)
    members = typing.get_args(_plain(hint))
    if typing.get_origin(_plain(hint)) is Literal:
        if value not in members:
            raise UserError(
                f'unknown {name} {value!r}: use one of '
                f'{", ".join(str(m) for m in members)}'
            )
        return
    several = isinstance(value, (tuple, list))
    of_one = members[0] if several and members else hint
    for one in value if several else (value,):
        for limit in _limits(of_one):
            if not limit.holds(one):
                raise UserError(f'{name} is {value}: {limit.remedy}')
        if isinstance(one, int) and one >= _LARGEST_INT:
            raise UserError(f'{name} is {value}: use less than 2^31')


def _limits(hint):
    """The limits of an Annotated type."""
    return [m for m in getattr(hint, '__metadata__', ()) if type(m) is Limit]


def _options(hint):
    """The members of a union, or the type alone."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if union else (hint,)


def _plain(hint):
    """A type without its limits."""
    return hint.__origin__ if hasattr(hint, '__metadata__') else hint


def _words(hint):
    if typing.get_origin(hint) is tuple:
        members = typing.get_args(hint)
        shown = [_plain(m).__name__ for m in members if m is not Ellipsis]
        if Ellipsis in members:
            return f'{shown[0]},{shown[0]},... (any number)'
        return ','.join(shown)
    return hint.__name__
