"""Dropping facts of one drain that a later fact of the same drain replaces as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from ccengine.ports import FactData


def coalesce(facts: Sequence[FactData]) -> Sequence[FactData]:
    """Return ``facts`` without those that a later one with the same type and stream replaces.

    Only fact classes that declare ``COALESCE: ClassVar[bool] = True`` take part: their facts
    carry the whole record and applying the last one alone gives the same state.  The order of
    what remains is kept.
    """
    last: dict[tuple[tuple[str, int], str], int] = {}
    replaced: set[int] = set()
    for index, fact in enumerate(facts):
        if getattr(fact, "COALESCE", False):
            earlier = last.get((fact.FACT, fact.stream))
            if earlier is not None:
                replaced.add(earlier)
            last[fact.FACT, fact.stream] = index
    if not replaced:
        return facts
    return [fact for index, fact in enumerate(facts) if index not in replaced]
