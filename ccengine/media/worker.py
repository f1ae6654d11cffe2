"""A media worker: sockets, groups, plays, recordings and control in one loop without waiting."""

from __future__ import annotations

import logging
import os
import time

from ccengine.clock import Clock, SystemClock
from ccengine.ids import IdMaker, RandomIds
from ccengine.media.control import Load
from ccengine.media.engine import BaseEngine, Engine
from ccengine.media.lease import OnBind, PortLeases
from ccengine.media.plane import Plane, Works
from ccengine.media.play import Arena, Programs
from ccengine.media.poller import Poller
from ccengine.media.recording import RecordingSettings, RecordingWriter
from ccengine.media.session import Session
from ccengine.media.settings import WorkerSettings
from ccengine.media.tick import SLOT_S, Clockwork

_log = logging.getLogger(__name__)
_SLOTS_PER_SECOND = round(1 / SLOT_S)
# What is left of a slot for wants must not make the next one late.
_RESERVE_S = 0.0015
_POLL_AT_ONCE = 16
_RECORDINGS_EVERY = 4
_GROUP_CAPACITY = 256


class Worker:
    """Everything that one media process does; :meth:`run` returns when it is to end.

    ``on_bind`` is called for every port pair that was bound, before it is leased.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        engine: Engine | None = None,
        clock: Clock | None = None,
        ids: IdMaker | None = None,
        on_bind: OnBind | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock if clock is not None else SystemClock()
        self._poller = Poller()
        self._engine = engine if engine is not None else BaseEngine()
        self._leases = PortLeases(
            settings.bind,
            settings.port_min,
            settings.port_max,
            ahead=settings.leases_ahead,
            quarantine_s=settings.quarantine_s,
            on_bind=on_bind,
        )
        arena = Arena(settings.arena_mb << 20)
        self._programs = Programs(arena)
        self._writer = RecordingWriter(RecordingSettings(capacity=settings.recordings), self._clock)
        self._start_helpers()
        self._session = Session(settings.name, settings.socket, self._poller, self)
        works = Works(
            self._clock,
            ids if ids is not None else RandomIds(),
            self._engine,
            self._poller,
            self._leases,
            self._programs,
            arena,
            self._writer,
            self._session.emit,
        )
        self.plane = Plane(
            works,
            name=settings.name,
            rtcp_interval_s=settings.rtcp_interval_s,
            capacity=_GROUP_CAPACITY,
        )
        self.clockwork = Clockwork(self.plane.phases.visit, self._between)
        self._draining = False
        self._alone_since = self._clock.now()
        self._parent = os.getppid()
        self._cpu = time.process_time()
        self._counted = (0, 0)

    def _start_helpers(self) -> None:
        self._writer.start()
        self._watch_loader()

    def _watch_loader(self) -> None:
        sock = self._programs.start()
        fd = sock.fileno()

        def ready() -> None:
            if not self._programs.receive(self._clock.now()):
                _log.error("the loader of prompts has died and is started again")
                self._poller.remove(fd)
                self._watch_loader()

        self._poller.add(fd, ready)

    # --- what the session asks ----------------------------------------------------------------

    def have(self) -> list[tuple[str, int]]:
        """Return key and revision of every object."""
        return self.plane.have()

    def free_ports(self) -> tuple[int, ...]:
        """Return the ports that are free for new legs."""
        return self._leases.free

    def drain(self) -> None:
        """End after the last leg."""
        self._draining = True

    # --- the loop -----------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until :meth:`stop`, a drain that is done, or orphanage."""
        _log.info("media worker %s serves %s", self._settings.name, self._settings.socket)
        try:
            self.clockwork.run()
        finally:
            self._close()

    def stop(self) -> None:
        """End the loop after the slot in hand."""
        self.clockwork.stopping = True

    def _close(self) -> None:
        self.plane.close()
        self._session.close()
        self._leases.close()
        self._programs.stop()
        self._writer.stop()
        self._engine.close()
        self._poller.close()

    def _between(self, slot: int, until: float) -> None:
        """Do everything that is not a tick, within what is left of the slot."""
        session = self._session
        budget = until - _RESERVE_S
        # In every slot a little, so that a busy worker still listens.
        while self._poller.poll(_POLL_AT_ONCE) == _POLL_AT_ONCE and time.monotonic() < budget:
            pass
        while session.inbox:
            item = session.inbox.popleft()
            if isinstance(item, str):
                self.plane.drop(item)
            else:
                self.plane.want(item)
            if time.monotonic() > budget:
                break
        now = self._clock.now()
        self.plane.reports.send_due(now)
        new = self._leases.refill(now)
        if new:
            session.announce(new)
        if slot % _RECORDINGS_EVERY == 0:
            self.plane.poll_recordings()
        if slot % _SLOTS_PER_SECOND == 0:
            self._each_second(now)
        session.flush()

    def _each_second(self, now: float) -> None:
        self.plane.check_timeouts(now)
        self._session.report(self._load())
        if self._draining and not self.plane.leg_count and not self._session.inbox:
            _log.info("drained")
            self.stop()
        if self._session.attached:
            self._alone_since = now
        elif self._is_over(now):
            _log.warning("nobody has asked for this worker for too long, it ends")
            self.stop()

    def _is_over(self, now: float) -> bool:
        """Return whether a worker without signalling has no reason to go on."""
        if now - self._alone_since > self._settings.orphan_limit_s:
            return True
        return os.getppid() != self._parent and not self.plane.leg_count

    def _load(self) -> Load:
        late_p50, late_p99, late_max, done_p99 = self.clockwork.lateness.take()
        cpu = time.process_time()
        groups = self.plane.phases.groups()
        packets = (
            sum(group.packets_in for group in groups),
            sum(group.packets_out for group in groups),
        )
        load = Load(
            legs=self.plane.leg_count,
            free_ports=self._leases.free_count,
            cpu=cpu - self._cpu,
            late_p99_ms=late_p99,
            late_max_ms=late_max,
            packets_in=packets[0] - self._counted[0],
            packets_out=packets[1] - self._counted[1],
            garbage=self.plane.garbage,
            recording_backlog=self._writer.backlog,
            late_p50_ms=late_p50,
            done_p99_ms=done_p99,
        )
        self._cpu, self._counted = cpu, packets
        return load
