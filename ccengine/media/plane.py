"""The wanted objects of a worker and the legs, bridges, plays and recordings made of them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import Final

from ccengine.clock import Clock
from ccengine.dsp import g711
from ccengine.errors import MediaError
from ccengine.ids import IdMaker
from ccengine.media.bridging import Bridges
from ccengine.media.control import (
    BridgeWant,
    Digit,
    DigitsWant,
    Latched,
    LegWant,
    PlayWant,
    RecordingDone,
    RecordingWant,
    Refused,
    RtpTimeout,
    Want,
)
from ccengine.media.engine import Engine
from ccengine.media.group import PTIMES_MS, Group, Rig
from ccengine.media.latch import Latching
from ccengine.media.lease import PortLeases
from ccengine.media.leg import Leg
from ccengine.media.play import Arena, Programs
from ccengine.media.playing import Playing
from ccengine.media.poller import Poller
from ccengine.media.recording import RecordingResult, RecordingWriter
from ccengine.media.recordings import Recordings
from ccengine.media.report import Reports, stats_of
from ccengine.media.session import Emit
from ccengine.media.udp import family_of
from ccengine.media.unit import Phases, Unit

_log = logging.getLogger(__name__)
_CLOCK_RATE: Final = 8000


@dataclass(frozen=True, slots=True)
class Works:
    """What the plane is built of."""

    clock: Clock
    ids: IdMaker
    engine: Engine
    poller: Poller
    leases: PortLeases
    programs: Programs
    arena: Arena
    writer: RecordingWriter
    emit: Emit


class Plane:
    """Makes wanted objects so, and tells what happens to them.

    Objects may come in any order: a bridge or recording takes its legs in when they come.
    """

    def __init__(self, works: Works, *, name: str, rtcp_interval_s: float, capacity: int) -> None:
        self._works = works
        self._emit = works.emit
        rig = Rig(works.engine, works.arena, works.writer, self)
        self.phases = Phases(rig, capacity)
        self._latching = Latching(works.poller, works.clock.now, self._latched)
        self.reports = Reports(works.poller, works.clock, name, rtcp_interval_s)
        self._wants: dict[str, Want] = {}
        self._units: dict[str, Unit] = {}
        self._legs: dict[str, Leg] = {}
        self._bridges = Bridges(self._legs)
        self._recordings = Recordings(self._legs, works.writer)
        self._playing = Playing(self._legs, works.programs, works.clock, works.emit)

    # --- what there is ------------------------------------------------------------------------

    @property
    def leg_count(self) -> int:
        """Return how many legs there are."""
        return len(self._legs)

    @property
    def garbage(self) -> int:
        """Return how many datagrams were no packets at all."""
        groups = sum(group.garbage for group in self.phases.groups())
        return groups + self._latching.garbage + self.reports.garbage

    def have(self) -> list[tuple[str, int]]:
        """Return key and revision of every object."""
        return [(key, want.rev) for key, want in self._wants.items()]

    # --- wanted states ------------------------------------------------------------------------

    def want(self, want: Want) -> None:
        """Create or replace one object; what is impossible is refused and is not there."""
        before = self._wants.get(want.key)
        if before is not None and before.rev == want.rev:
            return
        if before is not None and type(before) is not type(want):
            self.drop(want.key)
        try:
            if isinstance(want, LegWant):
                self._want_leg(want)
            elif isinstance(want, BridgeWant):
                self._bridges.want(want)
            elif isinstance(want, RecordingWant):
                self._recordings.want(want)
            elif isinstance(want, PlayWant):
                self._playing.want(want)
            else:
                self._playing.want_digits(want)
        except MediaError as error:
            self._refuse(want.key, str(error))
            return
        self._wants[want.key] = want

    def _refuse(self, key: str, error: str) -> None:
        _log.warning("%s is refused: %s", key, error)
        self.drop(key)
        self._emit(lambda seq: Refused(seq, key, error))

    def drop(self, key: str) -> None:
        """Take one object away; an unknown one is ignored."""
        want = self._wants.pop(key, None)
        if key in self._legs:
            self._drop_leg(self._legs.pop(key))
        elif key in self._bridges:
            self._bridges.drop(key)
        elif key in self._recordings:
            self._recordings.drop(key)
        elif isinstance(want, PlayWant):
            self._playing.drop(want)
        elif isinstance(want, DigitsWant):
            self._playing.drop_digits(want)

    def close(self) -> None:
        """Take everything away."""
        for key in tuple(self._wants):
            self.drop(key)

    # --- legs ---------------------------------------------------------------------------------

    def _want_leg(self, want: LegWant) -> None:
        _check_leg(want)
        leg = self._legs.get(want.key)
        if leg is not None and leg.want.port != want.port:
            self.drop(want.key)
            leg = None
        if leg is None:
            self._new_leg(want)
        else:
            self._change_leg(leg, want)

    def _unit(self, key: str, ptime_ms: int) -> Unit:
        unit = self._units.get(key)
        if unit is None:
            unit = self._units[key] = Unit(key, self.phases.least_loaded(ptime_ms))
        return unit

    def _new_leg(self, want: LegWant) -> None:
        works = self._works
        pair = works.leases.take(want.port)
        if pair is None:
            raise MediaError(f"port {want.port} is not leased", cure="take one from Leases")
        unit = self._unit(want.unit, want.codec.ptime_ms)
        number = works.ids.number
        leg = Leg(want.key, want, pair, number(32), unit, unit.group)
        self._legs[want.key] = unit.legs[want.key] = leg
        unit.group.append(leg)
        table, row, now = leg.group.table, leg.row, works.clock.now()
        table.tx_seq[row] = number(15)
        table.tx_ts[row] = number(32)
        table.heard[row] = now
        self._latching.open(leg)
        self.reports.open(leg, now)
        self._fit(want.key)

    def _change_leg(self, leg: Leg, want: LegWant) -> None:
        before, leg.want = leg.want, want
        if want.unit != before.unit:
            self._leave_unit(leg)
            leg.unit = self._unit(want.unit, want.codec.ptime_ms)
            leg.unit.legs[leg.key] = leg
        target = leg.unit.group
        if len(leg.unit.legs) == 1 and target.ptime_ms != want.codec.ptime_ms:
            target = leg.unit.group = self.phases.least_loaded(want.codec.ptime_ms)
        if leg.group is not target:
            if leg.bridge is not None:
                self._bridges.unwire(leg.bridge)
            self._move(leg)
        if want.receive and (not before.receive or want.timeout_s != before.timeout_s):
            leg.group.table.heard[leg.row] = self._works.clock.now()
        if _is_elsewhere(leg, before):
            leg.rtcp.remote = None
            self._latching.reopen(leg)
        leg.group.refresh(leg)
        if want.codec.name != before.codec.name:
            self._playing.change_codec(leg)
            self._recordings.leave(leg)
        self._fit(leg.key)

    def _leave_unit(self, leg: Leg) -> None:
        del leg.unit.legs[leg.key]
        if not leg.unit.legs:
            self._units.pop(leg.unit.key, None)

    def _move(self, leg: Leg) -> None:
        """Move a leg's row to the group of its unit, keeping its numbers in step."""
        source, target = leg.group, leg.unit.group
        row = leg.row
        source.keying.forget(leg)
        if leg in source.reception.pending:
            source.reception.pending.remove(leg)
        self._playing.save(leg)
        target.append(leg, source)
        shift = self.phases.next_visit(target) - self.phases.next_visit(source)
        target.table.tx_visit[leg.row] += shift
        target.table.rx_visit[leg.row] += shift
        target.keying.adopt(leg)
        if leg.pending:
            target.reception.pending.append(leg)
        moved = source.remove(row)
        self._playing.hear(leg)
        # A leg of the same unit moves next, and is fitted in when all of them have.
        if moved is not None and moved.unit is not leg.unit:
            self._fit(moved.key)

    def _latched(self, leg: Leg) -> None:
        """Note a source that has just been locked; serve the unit soon after its packets."""
        assert leg.latched is not None
        host, port = leg.latched
        unit = leg.unit
        if not unit.settled:
            unit.settled = True
            group = self.phases.after_arrival(unit.group)
            if group is not unit.group:
                self._move_unit(unit, group)
        leg.group.refresh(leg)
        if leg.pending and leg not in leg.group.reception.pending:
            leg.group.reception.pending.append(leg)
        leg.group.table.timed_out[leg.row] = False
        self._emit(lambda seq: Latched(seq, leg.key, host, port))

    def _move_unit(self, unit: Unit, group: Group) -> None:
        unit.group = group
        for leg in unit.legs.values():
            if leg.bridge is not None:
                self._bridges.unwire(leg.bridge)
        for leg in unit.legs.values():
            self._move(leg)
        for key in unit.legs:
            self._fit(key)

    def _drop_leg(self, leg: Leg) -> None:
        works, group, bridge = self._works, leg.group, leg.bridge
        self._emit(lambda seq: stats_of(leg, seq))
        self.reports.close(leg)
        self._latching.close(leg)
        self._recordings.leave(leg)
        if bridge is not None:
            self._bridges.unwire(bridge)
        for key in self._playing.leave(leg):
            self._wants.pop(key, None)
        group.keying.forget(leg)
        if leg in group.reception.pending:
            group.reception.pending.remove(leg)
        moved = group.remove(leg.row)
        self._leave_unit(leg)
        works.leases.release(leg.pair, works.clock.now())
        if bridge is not None:
            self._bridges.wire(bridge)
        if moved is not None:
            self._fit(moved.key)

    def _fit(self, key: str) -> None:
        """Fit a leg that is new, has moved or has changed into what names it."""
        self._bridges.fit(key)
        self._recordings.fit(key)

    # --- what groups tell ---------------------------------------------------------------------

    def key_pressed(self, leg: Leg, key: str, duration_ms: int) -> None:
        """Tell of a key press."""
        self._emit(lambda seq: Digit(seq, leg.key, key, duration_ms))

    def play_ended(self, leg: Leg) -> None:
        """Tell of a play that came to its end."""
        self._playing.ended(leg)

    def digits_sent(self, leg: Leg) -> None:
        """Tell that digits are out."""
        self._playing.digits_sent(leg)

    # --- time --------------------------------------------------------------------------------

    def poll_recordings(self) -> None:
        """Tell of recordings that are on disk, or that failed."""
        for result in self._recordings.poll():
            if result.key not in self._recordings:
                self._wants.pop(result.key, None)
            self._emit(partial(_recording_done, result))

    def check_timeouts(self, now: float) -> None:
        """Tell of legs that have heard nothing for too long; once until they hear again."""
        for group in self.phases.groups():
            table, count = group.table, group.count
            watched = (table.timeout[:count] > 0) & table.receive[:count]
            silent = watched & (now - table.heard[:count] > table.timeout[:count])
            fresh = silent & ~table.timed_out[:count]
            table.timed_out[:count] = silent
            for row in fresh.nonzero()[0].tolist():
                self._emit(partial(_rtp_timeout, group.legs[row].key))


