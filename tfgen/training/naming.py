"""Which weights of a model are those of which class, letter, or colour.

They have a place each along some axes of some variables. Which axes, is seen
from a model for a set with one of them less: it is that much shorter there.
Where along an axis, is a promise of every model (Model.labels_last).
"""

import collections
import dataclasses
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from tfgen.data import PaletteSpec, Spec, SymbolSpec
from tfgen.errors import UserError
from tfgen.models.contracts.model import Model

# Of a spec: numbers on which the shapes of weights may depend.
_SIZES = ('height', 'width', 'channels', 'levels', 'length', 'size')
_SHOWN = 6


@dataclasses.dataclass(frozen=True)
class _Names:
    """What has a name in two sets, the one here and the one there."""

    noun: str
    here: Sequence[Hashable]
    there: Sequence[Hashable]

    def of(self, spec: Spec, names: Sequence) -> Spec:
        """`spec` with these names."""
        if self.noun == 'classes':
            return dataclasses.replace(
                spec, num_classes=len(names), class_names=tuple(names)
            )
        if self.noun == 'colours':
            return dataclasses.replace(
                spec, palette=tuple(names), levels=len(names)
            )
        return dataclasses.replace(spec, alphabet=tuple(names))

    def another_number(self) -> Sequence[Hashable]:
        """One less, or more where a model may need two."""
        if len(self.here) > 2:
            return self.here[:-1]
        return (*self.here, *self.here[:1])

    def places(self) -> np.ndarray:
        """Where there each of here is; -1 where it is not."""
        there = {name: i for i, name in enumerate(_once(self.there))}
        return np.array([there.get(name, -1) for name in _once(self.here)])

    def foreign(self) -> bool:
        """Whether none of here is there, but for blanks."""
        shared = set(self.here) & set(self.there)
        return not any(str(name).strip() for name in shared)


def differences(model: Model, there: Spec) -> str:
    """What of the data gives the weights another meaning; '' if nothing.

    Args:
      model: for the data here.
      there: of the data of another model, alike in all else.
    """
    here = model.spec
    if type(here) is not type(there):
        return f'{here.noun} instead of {there.noun}'
    found = []
    for name in filter(vars(here).get, _SIZES):
        ours, theirs = vars(here)[name], vars(there)[name]
        changed = ours != theirs and dataclasses.replace(here, **{name: theirs})
        # (What a model refuses alone, such as more levels than two, goes with
        # another setting, which is not of the data.)
        if changed and _shapes(model, changed) not in (None, _own(model)):
            found.append(f'{name} {ours} instead of {theirs}')
    for names in _named(here, there):
        numbers = len(names.here), len(names.there)
        if numbers[0] != numbers[1]:
            changed = names.of(here, names.there)
            if _shapes(model, changed) != _own(model):
                found.append(
                    f'{numbers[0]} {names.noun} instead of {numbers[1]}'
                )
    return ', '.join(found)


def arranged(
    model: Model, there: Spec, stored: Mapping[int, np.ndarray]
) -> tuple[dict[int, np.ndarray], str]:
    """Weights of a model for the data `there`, in the order of `model`.

    What has no counterpart keeps the weights of `model`.

    Args:
      model: for the data here; between these and those are no `differences`.
      there: see `differences`.
      stored: place in the model -> value, shaped as the variable of `model`.

    Returns:
      The same, and what is to be said of it; '' where nothing has moved.

    Raises:
      UserError: nothing here has a counterpart, or its place is not known.
    """
    taken = {
        number: [np.arange(size) for size in value.shape]
        for number, value in stored.items()
    }
    said = []
    for names in _named(model.spec, there):
        shapes = None
        if len(names.here) == len(names.there):
            shapes = _shapes(
                model, names.of(model.spec, names.another_number())
            )
        if shapes in (None, _own(model)):
            continue  # the model knows nothing of them
        _require_counterparts(model, names)
        places = names.places()
        for number, axes in taken.items():
            for axis, rows in enumerate(axes):
                groups = abs(shapes[number][axis] - len(rows))
                if groups:
                    _take(rows.reshape(groups, -1), places, names.noun)
        new = int(np.sum(places < 0))
        said.append(f'{names.noun} by name, {new} of {len(places)} new')
    moved = {
        number: _moved(value, taken[number], np.array(model.variables[number]))
        for number, value in stored.items()
    }
    return moved, '; '.join(said)


def _take(rows, places, noun):
    """Sets which rows there become those here: [groups, rows of a group]."""
    count = len(places)
    own = rows[:, -count:] if noun == 'classes' else rows[:, :count]
    own[:] = np.where(places < 0, -1, own[:, places])


def _moved(value, axes, own):
    """`value` with its rows taken along each axis; -1 takes those of `own`."""
    new = np.zeros(value.shape, bool)
    for axis, rows in enumerate(axes):
        value = np.take(value, rows, axis)
        shape = [-1 if a == axis else 1 for a in range(value.ndim)]
        new |= (rows < 0).reshape(shape)
    return np.where(new, own, value)


def _require_counterparts(model, names):
    if names.foreign():
        raise UserError(
            f'init_from has weights of {names.noun} {_words(names.there)}, and '
            f'none of these is of the data here, {_words(names.here)}: name '
            'them alike, or leave --init_from out'
        )
    if names.noun == 'classes' and not model.labels_last:
        raise UserError(
            f'init_from has weights of {names.noun} {_words(names.there)}, in '
            f'this order, which {type(model).__name__} cannot change to '
            f'{_words(names.here)}: name them alike, or leave --init_from out'
        )


def _named(here, there):
    """What both sets name, and otherwise."""
    found = [_Names('classes', _classes(here), _classes(there))]
    if isinstance(here, SymbolSpec):
        found.append(_Names('symbols', here.alphabet, there.alphabet))
    if isinstance(here, PaletteSpec):
        found.append(_Names('colours', here.palette, there.palette))
    return [names for names in found if names.here != names.there]


def _classes(spec):
    """Names of the classes; their numbers where there are none."""
    return spec.class_names or tuple(map(str, range(spec.num_classes)))


def _once(names):
    """Names that occur again, told apart: two colours may be the same."""
    seen = collections.Counter()
    for name in names:
        seen[name] += 1
        yield name, seen[name]


def _own(model):
    return [tuple(v.shape) for v in model.variables]


def _shapes(model, spec):
    """Of the variables of such a model for other data; None if refused."""
    settings = dict(model.settings)
    if 'levels' in settings and isinstance(spec, PaletteSpec):
        settings['levels'] = 0  # as many as there are colours
    try:
        return _own(type(model)(spec, **settings))
    except UserError:
        return None


def _words(names):
    shown = [repr(name) for name in names[:_SHOWN]]
    return ', '.join(shown if len(names) <= _SHOWN else [*shown, '...'])
