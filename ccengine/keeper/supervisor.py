"""Which processes run: start, take-over by the spare, restart, and the order of the end."""

from __future__ import annotations

import json
import logging
import os
import signal
from typing import Any

from ccengine.errors import KeeperError
from ccengine.keeper.child import Child, start_time
from ccengine.keeper.restart import Restarts
from ccengine.keeper.spec import ROLES, KeeperSpec, ProcessSpec

_log = logging.getLogger("ccengine.keeper")


class Slot:
    """The place of one process: who is active in it, who waits to take over, and since when."""

    def __init__(self, spec: ProcessSpec, spec_of_all: KeeperSpec, now: float) -> None:
        self.spec = spec
        self.active: Child | None = None
        self.waiting: Child | None = None
        self.restarts = Restarts(spec_of_all.restart)
        self.spare_restarts = Restarts(spec_of_all.restart)
        self.due = now
        self.spare_due = now

    def children(self) -> list[Child]:
        """Return the living processes of this slot, the active one first."""
        return [child for child in (self.active, self.waiting) if child is not None]


class Supervisor:
    """Keeps the processes of a specification running until told to stop.

    It is driven from outside: :meth:`tick` does what is due and returns when to come back;
    :meth:`reaped` tells of a process whose pidfd became readable.  ``started`` and
    ``activated`` gather children for the caller, who watches the ones and tells the others to
    take over.
    """

    def __init__(self, spec: KeeperSpec, now: float) -> None:
        self._spec = spec
        self._slots = [Slot(process, spec, now) for process in spec.processes]
        self._pid_file = spec.socket.with_name(spec.socket.name + ".pids")
        self._stage = -1  # index into ROLES of what is being stopped, -1 while all run
        self._stage_ends = 0.0
        self._pids_stale = False
        self.started: list[Child] = []
        self.activated: list[Child] = []
        self.stopped: list[Child] = []

    @property
    def done(self) -> bool:
        """Whether everything has been stopped."""
        return self._stage == len(ROLES)

    def child(self, pid: int) -> Child | None:
        """Return the living process with this pid."""
        return next((child for child in self._children() if child.pid == pid), None)

    def orphans(self) -> list[tuple[str, int]]:
        """Return name and pid of processes that an earlier keeper on this socket left running.

        They are told by pid and start time, as the pid file has them.  This is where a keeper
        that adopts them begins; until then it refuses to start beside them.
        """
        try:
            listed = json.loads(self._pid_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        return [
            (name, pid)
            for name, pid, born in listed
            if start_time(pid) == born and pid != os.getpid()
        ]

    def tick(self, now: float) -> float | None:
        """Start, kill and stop what is due; return when the next thing will be."""
        deadlines: list[float] = []
        for slot in self._slots:
            if ROLES.index(slot.spec.role) > self._stage:
                deadlines += self._tend(slot, now)
        if self._stage >= 0:
            self._stop_stage(now)
            deadlines.append(self._stage_ends)
        if self._pids_stale:
            self._write_pids()
        return min(deadlines, default=None)

    def ready(self, child: Child, now: float) -> None:
        """Note that a process is ready: a spare to take over, any other to serve."""
        child.heard_at = now
        if child.spare or (child.told_at is None and child.was_spare):
            child.idle = True
            if not child.spare:
                self._tell(child, now)
            return
        if child.ready_at is None:
            child.ready_at = now
            _log.info("%s (pid %d) is ready", child.spec.name, child.pid)

    def reaped(self, child: Child, now: float) -> None:
        """Collect a dead process and plan its successor."""
        status = child.reap()
        slot = next(slot for slot in self._slots if child in slot.children())
        why = f" after {child.killed_for}" if child.killed_for else ""
        ending = ROLES.index(slot.spec.role) <= self._stage
        if child is slot.waiting:
            slot.waiting = None
            slot.spare_due = now + slot.spare_restarts.died(now, None)
        else:
            slot.active = None
            slot.due = now + slot.restarts.died(now, child.ready_at)
            if slot.restarts.resting and not ending:
                _log.error(
                    "%s dies again and again; next try in %.0f s, the others run on",
                    child.spec.name,
                    slot.due - now,
                )
        level = logging.INFO if ending else logging.WARNING
        _log.log(level, "%s (pid %d) ended: %s%s", child.spec.name, child.pid, _ending(status), why)
        self._pids_stale = True

    def stop(self, now: float) -> None:
        """Begin to stop: signalling, then media, then the writer; a second call hurries."""
        if self._stage < 0:
            _log.info("stopping")
            self._enter(0, now)
        else:
            self._stage_ends = min(self._stage_ends, now + 1.0)

    def status(self, now: float) -> list[dict[str, Any]]:
        """Return one line for each living or missing process, as plain values."""
        lines: list[dict[str, Any]] = []
        for slot in self._slots:
            common = {
                "name": slot.spec.name,
                "role": slot.spec.role,
                "deaths": slot.restarts.deaths,
            }
            if slot.active is None:
                state = "resting" if slot.restarts.resting else "down"
                lines.append({**common, "pid": 0, "state": state, "up_s": 0.0})
            for child in slot.children():
                up_s = round(now - child.started_at, 3)
                lines.append({**common, "pid": child.pid, "state": child.state, "up_s": up_s})
        return lines

    def close(self) -> None:
        """Remove the pid file."""
        self._pid_file.unlink(missing_ok=True)

    def _children(self) -> list[Child]:
        return [child for slot in self._slots for child in slot.children()]

    def _tend(self, slot: Slot, now: float) -> list[float]:
        """Keep one slot filled; return its deadlines."""
        if slot.active is None:
            if now < slot.due:
                return [slot.due]
            self._fill(slot, now)
        active = slot.active
        if active is None:  # it could not be started
            return [slot.due]
        deadlines = []
        if slot.spec.spare and slot.waiting is None and active.ready_at is not None:
            # Not before the active one is ready: its start must not share the processor.
            if now >= slot.spare_due:
                slot.waiting = self._start(slot, now, spare=True)
            deadlines.append(slot.spare_due)
        patience = active.patience_ends()
        if patience is not None and now >= patience and not active.killed_for:
            active.killed_for = f"{now - active.heard_at:.1f} s of silence"
            active.signal(signal.SIGKILL)
        elif patience is not None and not active.killed_for:
            deadlines.append(patience)
        return [deadline for deadline in deadlines if deadline > now]

    def _fill(self, slot: Slot, now: float) -> None:
        if slot.waiting is None:
            slot.active = self._start(slot, now, spare=False)
            return
        child, slot.waiting = slot.waiting, None
        child.spare = False
        child.started_at = child.heard_at = now
        slot.active = child
        slot.spare_due = now
        if child.idle:
            self._tell(child, now)

    def _tell(self, child: Child, now: float) -> None:
        child.told_at = now
        self.activated.append(child)
        _log.info("%s (pid %d) takes over", child.spec.name, child.pid)

    def _start(self, slot: Slot, now: float, *, spare: bool) -> Child | None:
        try:
            child = Child(slot.spec, self._spec.socket, spare, now)
        except OSError as error:
            _log.error("%s cannot be started: %s", slot.spec.name, error)
            if spare:
                slot.spare_due = now + max(1.0, slot.spare_restarts.died(now, None))
            else:
                slot.due = now + max(1.0, slot.restarts.died(now, None))
            return None
        self.started.append(child)
        self._pids_stale = True
        return child

    def _enter(self, stage: int, now: float) -> None:
        self._stage = stage
        if stage == len(ROLES):
            return
        members = self._members(stage)
        self._stage_ends = now + max((child.spec.stop_s for child in members), default=0.0)
        for child in members:
            child.signal(signal.SIGTERM)
        self.stopped += members

    def _stop_stage(self, now: float) -> None:
        while self._stage < len(ROLES) and not self._members(self._stage):
            self._enter(self._stage + 1, now)
        if self._stage < len(ROLES) and now >= self._stage_ends:
            for child in self._members(self._stage):
                child.killed_for = "its time to stop"
                child.signal(signal.SIGKILL)
            self._stage_ends = now + 1.0

    def _members(self, stage: int) -> list[Child]:
        return [child for child in self._children() if child.spec.role == ROLES[stage]]

    def _write_pids(self) -> None:
        self._pids_stale = False
        listed = [(c.spec.name, c.pid, start_time(c.pid)) for c in self._children()]
        draft = self._pid_file.with_name(self._pid_file.name + ".draft")
        try:
            draft.write_text(json.dumps(listed), encoding="utf-8")
            draft.replace(self._pid_file)
        except OSError as error:
            _log.warning("%s cannot be written: %s", self._pid_file, error.strerror)


def refuse_orphans(supervisor: Supervisor) -> None:
    """Raise :class:`KeeperError` when processes of an earlier keeper still run."""
    orphans = supervisor.orphans()
    if orphans:
        names = ", ".join(f"{name} (pid {pid})" for name, pid in orphans)
        raise KeeperError(
            f"processes of an earlier keeper still run: {names}",
            cure="wait until their calls have ended, or end them",
        )


def _ending(status: int) -> str:
    if status < 0:
        return signal.Signals(-status).name
    return f"exit status {status}"
