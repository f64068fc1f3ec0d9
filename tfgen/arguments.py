"""Types, defaults and limits of arguments, read from a function's signature.

A constructor states the name, type, default and limits of its arguments once.
Presets, flags, stored configurations and checks of values read them here.

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

import keras

from tfgen.errors import UserError

_LARGEST_INT = 2**31  # limit of sizes in TensorFlow
_LARGEST_FLOAT = 1e38


@dataclasses.dataclass(frozen=True)
class Limit:
    """A condition on a number, and the advice to the user if it fails."""

    holds: Callable[[float], bool]
    remedy: str


@dataclasses.dataclass(frozen=True)
class Object:
    """The kind of a Python object that is a setting; see objects.

    Attributes:
      words: the kind, for messages.
      holds: whether a value is such an object, or its stored form.
    """

    words: str
    holds: Callable[[Any], bool]


def _is_function(value):
    """Whether a value is a function or 'package.module:name'."""
    if isinstance(value, str):
        return ':' in value
    return isinstance(value, types.FunctionType)


Layer = Annotated[
    Any,
    Object('a Keras layer', lambda v: isinstance(v, keras.layers.Layer | dict)),
]
Optimizer = Annotated[
    Any,
    Object(
        'a Keras optimizer',
        lambda v: isinstance(v, keras.optimizers.Optimizer | dict),
    ),
]
# Written before a Literal in a union, so that its names are found first.
Function = Annotated[Any, Object('a function', _is_function)]
Network = Layer | None
Size = Annotated[int, Limit(lambda n: n >= 1, 'use 1 or more')]
Count = Annotated[int, Limit(lambda n: n >= 0, 'use 0 or more')]
Share = Annotated[float, Limit(lambda x: 0 <= x < 1, 'use 0 up to below 1')]
Positive = Annotated[
    float,
    Limit(
        lambda x: 0 < x < _LARGEST_FLOAT,
        f'use a number above 0 and below {_LARGEST_FLOAT}',
    ),
]
NotNegative = Annotated[
    float,
    Limit(
        lambda x: 0 <= x < _LARGEST_FLOAT,
        f'use a number from 0 to below {_LARGEST_FLOAT}',
    ),
]


@functools.cache
def of(function: Callable) -> dict[str, tuple[Any, Any]]:
    """The arguments of a function or class that have a default.

    Returns:
      Name -> (type, default).

    Types are int, float, bool, str, Literal, tuples of these, and the objects
    above. Each may be Annotated with a Limit, and may be a union.
    """
    found, hints = inspect.signature(function), {}
    if isinstance(function, type):
        found = signature(function)
    for one in _constructors(function):
        hints = typing.get_type_hints(one, include_extras=True) | hints
    return {
        name: (hints[name], parameter.default)
        for name, parameter in found.parameters.items()
        if parameter.default is not parameter.empty
    }


def signature(cls: type) -> inspect.Signature:
    """The arguments of a class, without `self`.

    A constructor's `**settings` stands for the arguments of its base class.
    """
    first, *bases = map(inspect.signature, _constructors(cls))
    _, *found = first.parameters.values()
    found = [p for p in found if p.kind is not p.VAR_KEYWORD]
    for base in bases:
        names = {p.name for p in found}
        _, *more = base.parameters.values()
        found += [
            p.replace(kind=p.KEYWORD_ONLY)
            for p in more
            if p.name not in names and p.kind is not p.VAR_KEYWORD
        ]
    return inspect.Signature(found)


def _constructors(function):
    """A function itself; or the constructors that a class's arguments reach."""
    if not isinstance(function, type):
        yield function
        return
    for kind in function.__mro__:
        if '__init__' in vars(kind):
            yield kind.__init__
            parameters = inspect.signature(kind.__init__).parameters.values()
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                return


