"""The switch: a whole softswitch as one sans-IO machine.

SIP outputs, media events and the commands of flows go in; facts, call events and notices come
out.  It drives the SIP endpoint and the media link below it directly; their outputs are
polled by the engine.  Numbers that are extensions are dialled by the switch itself, all other
calls belong to the flow that hears :class:`CallArrived`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from ccengine.call.connector import Connector
from ccengine.call.context import CallContext, CallSettings
from ccengine.call.dialer import Dialer
from ccengine.call.ender import Ender
from ccengine.call.inbound import Inbound
from ccengine.call.isolation import Isolation
from ccengine.call.media_desk import MediaDesk, bridge_key
from ccengine.call.record import CallFact, CallRecord, CallState, LegRecord
from ccengine.call.register import Reception
from ccengine.call.route import Router
from ccengine.call.stranded import Stranded
from ccengine.clock import Moment
from ccengine.events import Event
from ccengine.media import control
from ccengine.ports import (
    AnswerCall,
    CallArrived,
    CallCommand,
    CallEvent,
    CancelDial,
    ConnectDial,
    DialAnswered,
    DialEnded,
    DialFailed,
    DialRinging,
    DialTarget,
    DigitReceived,
    HangUp,
    HangupCause,
    LabelCall,
    RingCall,
    StartDial,
    StartPlay,
    StopPlay,
)
from ccengine.revision import replace
from ccengine.sip.digest import CredentialStore, DigestAuthenticator
from ccengine.sip.flow import Flow
from ccengine.sip.output import (
    Accepted,
    AckMissing,
    AckReceived,
    InviteCancelled,
    InviteReceived,
    Provisional,
    ReinviteReceived,
    Rejected,
    RequestReceived,
    ResponseReceived,
    SessionEnded,
    SipOutput,
    Transmit,
)
from ccengine.sip.registrar import Registrar

DIRECT_DIAL = "direct"


class Switch:
    """Legs, calls and registrations; see the module's text."""

    def __init__(
        self,
        context: CallContext,
        registrar: Registrar,
        *,
        authenticator: DigestAuthenticator,
        credentials: CredentialStore,
    ) -> None:
        self._context = context
        self._desk = MediaDesk(context)
        self._ender = Ender(context, self._desk)
        self._isolation = Isolation(context, self._desk, self._ender)
        self._dialer = Dialer(context, self._desk, self._ender)
        self._connector = Connector(context, self._desk, self._ender)
        self._inbound = Inbound(
            context,
            self._desk,
            self._ender,
            authenticator=authenticator,
            credentials=credentials,
        )
        self._stranded = Stranded(context)
        self._reception = Reception(
            context,
            registrar,
            self._stranded,
            authenticator=authenticator,
            credentials=credentials,
        )
        self._events: list[CallEvent] = []

    # --- state ---------------------------------------------------------------------------------

    @property
    def state(self) -> CallState:
        """Every call and leg that is alive; to be looked at only."""
        return self._context.state

    def apply(self, fact: CallFact) -> None:
        """Change the state by one fact: the only mutator, live and in replay."""
        self._context.state.apply(fact)

    def resume(self, now: float, at: datetime, *, rebooted: bool = False) -> None:
        """After a replay: end what cannot go on because its transaction died with us.

        Answered legs and ringing phones go on: their INVITE is sent once more.  A dial that
        cannot go on is forgotten without a word, so that its flow or queue starts it again.  A
        caller who was not answered yet is gone, and so is one whose media was still being
        negotiated.  When the machine was ``rebooted`` no call can go on.
        """
        when = Moment(now, at)
        if rebooted:
            self._ender.write_off(when)
        self._dialer.resume()
        self._stranded.resume()
        for call in tuple(self._context.state.calls.values()):
            self._isolation.run(call.call_id, when, self._resume_call, call, when)
        self._settle(when)

    def _resume_call(self, call: CallRecord, when: Moment) -> None:
        for dial in call.dials:
            if not dial.answered_leg:
                self._dialer.revive(call, dial, when)
        caller = self._context.caller_leg(call)
        if caller is None or not caller.is_answered or not caller.has_media:
            self._ender.end_call(call, "failure", "system", when, status=500)

    # --- inputs --------------------------------------------------------------------------------

    def sip_output(self, output: SipOutput, now: float, at: datetime) -> None:
        """Deal with one output of the SIP endpoint (but Transmit, which is the engine's)."""
        when = Moment(now, at)
        match output:
            case Transmit() | ResponseReceived():
                return
            case InviteReceived():
                self._isolation.run("", when, self._inbound.invited, output, when)
            case RequestReceived():
                self._isolation.run("", when, self._reception.received, output, when)
            case _:
                leg = self._context.leg(output.session)
                if leg is not None:
                    self._isolation.run(leg.call_id, when, self._leg_output, leg, output, when)
        self._settle(when)

    def _leg_output(
        self,
        leg: LegRecord,
        output: Provisional
        | Accepted
        | Rejected
        | InviteCancelled
        | AckReceived
        | AckMissing
        | ReinviteReceived
        | SessionEnded,
        when: Moment,
    ) -> None:
        match output:
            case Provisional():
                self._dialer.progress(leg, output, when)
            case Accepted(is_reinvite=True):
                self._connector.reinvite_accepted(leg, output)
            case Accepted():
                self._dialer.accepted(leg, output, when)
            case Rejected(is_reinvite=True) | InviteCancelled(is_reinvite=True):
                if leg.sdp is not None and leg.sdp.state == "local_offer":
                    self._context.put_leg(replace(leg, sdp=leg.sdp.rollback()))
            case Rejected():
                self._dialer.rejected(leg, output, when)
            case ReinviteReceived():
                self._connector.reinvited(leg, output, when)
            case AckReceived():
                self._connector.acknowledged(leg, output, when)
            case AckMissing():
                self._hang_up_leg(leg, "failure", when)
            case InviteCancelled():
                self._leg_gone(leg, "cancelled", when, status=487)
            case SessionEnded(reason=reason):
                self._leg_gone(leg, "normal" if reason != "gone" else "media_lost", when)

    def flow_failed(self, flow: Flow) -> None:
        """A connection is gone: its established legs wait for another."""
        self._stranded.flow_failed(flow)

    def media_event(self, event: control.WorkerEvent, now: float, at: datetime) -> None:
        """Deal with one event of a media worker."""
        when = Moment(now, at)
        self._isolation.run(self._call_of(event), when, self._media_event, event, when)
        self._settle(when)

    def _call_of(self, event: control.WorkerEvent) -> str:
        key = event.leg if hasattr(event, "leg") else event.key
        leg = self._context.leg(key)
        return leg.call_id if leg is not None else key

    def _media_event(self, event: control.WorkerEvent, when: Moment) -> None:
        match event:
            case control.Digit(leg=leg_id, digit=digit):
                leg = self._context.leg(leg_id)
                if leg is not None and leg.role == "caller":
                    self._context.tell(DigitReceived(leg.call_id, digit))
            case control.PlayDone(key=key, leg=leg_id, error=error):
                self._play_done(leg_id, key, bool(error))
            case control.LegStats():
                self._ender.leg_stats(event)
            case control.RecordingDone():
                self._ender.recording_done(event)
            case control.RtpTimeout(leg=leg_id):
                leg = self._context.leg(leg_id)
                if leg is not None:
                    self._context.counters.media_lost += 1
                    self._hang_up_leg(leg, "media_lost", when)
            case control.Refused(key=key, error=error):
                self._refused(key, error, when)
            case control.DigitsSent() | control.Latched():
                pass

    def _play_done(self, leg_id: str, play_id: str, failed: bool) -> None:
        leg = self._context.leg(leg_id)
        call = self._context.call(leg.call_id) if leg is not None else None
        if call is not None:
            self._connector.play_done(call, play_id, failed)

    def _refused(self, key: str, error: str, when: Moment) -> None:
        """The worker cannot make an object: nobody is left without media in silence."""
        leg = self._context.leg(key)
        if leg is not None:
            self._hang_up_leg(leg, "failure", when)
            return
        call = self._context.call(key)
        if call is not None:
            self._ender.recording_done(control.RecordingDone(0, key, (), 0.0, error))
            return
        for call in self._context.state.calls.values():
            if call.play_id == key:
                self._connector.play_done(call, key, failed=True)
                return
            if bridge_key(call.call_id) == key:
                self._ender.end_call(call, "failure", "system", when)
                return

    # --- the call port -------------------------------------------------------------------------

    def command(self, command: CallCommand, now: float, at: datetime) -> None:
        """Carry out a flow's command; one for a call that is over is ignored."""
        when = Moment(now, at)
        call = self._context.call(command.call_id)
        if call is not None:
            self._isolation.run(call.call_id, when, self._carry_out, call, command, when)
        self._settle(when)

    def _carry_out(self, call: CallRecord, command: CallCommand, when: Moment) -> None:
        match command:
            case RingCall():
                self._connector.ring(call, when)
            case AnswerCall():
                self._connector.answer(call, when)
            case StartPlay():
                self._connector.play(call, command, when)
            case StopPlay(play_id=play_id):
                self._connector.stop(call, play_id)
            case StartDial():
                self._dialer.start(call, command, when)
            case CancelDial():
                self._cancel_dial(call, command, when)
            case ConnectDial():
                self._connector.connect(call, command, when)
            case HangUp(cause=cause):
                self._ender.end_call(call, cause, "callee" if call.callee_left else "system", when)
            case LabelCall():
                self._context.put_call(
                    replace(
                        call,
                        queue=command.queue or call.queue,
                        customer_id=command.customer_id or call.customer_id,
                        customer_name=command.customer_name or call.customer_name,
                    )
                )

    def _cancel_dial(self, call: CallRecord, command: CancelDial, when: Moment) -> None:
        if call.connected == command.dial_id:
            dial = call.dial(command.dial_id)
            call = self._connector.part(call, when)
            # Nobody hung up: the flow parted the two.
            call = self._context.put_call(replace(call, callee_left=False))
            if dial is not None:
                self._ender.release_dial(dial, "normal", when)
        self._dialer.cancel(call, command, when)

    def hang_up(self, call_id: str, cause: HangupCause, now: float, at: datetime) -> bool:
        """End a call from outside its flow; return whether there was such a call."""
        call = self._context.call(call_id)
        if call is None:
            return False
        when = Moment(now, at)
        self._ender.end_call(call, cause, "system", when)
        self._settle(when)
        return True

    def reconfigure(self, settings: CallSettings, router: Router) -> None:
        """Take new settings for what begins from now on; running calls keep theirs."""
        self._context.settings = settings
        self._context.router = router

    def release_orphan(self, leg_id: str, now: float, at: datetime) -> None:
        """End a leg whose call is not known any more."""
        leg = self._context.leg(leg_id)
        if leg is not None:
            when = Moment(now, at)
            self._isolation.run("", when, self._ender.release, leg, "failure", when)

    def stop_accepting(self) -> None:
        """Refuse new calls with 503 from now on; running calls go on."""
        self._context.accepting = False

    # --- ends ----------------------------------------------------------------------------------

    def _hang_up_leg(self, leg: LegRecord, cause: HangupCause, when: Moment) -> None:
        """End one leg from our side, and what hangs on it."""
        call = self._context.call(leg.call_id)
        if call is not None and leg.role == "caller":
            self._ender.end_call(call, cause, "system", when)
            return
        if leg.is_answered:
            self._context.sip.bye(leg.leg_id, when.now)
        self._leg_gone(leg, cause, when)

    def _leg_gone(
        self, leg: LegRecord, cause: HangupCause, when: Moment, *, status: int = 0
    ) -> None:
        """The peer ended a leg."""
        call = self._context.call(leg.call_id)
        if call is None:
            self._ender.close(leg, cause, when, status=status)
        elif leg.role == "caller":
            self._ender.end_call(call, cause, "caller", when, status=status, caller_is_gone=True)
        else:
            was_connected = bool(call.connected) and call.connected == leg.dial_id
            if was_connected:
                self._connector.part(call, when)
            self._dialer.ended(leg, cause, when)

    # --- calls between extensions ----------------------------------------------------------------

    def _settle(self, when: Moment) -> None:
        """Deal with the events of direct calls; keep the others for their flows."""
        events = self._context.events
        while events:
            event = events.popleft()
            call = self._context.call(event.call_id)
            if call is not None and call.direct:
                self._isolation.run(call.call_id, when, self._direct, call, event, when)
            else:
                # A direct call that is over has no flow: nobody knows it, nobody minds.
                self._events.append(event)

    def _direct(self, call: CallRecord, event: CallEvent, when: Moment) -> None:
        match event:
            case CallArrived(number=number):
                self._dialer.start(
                    call,
                    StartDial(
                        call.call_id,
                        DIRECT_DIAL,
                        DialTarget("extension", number),
                        self._context.settings.ring_timeout_s,
                    ),
                    when,
                )
            case DialRinging():
                self._connector.ring(call, when)
            case DialAnswered(dial_id=dial_id):
                self._connector.connect(call, ConnectDial(call.call_id, dial_id), when)
            case DialFailed(cause=cause, status=status):
                self._ender.end_call(
                    call, cause, "callee", when, status=status if status >= 400 else 0
                )
            case DialEnded(cause=cause):
                self._ender.end_call(call, cause, "callee", when)
            case _:
                pass

    # --- flaws ---------------------------------------------------------------------------------

    def isolated(
        self, call_id: str, now: float, at: datetime, deed: Callable[..., object], *arguments: Any
    ) -> None:
        """Do something for one call; an exception is logged and counted, and ends it alone."""
        when = Moment(now, at)
        self._isolation.run(call_id, when, deed, *arguments)
        self._settle(when)

    # --- time and outputs ------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """Return when the first dial gives up or a leg's counts are overdue."""
        due = (self._dialer.next_timeout(), self._ender.next_timeout())
        return min((one for one in due if one is not None), default=None)

    def handle_timeout(self, now: float, at: datetime) -> None:
        """Give up dials and waits that are due."""
        when = Moment(now, at)
        self._ender.handle_timeout(now)
        self._dialer.handle_timeout(when)
        self._settle(when)

    def phones(self) -> Sequence[tuple[str, bool]]:
        """Return and forget the extensions that came into use or out of it: (number, in use)."""
        state = self._context.state
        if not state.touched:
            return ()
        touched, state.touched = state.touched, {}
        return [(extension, extension in state.in_use) for extension in touched]

    def ringing_dials(self) -> frozenset[str]:
        """Return the dials that nobody has answered yet."""
        calls = self._context.state.calls.values()
        return frozenset(
            dial.dial_id for call in calls for dial in call.dials if not dial.answered_leg
        )

    def is_in_use(self, extension: str) -> bool:
        """Return whether a phone is in a call of its own, beside those of queues."""
        return extension in self._context.state.in_use

    def poll(self) -> Sequence[CallEvent]:
        """Return and forget the events for flows."""
        events, self._events = self._events, []
        return events

    def notices(self) -> Sequence[Event]:
        """Return and forget what listeners may want to know."""
        notices, self._context.notices = self._context.notices, []
        return notices
