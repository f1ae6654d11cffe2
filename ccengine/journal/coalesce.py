"""Dropping facts of one drain that a later fact of the same drain replaces as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from ccengine.ports import FactData


def coalesce(facts: Sequence[FactData]) -> Sequence[FactData]:
    """Return ``facts`` without those that a later one of the same class and stream replaces.

    Only fact classes that declare ``COALESCE: ClassVar[bool] = True`` take part: their facts
    carry the whole record and applying the last one alone gives the same state.  The order of
    what remains is kept.
    """
    if len(facts) < 2:
        return facts
    last: dict[tuple[type, str], int] = {}
    replaced: set[int] = set()
    for index, fact in enumerate(facts):
        if getattr(fact, "COALESCE", False):
            key = (type(fact), fact.stream)
            earlier = last.get(key)
            if earlier is not None:
                replaced.add(earlier)
            last[key] = index
    if not replaced:
        return facts
    return [fact for index, fact in enumerate(facts) if index not in replaced]
