"""Finds the weights of each class, symbol or colour, and moves them by name.

Every name has its own rows along some axes of some variables. To find these
axes, the model is also built for a data set with one name fewer: exactly these
axes are shorter there. The rows of symbols and colours come first along an
axis. Model.labels_last says whether the rows of classes come last.
"""

import collections
import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from tfgen.data import PaletteSpec, Spec, SymbolSpec
from tfgen.errors import UserError
from tfgen.models.contracts.model import Model

# Fields of a Spec on which the shapes of weights may depend.
_SIZES = ('height', 'width', 'channels', 'levels', 'length', 'size')
_SHOWN = 6


@dataclasses.dataclass(frozen=True)
class _Names:
    """Names of the same noun in two data sets.

    Attributes:
      noun: 'classes', 'symbols' or 'colours'.
      here: names in the data set of the model.
      there: names in the data set of the stored weights.
    """

    noun: str
    here: Sequence[Hashable]
    there: Sequence[Hashable]

    def of(self, spec: Any, names: Sequence) -> Spec:
        """`spec` with `names` in place of its own."""
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
        """`here` with one name fewer, or one more if there are at most two.

        A model may need at least two names.
        """
        if len(self.here) > 2:
            return self.here[:-1]
        return (*self.here, *self.here[:1])

    def places(self) -> np.ndarray:
        """The index in `there` of each name of `here`, or -1: [len(here)]."""
        there = {name: i for i, name in enumerate(_once(self.there))}
        return np.array([there.get(name, -1) for name in _once(self.here)])

    def foreign(self) -> bool:
        """Whether `here` and `there` share no name that is not blank."""
        shared = set(self.here) & set(self.there)
        return not any(str(name).strip() for name in shared)


def differences(model: Model, there: Spec) -> str:
    """Differences of the data that give the weights another meaning.

    Args:
      model: built for the data here.
      there: spec of the data of another model, equal in everything else.

    Returns:
      The differences in words; '' if there are none.
    """
    here = model.spec
    if type(here) is not type(there):
        return f'{here.noun} instead of {there.noun}'
    found = []
    for name in filter(vars(here).get, _SIZES):
        ours, theirs = vars(here)[name], vars(there)[name]
        changed = ours != theirs and dataclasses.replace(here, **{name: theirs})
        # None means that the model refuses this change without a change of its
        # settings, for example more than two levels.
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
    """Reorders stored weights so that their names match those of `model`.

    Names that the stored weights lack keep the weights of `model`.

    Args:
      model: built for the data here, which has no `differences` from `there`.
      there: spec of the data of the stored weights.
      stored: index of a variable -> value, of the shape of that variable of
        `model`.

    Returns:
      The reordered values by index, and a sentence about it; '' if nothing
      has moved.

    Raises:
      UserError: the two sets share no name, or the model does not tell where
        the weights of a class are.
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
            continue  # no weight depends on these names
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
    """Replaces the rows of names in `rows` by the stored rows of these names.

    Args:
      rows: indices of rows, [groups, rows of a group]; changed in place. -1
        marks a name that the stored weights lack.
      places: see _Names.places.
      noun: 'classes' come last in a group, other names first.
    """
    count = len(places)
    own = rows[:, -count:] if noun == 'classes' else rows[:, :count]
    own[:] = np.where(places < 0, -1, own[:, places])


def _moved(value, axes, own):
    """Takes the rows `axes` of `value` along each axis; -1 takes from `own`."""
    new = np.zeros(value.shape, bool)
    for axis, rows in enumerate(axes):
        value = np.take(value, rows, axis)
        shape = [-1 if a == axis else 1 for a in range(value.ndim)]
        new |= (rows < 0).reshape(shape)
    return np.where(new, own, value)


def _require_counterparts(model, names):
    """Raises UserError if `names` cannot be matched in this model."""
    if names.foreign():
        raise UserError(
            f'init_from has weights for the {names.noun} '
            f'{_words(names.there)}, and the data has none of them, only '
            f'{_words(names.here)}: use the same names, or leave --init_from '
            'out'
        )
    if names.noun == 'classes' and not model.labels_last:
        raise UserError(
            f'init_from has weights for the {names.noun} '
            f'{_words(names.there)} in this order, and {type(model).__name__} '
            f'cannot reorder them to {_words(names.here)}: use the same names, '
            'or leave --init_from out'
        )


def _named(here, there):
    """The kinds of names that both data sets have and that differ."""
    found = [_Names('classes', _classes(here), _classes(there))]
    if isinstance(here, SymbolSpec):
        found.append(_Names('symbols', here.alphabet, there.alphabet))
    if isinstance(here, PaletteSpec):
        found.append(_Names('colours', here.palette, there.palette))
    return [names for names in found if names.here != names.there]


def _classes(spec):
    """Names of the classes, or their numbers where they have no names."""
    return spec.class_names or tuple(map(str, range(spec.num_classes)))


def _once(names):
    """Pairs (name, how often seen), so that equal colours can be told apart."""
    seen = collections.Counter()
    for name in names:
        seen[name] += 1
        yield name, seen[name]


def _own(model):
    """The shapes of the variables of `model`."""
    return [tuple(v.shape) for v in model.variables]


def _shapes(model, spec):
    """Shapes of the variables of a model with the same settings for `spec`.

    None if the model refuses `spec`.
    """
    settings = dict(model.settings)
    if 'levels' in settings and isinstance(spec, PaletteSpec):
        settings['levels'] = 0  # one level per colour
    try:
        return _own(type(model)(spec, **settings))
    except UserError:
        return None


def _words(names):
    """At most six names, quoted, for a message."""
    shown = [repr(name) for name in names[:_SHOWN]]
    return ', '.join(shown if len(names) <= _SHOWN else [*shown, '...'])