def check(hints: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Raises UserError for the first value that its type does not allow.

    Args:
      hints: name -> type; see `of`.
      values: name -> value.
    """
    for name, hint in hints.items():
        value = values[name]
        if not fits(hint, value):
            raise UserError(f'{name} is {value!r}: use {words(hint)}')
        _check(name, hint, value, value)


def check_for(function: Callable, **values: Any) -> None:
    """Checks arguments of a function by its own signature; see `check`."""
    hints = of(function)
    check({name: hints[name][0] for name in values}, values)


def fits(hint: Any, value: Any) -> bool:
    """Whether a value is of type `hint`; `check` tests the limits."""
    one, *others = _options(hint)
    if others:
        return any(fits(h, value) for h in (one, *others))
    plain, members = _plain(hint), typing.get_args(_plain(hint))
    if typing.get_origin(plain) is Literal:
        return type(value) in {type(m) for m in members}
    if typing.get_origin(plain) is tuple:
        return (
            isinstance(value, tuple)
            and len(value) > 0
            and (Ellipsis in members or len(value) == len(members))
            and all(map(fits, _members(plain, value), value))
        )
    if plain is Any:
        return hint.__metadata__[0].holds(value)
    if isinstance(value, bool):
        return plain is bool
    return isinstance(value, (int, float) if plain is float else plain)


def parse(name: str, text: str, hint: Any) -> Any:
    """Parses `text`, given as `name=text`, as a value of type `hint`.

    Raises:
      UserError: `text` is not a value of this type.
    """
    options = _options(hint)
    if type(None) in options and text.lower() == 'none':
        return None
    options = [option for option in options if option is not type(None)]
    for option in options:
        try:
            value = _parse(option, text)
        except (ValueError, KeyError):
            continue
        if fits(option, value):
            return value
    if all(_plain(option) is Any for option in options):
        raise UserError(
            f'--set {name}={text}: {name} is {words(hint)}, which cannot be '
            'written here: pass it to tfgen.train in Python'
        )
    more = ', write true or false' if _plain(options[0]) is bool else ''
    raise UserError(f'--set {name}={text}: not {words(hint)}{more}')


def words(hint: Any) -> str:
    """A type in words, for messages: 'a value of type int or none'."""
    options = [h for h in _options(hint) if h is not type(None)]
    objects = [_word(h) for h in options if _plain(h) is Any]
    values = [_word(h) for h in options if _plain(h) is not Any]
    if values:
        values = [f'a value of type {" or ".join(values)}']
    none = ['none'] if type(None) in _options(hint) else []
    return ' or '.join(values + objects + none)


def _word(hint):
    """A type in words; the type is not a union."""
    plain, members = _plain(hint), typing.get_args(_plain(hint))
    if typing.get_origin(plain) is Literal:
        return '|'.join(map(str, members))
    if typing.get_origin(plain) is tuple:
        if Ellipsis in members:
            return f'{_word(members[0])},{_word(members[0])},... (any number)'
        return ','.join(map(_word, members))
    return hint.__metadata__[0].words if plain is Any else plain.__name__


def _parse(hint, text):
    """Parses `text`; raises ValueError or KeyError if it cannot."""
    plain, members = _plain(hint), typing.get_args(_plain(hint))
    if plain is bool:
        return {'true': True, 'false': False}[text.lower()]
    if typing.get_origin(plain) is Literal:
        return type(members[0])(text)
    if typing.get_origin(plain) is tuple:
        texts = text.strip('()').split(',')
        pairs = zip(_members(plain, texts), texts, strict=True)
        return tuple(_parse(h, part) for h, part in pairs)
    return text if plain is Any else plain(text)


def _check(name, hint, value, whole):
    """Raises UserError if `value`, a part of `whole`, breaks a limit."""
    options = _options(hint)
    hint = next((h for h in options if fits(h, value)), hint)
    members = typing.get_args(_plain(hint))
    if typing.get_origin(_plain(hint)) is Literal and value not in members:
        others = [words(h) for h in options if h not in (hint, type(None))]
        raise UserError(
            f'unknown {name} {value!r}: use one of '
            f'{", or ".join([", ".join(map(str, members)), *others])}'
        )
    if isinstance(value, tuple):
        for h, part in zip(_members(_plain(hint), value), value, strict=True):
            _check(name, h, part, whole)
        return
    for limit in getattr(hint, '__metadata__', ()):
        if isinstance(limit, Limit) and not limit.holds(value):
            raise UserError(f'{name} is {whole}: {limit.remedy}')
    if isinstance(value, int) and value >= _LARGEST_INT:
        raise UserError(f'{name} is {whole}: use less than 2^31')


def _members(plain, values):
    """The type of each member of a tuple; may be fewer than `values`."""
    members = typing.get_args(plain)
    if Ellipsis in members:
        return (members[0],) * len(values)
    return members


def _options(hint):
    """The members of a union; for any other type, only itself."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return typing.get_args(hint) if union else (hint,)


def _plain(hint):
    """A type without its limits."""
    return hint.__origin__ if hasattr(hint, '__metadata__') else hint
