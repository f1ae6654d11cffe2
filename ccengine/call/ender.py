"""How legs and calls end: messages to the peers, media taken away, records stated once."""

from __future__ import annotations

from typing import Literal

from ccengine.call.cause import reason_header, status_of
from ccengine.call.context import CallContext
from ccengine.call.media_desk import MediaDesk
from ccengine.call.record import CallRecord, ClosingLeg, DialRecord, LegClosed, LegRecord
from ccengine.clock import Moment
from ccengine.events import CallFinished
from ccengine.journal.cdr import CdrCall, CdrLeg, RecordingDone
from ccengine.media import control
from ccengine.ports import CallEnded, HangupCause
from ccengine.revision import replace


class Ender:
    """Ends legs, dials and calls.

    A leg's record waits up to ``stats_wait_s`` for the media worker's counts; a call's
    record is stated with its end.
    """

    def __init__(self, context: CallContext, desk: MediaDesk) -> None:
        self._context = context
        self._desk = desk

    # --- legs --------------------------------------------------------------------------------

    def release(self, leg: LegRecord, cause: HangupCause, when: Moment, *, status: int = 0) -> None:
        """End a leg from our side: BYE, CANCEL or a refusal, whichever its state asks for."""
        sip = self._context.sip
        if leg.is_answered:
            sip.bye(leg.leg_id, when.now, headers=(reason_header(cause),))
        elif leg.role == "callee":
            # Not cancel(): an answer that we have not looked at yet may wait in the same drain.
            sip.bye(leg.leg_id, when.now, headers=(reason_header(cause),))
        else:
            final = status or status_of(cause)
            headers: tuple[tuple[str, str], ...] = (reason_header(cause),)
            if final == 503:
                headers += (("Retry-After", str(self._context.settings.retry_after_s)),)
            sip.reject(leg.leg_id, final, when.now, headers=headers)
            status = final
        self.close(leg, cause, when, status=status)

    def close(self, leg: LegRecord, cause: HangupCause, when: Moment, *, status: int = 0) -> None:
        """Write off a leg whose session is over or is being ended."""
        self._desk.drop_leg(leg)
        cdr = CdrLeg(
            leg_id=leg.leg_id,
            call_id=leg.call_id,
            role=leg.role,
            number=leg.party.number,
            name=leg.party.name,
            started_at=leg.started_at,
            ringing_at=leg.ringing_at,
            answered_at=leg.answered_at,
            ended_at=when.at,
            cause=cause,
            status=200 if leg.is_answered else status,
            agent_id=leg.agent_id,
            dial_id=leg.dial_id,
            codec=leg.plan.codec if leg.plan is not None else "",
        )
        deadline = when.now + (self._context.settings.stats_wait_s if leg.has_media else 0.0)
        self._context.record(LegClosed(leg.leg_id, ClosingLeg(cdr, deadline)))
        if not leg.has_media:
            self._context.record(cdr)

    def leg_stats(self, stats: control.LegStats) -> None:
        """State a leg's record with the counts of its media worker."""
        closing = self._context.state.closing.get(stats.leg)
        if closing is None:
            return
        self._context.record(
            replace(
                closing.cdr,
                packets_sent=stats.sent,
                packets_received=stats.received,
                packets_lost=stats.lost,
                jitter_ms=stats.jitter_ms,
                loss_remote=stats.loss_remote if stats.loss_remote >= 0 else None,
                round_trip_ms=stats.round_trip_ms if stats.round_trip_ms >= 0 else None,
            )
        )

    def next_timeout(self) -> float | None:
        """Return when the first leg has waited long enough for its counts."""
        # Closed legs keep the order in which they closed, so the first is the oldest.
        first = next(iter(self._context.state.closing.values()), None)
        return first.deadline if first is not None else None

    def handle_timeout(self, now: float) -> None:
        """State the records of legs whose counts never came."""
        due = [one.cdr for one in self._context.state.closing.values() if one.deadline <= now]
        for cdr in due:
            self._context.record(cdr)

    # --- dials -------------------------------------------------------------------------------

    def release_dial(
        self, dial: DialRecord, cause: HangupCause, when: Moment, *, keep: str = ""
    ) -> None:
        """End every leg of a dial but ``keep``."""
        for leg_id in dial.legs:
            leg = self._context.leg(leg_id)
            if leg is not None and leg_id != keep:
                self.release(leg, cause, when)

    # --- calls -------------------------------------------------------------------------------

    def end_call(
        self,
        call: CallRecord,
        cause: HangupCause,
        by: Literal["caller", "callee", "system"],
        when: Moment,
        *,
        status: int = 0,
        caller_is_gone: bool = False,
    ) -> None:
        """End a call with all its legs and state its record: exactly once."""
        current = self._context.call(call.call_id)
        if current is None:
            return
        call = current
        for dial in call.dials:
            self.release_dial(dial, "cancelled" if not call.connected else cause, when)
        self._desk.unbridge(call)
        self._desk.stop_recording(call)
        caller = self._context.caller_leg(call)
        if caller is not None:
            if caller_is_gone:
                self.close(caller, cause, when, status=status)
            else:
                self.release(caller, cause, when, status=status)
        self.book(call, cause, by, when)

    def write_off(self, when: Moment) -> None:
        """After a reboot: end every call, as its media are gone; UTC tells how long it lasted."""
        for closing in tuple(self._context.state.closing.values()):
            self._context.record(closing.cdr)
        for call in tuple(self._context.state.calls.values()):
            self.end_call(self._context.put_call(_on_clock(call, when)), "failure", "system", when)

    def book(
        self,
        call: CallRecord,
        cause: HangupCause,
        by: Literal["caller", "callee", "system"],
        when: Moment,
    ) -> None:
        """State the record of a call, which is its end, and tell it."""
        cdr = self._cdr(call, cause, by, when)
        self._context.record(cdr)
        self._context.counters.ended += 1
        self._context.tell(CallEnded(call.call_id, cause, by))
        self._context.notices.append(_finished(cdr))

    def _cdr(
        self,
        call: CallRecord,
        cause: HangupCause,
        by: Literal["caller", "callee", "system"],
        when: Moment,
    ) -> CdrCall:
        talk = call.talk_s
        if call.connected_since is not None:
            talk += when.now - call.connected_since
        waited_until = call.first_connected if call.first_connected is not None else when.now
        return CdrCall(
            call_id=call.call_id,
            number=call.number,
            caller_number=call.caller.number,
            caller_name=call.caller.name,
            extension=call.extension,
            started_at=call.started_at,
            answered_at=call.answered_at,
            ended_at=when.at,
            duration_s=round(when.now - call.started, 3),
            talk_s=round(talk, 3),
            wait_s=round(waited_until - call.started, 3),
            cause=cause,
            ended_by=by,
            queue=call.queue,
            agent_id=call.agent_id,
            customer_id=call.customer_id,
            customer_name=call.customer_name,
            recording=call.recording,
        )

    def recording_done(self, done: control.RecordingDone) -> None:
        """State what became of a recording; its key is the call's id."""
        self._context.record(
            RecordingDone(
                recording_id=done.key,
                call_id=done.key,
                files=done.files,
                duration_s=done.duration_s,
                error=done.error,
            )
        )


def _on_clock(call: CallRecord, when: Moment) -> CallRecord:
    """Return a call of another boot with its times on the clock of this one."""
    started = when.now - (when.at - call.started_at).total_seconds()
    shift = started - call.started

    def moved(moment: float | None) -> float | None:
        return None if moment is None else moment + shift

    return replace(
        call,
        started=started,
        connected_since=moved(call.connected_since),
        first_connected=moved(call.first_connected),
    )


def _finished(cdr: CdrCall) -> CallFinished:
    return CallFinished(
        call_id=cdr.call_id,
        at=cdr.ended_at,
        number=cdr.number,
        caller_number=cdr.caller_number,
        cause=cdr.cause,
        duration_s=cdr.duration_s,
        talk_s=cdr.talk_s,
        agent_id=cdr.agent_id,
        queue=cdr.queue,
        recording=cdr.recording,
    )
