"""Reaching another party: one dial rings every phone of an extension, the first answer wins."""

from __future__ import annotations

import logging
from heapq import heapify, heappop, heappush

from ccengine.call.cause import cause_of
from ccengine.call.context import CallContext
from ccengine.call.ender import Ender
from ccengine.call.media_desk import MediaDesk
from ccengine.call.record import CallRecord, DialRecord, InviteSent, LegRecord
from ccengine.clock import Moment
from ccengine.errors import LocalSipError, MediaError, SdpError, SipError
from ccengine.ports import (
    CancelDial,
    DialAnswered,
    DialEnded,
    DialFailed,
    DialRinging,
    HangupCause,
    Party,
    StartDial,
)
from ccengine.revision import replace
from ccengine.sip.address import Address
from ccengine.sip.flow import Flow
from ccengine.sip.output import Accepted, OutgoingInvite, Provisional, Rejected
from ccengine.sip.uri import SipUri

_logger = logging.getLogger(__name__)


class Dialer:
    """Carries out :class:`StartDial` and :class:`CancelDial`."""

    def __init__(self, context: CallContext, desk: MediaDesk, ender: Ender) -> None:
        self._context = context
        self._desk = desk
        self._ender = ender
        self._limits: list[tuple[float, str, str]] = []

    # --- commands --------------------------------------------------------------------------

    def start(self, call: CallRecord, command: StartDial, when: Moment) -> None:
        """Ring a party; what cannot even be tried fails with an event as well.

        A dial that goes on already is left alone: its flow said so once more.
        """
        known = call.dial(command.dial_id)
        if known is not None:
            if known.answered_leg and call.connected != known.dial_id:
                self._context.tell(DialAnswered(call.call_id, known.dial_id))
            return
        targets = self._targets(command)
        if not targets:
            self._context.tell(DialFailed(call.call_id, command.dial_id, "unreachable", 480))
            return
        dial = DialRecord(
            dial_id=command.dial_id,
            legs=tuple(self._context.ids.make("l") for _ in targets),
            deadline=when.now + command.timeout_s,
            agent_id=command.agent_id,
        )
        self._context.put_call(replace(call, dials=(*call.dials, dial)))
        heappush(self._limits, (dial.deadline, call.call_id, dial.dial_id))
        shown = command.display or call.caller
        try:
            for leg_id, (uri, flow) in zip(dial.legs, targets, strict=True):
                self._ring(call, dial, leg_id, command, shown, uri, flow, when)
        except MediaError:
            self._fail(call.call_id, dial.dial_id, "congestion", 503, when)
        except SipError:
            self._fail(call.call_id, dial.dial_id, "failure", 500, when)

    def _targets(self, command: StartDial) -> list[tuple[str, Flow]]:
        if command.target.kind == "extension":
            aor = f"{command.target.value}@{self._context.settings.domain}"
            bindings = self._context.locations.lookup(aor)
            return [(binding.contact, binding.flow) for binding in bindings]
        try:
            uri = SipUri.parse(command.target.value)
        except SipError:
            return []
        flow = Flow("UDP", self._context.settings.listener, (uri.host, uri.port or 5060))
        return [(command.target.value, flow)]

    def _ring(
        self,
        call: CallRecord,
        dial: DialRecord,
        leg_id: str,
        command: StartDial,
        shown: Party,
        uri: str,
        flow: Flow,
        when: Moment,
    ) -> None:
        settings = self._context.settings
        number = command.target.value
        leg = LegRecord(
            leg_id=leg_id,
            call_id=call.call_id,
            role="callee",
            party=Party(number, self._name_of(number)),
            flow=flow,
            state="trying",
            started=when.now,
            started_at=when.at,
            extension=number if command.target.kind == "extension" else "",
            agent_id=command.agent_id,
            dial_id=dial.dial_id,
        )
        caller = self._context.caller_leg(call)
        prefer = caller.plan.codec if caller is not None and caller.plan is not None else ""
        leg, offer = self._desk.offer(self._context.put_leg(leg), prefer)
        from_uri = SipUri(scheme="sip", user=shown.number or "anonymous", host=settings.domain)
        to = uri
        if command.target.kind == "extension":
            to = str(SipUri(scheme="sip", user=number, host=settings.domain))
        wire = self._context.sip.invite(
            leg.leg_id,
            OutgoingInvite(
                uri=uri,
                flow=flow,
                from_=str(Address(display_name=shown.name, uri=from_uri)),
                to=f"<{to}>",
                body=offer,
                contact_user=shown.number or "ccengine",
            ),
            when.now,
        )
        self._context.record(InviteSent(leg.leg_id, wire))

    def _name_of(self, number: str) -> str:
        known = self._context.settings.extensions.get(number)
        return known.name if known is not None else ""

    def cancel(self, call: CallRecord, command: CancelDial, when: Moment) -> None:
        """Give up a dial that is not connected; no event follows."""
        dial = call.dial(command.dial_id)
        if dial is None or call.connected == dial.dial_id:
            return
        self._forget(call, dial)
        self._ender.release_dial(dial, command.cause, when)

    # --- what the phones say -----------------------------------------------------------------

    def progress(self, leg: LegRecord, output: Provisional, when: Moment) -> None:
        """Take note of a phone that rings."""
        call = self._context.call(leg.call_id)
        dial = call.dial(leg.dial_id) if call is not None else None
        if call is None or dial is None or output.response.status < 180 or leg.is_answered:
            return
        if leg.ringing_at is None:
            self._context.put_leg(replace(leg, state="ringing", ringing_at=when.at))
        if not dial.rang:
            self._change(call, replace(dial, rang=True))
            self._context.tell(DialRinging(call.call_id, dial.dial_id))

    def accepted(self, leg: LegRecord, output: Accepted, when: Moment) -> None:
        """A phone answered: the others of its dial stop ringing."""
        call = self._context.call(leg.call_id)
        dial = call.dial(leg.dial_id) if call is not None else None
        leg = self._context.put_leg(
            replace(leg, state="answered", answered=when.now, answered_at=when.at)
        )
        if call is None or dial is None or dial.answered_leg:
            self._ender.release(leg, "cancelled", when)
            return
        try:
            assert leg.sdp is not None, "we offered"
            sdp, _ = leg.sdp.receive_answer(output.response.body)
        except SdpError:
            self._ender.release(leg, "failure", when)
            self._leg_failed(call, dial, leg.leg_id, "failure", 488, when)
            return
        self._desk.want_leg(self._context.put_leg(replace(leg, sdp=sdp)))
        self._change(call, replace(dial, answered_leg=leg.leg_id))
        self._ender.release_dial(dial, "cancelled", when, keep=leg.leg_id)
        self._context.tell(DialAnswered(call.call_id, dial.dial_id))

    def rejected(self, leg: LegRecord, output: Rejected, when: Moment) -> None:
        """A phone refused or could not be reached."""
        cause = cause_of(output.status)
        if output.response is None and leg.ringing_at is None:
            cause = "unreachable"  # not even a provisional answer: nobody is there
        self._ender.close(leg, cause, when, status=output.status)
        call = self._context.call(leg.call_id)
        dial = call.dial(leg.dial_id) if call is not None else None
        if call is not None and dial is not None:
            self._leg_failed(call, dial, leg.leg_id, cause, output.status, when)

    def revive(self, call: CallRecord, dial: DialRecord, when: Moment) -> None:
        """Go on ringing after a replay; a dial of which no phone can go on is forgotten.

        Whoever wants a forgotten dial says so once more.
        """
        alive = False
        for leg_id in dial.legs:
            leg = self._context.leg(leg_id)
            if leg is not None and not leg.is_answered:
                alive |= self._revive_leg(leg, when)
        if not alive:
            self._forget(self._context.call(call.call_id) or call, dial)

    def _revive_leg(self, leg: LegRecord, when: Moment) -> bool:
        wire = self._context.state.invites.get(leg.leg_id)
        try:
            if wire is None:
                raise LocalSipError("its INVITE is not known")
            self._context.sip.revive(leg.leg_id, wire, leg.flow, when.now)
            self._context.media.hold(leg.port, leg.call_id)
        except (MediaError, SipError) as error:
            _logger.warning("leg %s rings no longer: %s", leg.leg_id, error)
            self._ender.release(leg, "failure", when)
            return False
        return True

    def ended(self, leg: LegRecord, cause: HangupCause, when: Moment) -> bool:
        """The session of an answered phone is over; return whether it was in a live dial."""
        self._ender.close(leg, cause, when)
        call = self._context.call(leg.call_id)
        dial = call.dial(leg.dial_id) if call is not None else None
        if call is None or dial is None:
            return False
        self._forget(call, dial)
        self._context.tell(DialEnded(call.call_id, dial.dial_id, cause))
        return True

    # --- limits ------------------------------------------------------------------------------

    def resume(self) -> None:
        """Find the limits of all dials again after a replay."""
        self._limits = [
            (dial.deadline, call.call_id, dial.dial_id)
            for call in self._context.state.calls.values()
            for dial in call.dials
        ]
        heapify(self._limits)

    def _waiting(self, limit: tuple[float, str, str]) -> DialRecord | None:
        call = self._context.call(limit[1])
        dial = call.dial(limit[2]) if call is not None else None
        return dial if dial is not None and not dial.answered_leg else None

    def next_timeout(self) -> float | None:
        """Return when the first dial gives up."""
        limits = self._limits
        while limits and self._waiting(limits[0]) is None:
            heappop(limits)
        return limits[0][0] if limits else None

    def handle_timeout(self, when: Moment) -> None:
        """Give up dials that rang long enough."""
        while self._limits and self._limits[0][0] <= when.now:
            limit = heappop(self._limits)
            dial = self._waiting(limit)
            if dial is not None:
                cause: HangupCause = "no_answer" if dial.rang else "unreachable"
                self._fail(limit[1], dial.dial_id, cause, 408, when)

    # --- bookkeeping -------------------------------------------------------------------------

    def _leg_failed(
        self,
        call: CallRecord,
        dial: DialRecord,
        leg_id: str,
        cause: HangupCause,
        status: int,
        when: Moment,
    ) -> None:
        """Count a leg out of its dial; the dial fails with its last leg."""
        left = tuple(one for one in dial.legs if one != leg_id)
        # Of several refusals "busy" tells the caller more than "unreachable".
        if dial.status == 0 or cause == "busy":
            dial = replace(dial, cause=cause, status=status)
        dial = replace(dial, legs=left)
        self._change(call, dial)
        if not left:
            self._fail(call.call_id, dial.dial_id, dial.cause, dial.status, when)

    def _fail(
        self, call_id: str, dial_id: str, cause: HangupCause, status: int, when: Moment
    ) -> None:
        call = self._context.call(call_id)
        dial = call.dial(dial_id) if call is not None else None
        if call is None or dial is None:
            return
        self._forget(call, dial)
        self._ender.release_dial(dial, "no_answer" if cause == "no_answer" else "cancelled", when)
        self._context.tell(DialFailed(call_id, dial_id, cause, status))

    def _change(self, call: CallRecord, dial: DialRecord) -> CallRecord:
        current = self._context.call(call.call_id) or call
        dials = tuple(dial if one.dial_id == dial.dial_id else one for one in current.dials)
        return self._context.put_call(replace(current, dials=dials))

    def _forget(self, call: CallRecord, dial: DialRecord) -> CallRecord:
        current = self._context.call(call.call_id) or call
        dials = tuple(one for one in current.dials if one.dial_id != dial.dial_id)
        return self._context.put_call(replace(current, dials=dials))
