"""New versions of frozen records: what :func:`dataclasses.replace` does, at half its cost.

A call is told in some fifty whole records, each made from the one before, so this is one of
the warmest places of signalling.  Frozen dataclasses pay for every field in ``__init__``;
here the fields are copied from slot to slot.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, TypeAlias

_Plan: TypeAlias = tuple[
    Callable[[Any], tuple[Any, ...]], dict[str, int], tuple[Callable[[Any, Any], None], ...]
]
_plans: dict[type, _Plan | None] = {}


def _plan_of(kind: type) -> _Plan | None:
    """Return how to copy records of a class, nothing when its ``__init__`` must be run."""
    fields = dataclasses.fields(kind)
    slots = [getattr(kind, field.name, None) for field in fields]
    plain = all(field.init for field in fields) and not hasattr(kind, "__post_init__")
    setters = tuple(slot.__set__ for slot in slots if isinstance(slot, MemberDescriptorType))
    if not plain or len(setters) != len(fields) or len(fields) < 2:
        plan = None
    else:
        names = [field.name for field in fields]
        places = {name: place for place, name in enumerate(names)}
        plan = attrgetter(*names), places, setters
    _plans[kind] = plan
    return plan


def _replace(record: Any, /, **changes: Any) -> Any:
    """Return a copy of a frozen dataclass with some fields changed.

    Raises TypeError for a field that it does not have.
    """
    kind = type(record)
    plan = _plans[kind] if kind in _plans else _plan_of(kind)
    if plan is None:
        return dataclasses.replace(record, **changes)
    read, places, setters = plan
    values = list(read(record))
    try:
        for name, value in changes.items():
            values[places[name]] = value
    except KeyError as error:
        raise TypeError(f"{kind.__name__} has no field {error.args[0]!r}") from None
    copy = object.__new__(kind)
    for setter, value in zip(setters, values, strict=True):
        setter(copy, value)
    return copy


if TYPE_CHECKING:
    # The type checker knows the fields that dataclasses.replace may be given.
    from dataclasses import replace as replace
else:
    replace = _replace
