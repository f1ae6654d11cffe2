"""All bridges of a worker: wanted by name, wired as their legs come and go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ccengine.errors import MediaError
from ccengine.media.bridge import Bridge
from ccengine.media.control import BridgeWant
from ccengine.media.leg import Leg


class NameIndex:
    """Which objects name a leg, whether the leg exists or not."""

    def __init__(self) -> None:
        self._users: dict[str, dict[str, None]] = {}

    def add(self, key: str, legs: Iterable[str]) -> None:
        """Note that the object ``key`` names ``legs``."""
        for leg in legs:
            self._users.setdefault(leg, {})[key] = None

    def remove(self, key: str, legs: Iterable[str]) -> None:
        """Forget what :meth:`add` noted."""
        for leg in legs:
            users = self._users.get(leg, {})
            users.pop(key, None)
            if not users:
                self._users.pop(leg, None)

    def users(self, leg: str) -> tuple[str, ...]:
        """Return the objects that name a leg."""
        return tuple(self._users.get(leg, ()))


class Bridges:
    """Bridges by key; ``legs`` are the legs that exist, shared with the plane.

    A leg is in one bridge at a time: the last one that was wanted.
    """

    def __init__(self, legs: Mapping[str, Leg]) -> None:
        self._legs = legs
        self._bridges: dict[str, Bridge] = {}
        self._names = NameIndex()

    def __contains__(self, key: str) -> bool:
        return key in self._bridges

    def want(self, want: BridgeWant) -> None:
        """Create or replace a bridge; :class:`MediaError` when a leg is of another unit."""
        for key in want.legs:
            leg = self._legs.get(key)
            if leg is not None and leg.want.unit != want.unit:
                raise MediaError(
                    f"bridge {want.key}: leg {key} is of unit {leg.want.unit}, not {want.unit}",
                    cure="want the leg in the bridge's unit first",
                )
        bridge = self._bridges.get(want.key)
        if bridge is None:
            bridge = self._bridges[want.key] = Bridge(want)
        else:
            self.unwire(bridge)
            self._names.remove(want.key, bridge.want.legs)
            bridge.want = want
        self._names.add(want.key, want.legs)
        self.wire(bridge)

    def drop(self, key: str) -> None:
        """Take a bridge away."""
        bridge = self._bridges.pop(key)
        self.unwire(bridge)
        self._names.remove(key, bridge.want.legs)

    def fit(self, leg: str) -> None:
        """Wire afresh whatever names a leg that is new, has moved or has changed."""
        for key in self._names.users(leg):
            bridge = self._bridges[key]
            self.unwire(bridge)
            self.wire(bridge)

    def unwire(self, bridge: Bridge) -> None:
        """Let the legs of a bridge hear nothing of each other."""
        for leg in bridge.legs:
            table = leg.group.table
            table.peer[leg.row] = -1
            table.mixed[leg.row] = False
            leg.group.rooms.pop(bridge.want.key, None)
            leg.group.playout.dirty = True
            leg.bridge = None
        bridge.legs = []

    def wire(self, bridge: Bridge) -> None:
        """Let those legs of a bridge hear each other that exist."""
        legs = [self._legs[key] for key in dict.fromkeys(bridge.want.legs) if key in self._legs]
        if len({id(leg.group) for leg in legs}) > 1:
            # On its way from one unit to another: the bridge waits until all have arrived.
            legs = []
        for leg in legs:
            if leg.bridge is not None and leg.bridge is not bridge:
                self._take_out(leg.bridge, leg)
        bridge.legs = legs
        bridge.plain = bridge.is_plain()
        # One party alone in a call hears nothing; one party alone in a room hears silence.
        mixed = not bridge.plain and len(legs) >= min(2, len(bridge.want.legs))
        for leg in legs:
            leg.bridge = bridge
            leg.group.playout.dirty = True
            leg.group.table.mixed[leg.row] = mixed
        if bridge.plain:
            first, second = legs
            first.group.table.peer[first.row] = second.row
            first.group.table.peer[second.row] = first.row
        elif mixed and legs:
            legs[0].group.rooms[bridge.want.key] = bridge

    def _take_out(self, bridge: Bridge, leg: Leg) -> None:
        """Take a leg out of the bridge that it is in, for another one."""
        rest = tuple(key for key in bridge.want.legs if key != leg.key)
        self.unwire(bridge)
        self._names.remove(bridge.want.key, (leg.key,))
        want = bridge.want
        bridge.want = BridgeWant(want.key, want.rev, want.unit, rest, want.gains)
        self.wire(bridge)