def _recording_done(result: RecordingResult, seq: int) -> RecordingDone:
    return RecordingDone(seq, result.key, result.files, result.duration_s, result.error)


def _rtp_timeout(key: str, seq: int) -> RtpTimeout:
    return RtpTimeout(seq, key)


def _check_leg(want: LegWant) -> None:
    codec = want.codec
    if codec.name not in g711.LAWS or codec.clock_rate != _CLOCK_RATE:
        raise MediaError(f"leg {want.key}: codec {codec.name}/{codec.clock_rate} is unknown")
    if codec.ptime_ms not in PTIMES_MS:
        raise MediaError(f"leg {want.key}: packets of {codec.ptime_ms} ms are not supported")
    if not 0 <= codec.payload_type < 128:
        raise MediaError(f"leg {want.key}: {codec.payload_type} is no payload type")
    if want.remote_host:
        try:
            family_of(want.remote_host)
        except ValueError:
            raise MediaError(f"leg {want.key}: {want.remote_host} is no IP address") from None


def _is_elsewhere(leg: Leg, before: LegWant) -> bool:
    """Return whether a leg's new description means another source than the present one."""
    want = leg.want
    remote = (want.remote_host, want.remote_port)
    if (*remote, want.latch) == (before.remote_host, before.remote_port, before.latch):
        return False
    if leg.latched is None:
        return True
    # Who was heard before the first description came (early media) is who is described, as
    # he appears behind his NAT.
    return bool(before.remote_host) and leg.latched != remote
