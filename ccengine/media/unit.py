"""Mix units: the legs of one call or room, which share a tick phase."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ccengine.media.group import PTIMES_MS, SLOT_MS, Group, Rig

if TYPE_CHECKING:
    from ccengine.media.leg import Leg


@dataclass(slots=True)
class Unit:
    """Legs that are served in one group.

    ``settled`` once the phase follows the arrival of the first leg's packets.
    """

    key: str
    group: Group
    legs: dict[str, Leg] = field(default_factory=dict)
    settled: bool = False


class Phases:
    """All groups of a worker, by packet time and phase.

    ``slot`` counts slots of 5 ms; a group is visited in every ``period``-th of them.
    """

    def __init__(self, rig: Rig, capacity: int) -> None:
        self._rig = rig
        self.slot = 0
        self._groups: dict[int, list[Group | None]] = {
            ptime: [None] * (ptime // SLOT_MS) for ptime in PTIMES_MS
        }
        for phase in range(len(self._groups[20])):
            self._groups[20][phase] = Group(20, phase, rig, capacity)

    def groups(self) -> list[Group]:
        """Return every group that exists."""
        return [group for row in self._groups.values() for group in row if group is not None]

    def legs(self) -> int:
        """Return how many legs there are."""
        return sum(group.count for group in self.groups())

    def _group(self, ptime_ms: int, phase: int) -> Group:
        group = self._groups[ptime_ms][phase]
        if group is None:
            group = self._groups[ptime_ms][phase] = Group(ptime_ms, phase, self._rig)
        return group

    def least_loaded(self, ptime_ms: int) -> Group:
        """Return the group of a packet time that has the fewest legs."""
        row = self._groups[ptime_ms]
        counts = [group.count if group is not None else 0 for group in row]
        return self._group(ptime_ms, counts.index(min(counts)))

    def after_arrival(self, group: Group) -> Group:
        """Return the group that comes soon after packets that arrive now.

        That keeps what a packet waits for its tick short; a group that has much more than
        its share is passed over for the next one.
        """
        row = self._groups[group.ptime_ms]
        period = len(row)
        counts = [other.count if other is not None else 0 for other in row]
        limit = 1.25 * sum(counts) / period + 8
        # One slot of reserve, for packets that are a little late.
        for ahead in range(2, period + 2):
            phase = (self.slot + ahead) % period
            if counts[phase] <= limit:
                return self._group(group.ptime_ms, phase)
        return group

    def next_visit(self, group: Group) -> int:
        """Return the number of a group's next visit."""
        return (self.slot - group.phase) // group.period + 1

    def visit(self, slot: int, now: float) -> bool:
        """Serve the groups of a slot; False when there was nothing to serve."""
        self.slot = slot
        served = False
        for ptime, row in self._groups.items():
            group = row[slot % (ptime // SLOT_MS)]
            if group is not None and group.legs:
                group.visit((slot - group.phase) // group.period, now)
                served = True
        return served
