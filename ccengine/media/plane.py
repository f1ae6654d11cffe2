"""The wanted objects of a worker and the legs, bridges, plays and recordings made of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ccengine.clock import Clock
from ccengine.dsp import g711
from ccengine.errors import MediaError
from ccengine.ids import IdMaker
from ccengine.media.bridge import Bridge
from ccengine.media.control import (
    BridgeWant,
    Digit,
    DigitsSent,
    DigitsWant,
    Latched,
    LegWant,
    PlayDone,
    PlayWant,
    RecordingDone,
    RecordingWant,
    Refused,
    RtpTimeout,
    Want,
    WorkerEvent,
)
from ccengine.media.engine import Engine
from ccengine.media.group import PTIMES_MS, Group, Rig
from ccengine.media.latch import Latching
from ccengine.media.lease import PortLeases
from ccengine.media.leg import Leg
from ccengine.media.play import Arena, Play, Program, Programs
from ccengine.media.poller import Poller
from ccengine.media.recording import RecordingWriter
from ccengine.media.report import Reports, stats_of
from ccengine.media.udp import family_of
from ccengine.media.unit import Phases, Unit
from ccengine.rtp.event import KEYS

Emit = Callable[[Callable[[int], WorkerEvent]], None]
"""Takes a maker of an event and gives it the next sequence number."""

_log = logging.getLogger(__name__)
_CLOCK_RATE: Final = 8000


@dataclass(slots=True)
class Recording:
    """A wanted recording, its slot at the writer and the legs on its two sides."""

    want: RecordingWant
    slot: int
    sides: list[Leg | None] = field(default_factory=lambda: [None, None])
    paused: bool = False


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
        self._bridges: dict[str, Bridge] = {}
        self._recordings: dict[str, Recording] = {}
        # Which bridges and recordings name a leg, whether it exists or not.
        self._named_by: dict[str, dict[str, None]] = {}

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
                self._want_bridge(want)
            elif isinstance(want, RecordingWant):
                self._want_recording(want)
            elif isinstance(want, PlayWant):
                self._want_play(want)
            else:
                self._want_digits(want)
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
            self._drop_bridge(self._bridges.pop(key))
        elif key in self._recordings:
            self._drop_recording(self._recordings.pop(key))
        elif isinstance(want, PlayWant):
            self._drop_play(want)
        elif isinstance(want, DigitsWant) and want.leg in self._legs:
            leg = self._legs[want.leg]
            leg.ended.pop(key, None)
            leg.group.keying.cancel(leg, key)

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
        self._rewire(want.key)

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
                self._unwire(leg.bridge)
            self._move(leg)
        if want.receive and not before.receive:
            leg.group.table.heard[leg.row] = self._works.clock.now()
        old = (before.remote_host, before.remote_port, before.latch)
        if old != (want.remote_host, want.remote_port, want.latch) and not _same_source(leg):
            leg.rtcp.remote = None
            self._latching.reopen(leg)
        leg.group.refresh(leg)
        if want.codec.name != before.codec.name:
            self._change_codec(leg)
        self._rewire(leg.key)

    def _change_codec(self, leg: Leg) -> None:
        """Get the plays of a leg again in its new codec; they start afresh."""
        plays, leg.plays = leg.plays, []
        leg.group.table.playing[leg.row] = False
        for play in plays:
            if play.program is not None:
                self._works.programs.release(play.program)
            self._want_play(play.want)
        recording = self._recordings.get(leg.recording)
        if recording is not None:
            self._detach(recording, recording.sides.index(leg))
            self._wire_recording(recording)

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
        self._save_play(leg)
        target.append(leg, source)
        shift = self.phases.next_visit(target) - self.phases.next_visit(source)
        target.table.tx_visit[leg.row] += shift
        target.table.rx_visit[leg.row] += shift
        target.keying.adopt(leg)
        if leg.pending:
            target.reception.pending.append(leg)
        moved = source.remove(row)
        self._hear(leg)
        # A leg of the same unit moves next, and is fitted in when all of them have.
        if moved is not None and moved.unit is not leg.unit:
            self._rewire(moved.key)

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
                self._unwire(leg.bridge)
        for leg in unit.legs.values():
            self._move(leg)
        for key in unit.legs:
            self._rewire(key)

    def _drop_leg(self, leg: Leg) -> None:
        works, group = self._works, leg.group
        self._emit(lambda seq: stats_of(leg, seq))
        self.reports.close(leg)
        self._latching.close(leg)
        recording = self._recordings.get(leg.recording)
        if recording is not None:
            self._detach(recording, recording.sides.index(leg))
        bridge = leg.bridge
        if bridge is not None:
            self._unwire(bridge)
        for play in leg.plays:
            self._wants.pop(play.want.key, None)
            if play.program is not None:
                works.programs.release(play.program)
        leg.plays.clear()
        for key in leg.ended:
            self._wants.pop(key, None)
        for want in leg.digits:
            self._wants.pop(want.key, None)
        if leg.sending is not None:
            self._wants.pop(leg.sending[0].key, None)
        group.keying.forget(leg)
        if leg in group.reception.pending:
            group.reception.pending.remove(leg)
        moved = group.remove(leg.row)
        self._leave_unit(leg)
        works.leases.release(leg.pair, works.clock.now())
        if bridge is not None:
            self._wire(bridge)
        if moved is not None:
            self._rewire(moved.key)

    # --- bridges ------------------------------------------------------------------------------

    def _name(self, key: str, before: tuple[str, ...], after: tuple[str, ...]) -> None:
        for leg in before:
            users = self._named_by.get(leg, {})
            users.pop(key, None)
            if not users:
                self._named_by.pop(leg, None)
        for leg in after:
            self._named_by.setdefault(leg, {})[key] = None

    def _want_bridge(self, want: BridgeWant) -> None:
        foreign = [
            key for key in want.legs if key in self._legs and self._legs[key].want.unit != want.unit
        ]
        if foreign:
            raise MediaError(
                f"bridge {want.key}: leg {foreign[0]} is of another unit than {want.unit}",
                cure="want the leg in the bridge's unit first",
            )
        bridge = self._bridges.get(want.key)
        if bridge is None:
            bridge = self._bridges[want.key] = Bridge(want)
            self._name(want.key, (), want.legs)
        else:
            self._unwire(bridge)
            self._name(want.key, bridge.want.legs, want.legs)
            bridge.want = want
        self._wire(bridge)

    def _drop_bridge(self, bridge: Bridge) -> None:
        self._unwire(bridge)
        self._name(bridge.want.key, bridge.want.legs, ())

    def _unwire(self, bridge: Bridge) -> None:
        for leg in bridge.legs:
            table = leg.group.table
            table.peer[leg.row] = -1
            table.mixed[leg.row] = False
            leg.group.rooms.pop(bridge.want.key, None)
            leg.group.playout.dirty = True
            leg.bridge = None
        bridge.legs = []

    def _wire(self, bridge: Bridge) -> None:
        """Connect those legs of a bridge that exist; a leg is in one bridge, the last wanted."""
        legs = [self._legs[key] for key in dict.fromkeys(bridge.want.legs) if key in self._legs]
        if len({id(leg.group) for leg in legs}) > 1:
            # On its way from one unit to another: the bridge waits until all have arrived.
            legs = []
        for leg in legs:
            if leg.bridge is not None and leg.bridge is not bridge:
                self._unwire_leg(leg)
        bridge.legs = legs
        bridge.plain = bridge.is_plain()
        waits = len(legs) < min(2, len(bridge.want.legs))
        for leg in legs:
            leg.bridge = bridge
            leg.group.playout.dirty = True
            leg.group.table.mixed[leg.row] = not bridge.plain and not waits
            leg.group.table.peer[leg.row] = -1
        if bridge.plain:
            first, second = legs
            first.group.table.peer[first.row] = second.row
            first.group.table.peer[second.row] = first.row
        if legs and not bridge.plain and not waits:
            legs[0].group.rooms[bridge.want.key] = bridge
        elif legs:
            legs[0].group.rooms.pop(bridge.want.key, None)

    def _unwire_leg(self, leg: Leg) -> None:
        bridge = leg.bridge
        assert bridge is not None
        self._unwire(bridge)
        bridge.want = _without(bridge.want, leg.key)
        self._wire(bridge)

    def _rewire(self, key: str) -> None:
        """Fit a leg that is new, has moved or has changed into what names it."""
        for user in tuple(self._named_by.get(key, ())):
            bridge = self._bridges.get(user)
            if bridge is not None:
                self._unwire(bridge)
                self._wire(bridge)
            recording = self._recordings.get(user)
            if recording is not None:
                self._wire_recording(recording)

    # --- recordings ---------------------------------------------------------------------------

    def _want_recording(self, want: RecordingWant) -> None:
        recording = self._recordings.get(want.key)
        if recording is None:
            sides = [self._legs[key] for key in (want.left, want.right) if key in self._legs]
            law = sides[0].want.codec.name if sides else g711.ULAW
            slot = self._works.writer.open(want.key, want.folder, law)
            recording = self._recordings[want.key] = Recording(want, slot)
            self._name(want.key, (), (want.left, want.right))
        else:
            before = recording.want
            self._name(want.key, (before.left, before.right), (want.left, want.right))
            recording.want = want
        if want.paused != recording.paused:
            recording.paused = want.paused
            writer = self._works.writer
            (writer.pause if want.paused else writer.resume)(recording.slot)
        self._wire_recording(recording)

    def _wire_recording(self, recording: Recording) -> None:
        for side, key in enumerate((recording.want.left, recording.want.right)):
            leg = self._legs.get(key)
            if recording.sides[side] is leg:
                continue
            self._detach(recording, side)
            if leg is None or leg.recording:
                continue
            channel = self._works.writer.attach(
                recording.slot, side, leg.key, leg.want.codec.name, leg.group.frame
            )
            leg.recording = recording.want.key
            leg.group.table.channel[leg.row] = channel
            leg.group.playout.dirty = True
            recording.sides[side] = leg

    def _detach(self, recording: Recording, side: int) -> None:
        leg = recording.sides[side]
        if leg is None:
            return
        recording.sides[side] = None
        leg.recording = ""
        leg.group.table.channel[leg.row] = -1
        leg.group.playout.dirty = True
        self._works.writer.detach(recording.slot, side)

    def _drop_recording(self, recording: Recording) -> None:
        for side in range(2):
            self._detach(recording, side)
        self._name(recording.want.key, (recording.want.left, recording.want.right), ())
        self._works.writer.close(recording.slot)

    def poll_recordings(self) -> None:
        """Tell of recordings that are on disk, or that failed."""
        for result in self._works.writer.poll():
            recording = self._recordings.pop(result.key, None)
            if recording is not None:
                self._wants.pop(result.key, None)
                self._forget_recording(recording)
            fields = (result.key, result.files, result.duration_s, result.error)
            self._emit(lambda seq, fields=fields: RecordingDone(seq, *fields))  # type: ignore[misc]

    def _forget_recording(self, recording: Recording) -> None:
        """The writer gave a recording up: its slot is no longer ours to put into."""
        for leg in recording.sides:
            if leg is not None:
                leg.recording = ""
                leg.group.table.channel[leg.row] = -1
                leg.group.playout.dirty = True
        self._name(recording.want.key, (recording.want.left, recording.want.right), ())

    # --- plays and digits ---------------------------------------------------------------------

    def _want_play(self, want: PlayWant) -> None:
        leg = self._legs.get(want.leg)
        if leg is None:
            raise MediaError(f"play {want.key}: there is no leg {want.leg}")
        before = next((play for play in leg.plays if play.want.key == want.key), None)
        if before is not None:
            self._remove_play(leg, before)
        leg.ended.pop(want.key, None)
        self._save_play(leg)
        play = Play(want)
        leg.plays.append(play)
        self._works.programs.request(
            want,
            leg.want.codec.name,
            self._works.clock.now(),
            lambda program, error: self._loaded(leg, play, program, error),
        )

    def _loaded(self, leg: Leg, play: Play, program: Program | None, error: str) -> None:
        if play not in leg.plays:
            return
        if program is None:
            leg.plays.remove(play)
            leg.ended[play.want.key] = None
            self._emit(lambda seq: PlayDone(seq, play.want.key, leg.key, error))
            return
        self._works.programs.hold(program)
        self._save_play(leg)
        play.program = program
        self._hear(leg)

    def _save_play(self, leg: Leg) -> None:
        """Note where the play that is heard has come to."""
        table, row = leg.group.table, leg.row
        if table.playing[row]:
            for play in reversed(leg.plays):
                if play.program is not None:
                    play.at = int(table.play_at[row])
                    return

    def _hear(self, leg: Leg) -> None:
        """Let the leg hear its last play that is loaded, from where it had come to."""
        group, table, row = leg.group, leg.group.table, leg.row
        for play in reversed(leg.plays):
            program = play.program
            if program is None:
                continue
            size = program.size if play.want.loop else -(-program.size // group.frame) * group.frame
            table.play_start[row] = program.start
            table.play_end[row] = program.start + size
            table.play_loop[row] = play.want.loop
            table.play_at[row] = play.at if play.at >= 0 else program.start
            table.playing[row] = True
            return
        table.playing[row] = False

    def _remove_play(self, leg: Leg, play: Play) -> None:
        self._save_play(leg)
        leg.plays.remove(play)
        if play.program is not None:
            self._works.programs.release(play.program)
        self._hear(leg)

    def _drop_play(self, want: PlayWant) -> None:
        leg = self._legs.get(want.leg)
        if leg is None:
            return
        leg.ended.pop(want.key, None)
        for play in leg.plays:
            if play.want.key == want.key:
                self._remove_play(leg, play)
                return

    def _want_digits(self, want: DigitsWant) -> None:
        leg = self._legs.get(want.leg)
        if leg is None:
            raise MediaError(f"digits {want.key}: there is no leg {want.leg}")
        if leg.want.event_pt < 0:
            raise MediaError(f"digits {want.key}: leg {want.leg} has no telephone-event")
        if not want.digits or any(digit.upper() not in KEYS for digit in want.digits):
            raise MediaError(f"digits {want.key}: {want.digits!r} are no DTMF keys")
        leg.group.keying.cancel(leg, want.key)
        leg.group.keying.send(leg, want)

    # --- what groups tell ---------------------------------------------------------------------

    def key_pressed(self, leg: Leg, key: str, duration_ms: int) -> None:
        """Tell of a key press."""
        self._emit(lambda seq: Digit(seq, leg.key, key, duration_ms))

    def play_ended(self, leg: Leg) -> None:
        """Tell of a play that came to its end; what it covered is heard again."""
        play = next(play for play in reversed(leg.plays) if play.program is not None)
        leg.plays.remove(play)
        assert play.program is not None
        self._works.programs.release(play.program)
        leg.ended[play.want.key] = None
        leg.group.table.playing[leg.row] = False
        self._hear(leg)
        self._emit(lambda seq: PlayDone(seq, play.want.key, leg.key))

    def digits_sent(self, leg: Leg) -> None:
        """Tell that digits are out."""
        assert leg.sending is not None
        key = leg.sending[0].key
        leg.ended[key] = None
        self._emit(lambda seq: DigitsSent(seq, key, leg.key))

    # --- time ---------------------------------------------------------------------------------

    def check_timeouts(self, now: float) -> None:
        """Tell of legs that have heard nothing for too long; once until they hear again."""
        for group in self.phases.groups():
            table, count = group.table, group.count
            watched = (table.timeout[:count] > 0) & table.receive[:count]
            silent = watched & (now - table.heard[:count] > table.timeout[:count])
            fresh = silent & ~table.timed_out[:count]
            table.timed_out[:count] = silent
            for row in fresh.nonzero()[0].tolist():
                key = group.legs[row].key
                self._emit(lambda seq, key=key: RtpTimeout(seq, key))  # type: ignore[misc]


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


def _same_source(leg: Leg) -> bool:
    """Return whether a changed description names the source that is locked already."""
    return leg.latched is not None and leg.latched == (
        leg.want.remote_host,
        leg.want.remote_port,
    )


def _without(want: BridgeWant, key: str) -> BridgeWant:
    legs = tuple(leg for leg in want.legs if leg != key)
    return BridgeWant(want.key, want.rev, want.unit, legs, want.gains)
