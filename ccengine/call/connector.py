"""The caller's side of a call: answering, playing, connecting, and changes while people talk."""

from __future__ import annotations

from ccengine.call.context import CallContext
from ccengine.call.ender import Ender
from ccengine.call.media_desk import MediaDesk
from ccengine.call.record import CallRecord, LegRecord
from ccengine.clock import Moment
from ccengine.errors import LocalSipError, MediaError, SdpError
from ccengine.events import CallConnected
from ccengine.ports import CallAnswered, ConnectDial, PlayFinished, StartPlay
from ccengine.revision import replace
from ccengine.sip.output import Accepted, AckReceived, ReinviteReceived


class Connector:
    """Carries out :class:`AnswerCall`, :class:`StartPlay` and :class:`ConnectDial`."""

    def __init__(self, context: CallContext, desk: MediaDesk, ender: Ender) -> None:
        self._context = context
        self._desk = desk
        self._ender = ender

    # --- commands ----------------------------------------------------------------------------

    def ring(self, call: CallRecord, when: Moment) -> None:
        """Tell the caller that somebody is alerted."""
        leg = self._context.caller_leg(call)
        if leg is None or leg.state != "trying":
            return
        self._context.put_leg(replace(leg, state="ringing", ringing_at=when.at))
        self._context.sip.provisional(leg.leg_id, 180, when.now)

    def answer(self, call: CallRecord, when: Moment, *, prefer: str = "") -> bool:
        """Answer the caller; return whether the caller is answered now."""
        leg = self._context.caller_leg(call)
        if leg is None:
            return False
        if leg.is_answered:
            self._tell_answered(leg)
            return True
        try:
            leg, body = self._describe(leg, prefer)
        except MediaError:
            self._ender.end_call(call, "congestion", "system", when, status=503)
            return False
        except SdpError:
            self._ender.end_call(call, "failure", "system", when, status=488)
            return False
        leg = self._context.put_leg(
            replace(leg, state="answered", answered=when.now, answered_at=when.at)
        )
        self._context.sip.accept(leg.leg_id, when.now, body=body)
        call = self._context.put_call(
            replace(self._context.call(call.call_id) or call, answered_at=when.at)
        )
        if leg.plan is not None and self._context.settings.recording_mode == "answer":
            self._desk.record(call, left=leg.leg_id)
        self._tell_answered(leg)
        return True

    def _tell_answered(self, leg: LegRecord) -> None:
        """Tell that the caller can hear; after an INVITE without offer the ACK decides."""
        if leg.has_media:
            self._context.tell(CallAnswered(leg.call_id))

    def _describe(self, leg: LegRecord, prefer: str) -> tuple[LegRecord, bytes]:
        """Return the leg with its media wanted, and the body of its 2xx or 183.

        Without an offer in the INVITE ours goes into the 2xx, and media waits for the ACK.
        """
        if leg.sdp is None:
            return self._desk.offer(leg, prefer)
        body = leg.sdp.sent
        if leg.sdp.state == "remote_offer":
            leg, body = self._desk.answer(leg, prefer)
        return (self._desk.want_leg(leg) if leg.plan is not None else leg), body

    def play(self, call: CallRecord, command: StartPlay, when: Moment) -> None:
        """Play files to the caller, as early media when not answered yet (183).

        A play that goes on already is left alone: its flow said so once more.
        """
        if call.play_id == command.play_id:
            return
        leg = self._context.caller_leg(call)
        if leg is not None and not leg.has_media and leg.sdp is not None and not leg.is_answered:
            leg = self._early(leg, when)
        if leg is None or not leg.has_media:
            self._context.tell(PlayFinished(call.call_id, command.play_id, "failed"))
            return
        call = self._stop_playing(call)
        self._context.put_call(replace(call, play_id=command.play_id, callee_left=False))
        self._desk.play(leg, command)

    def _early(self, leg: LegRecord, when: Moment) -> LegRecord | None:
        try:
            leg, body = self._describe(leg, "")
        except (MediaError, SdpError):
            return None
        self._context.sip.provisional(leg.leg_id, 183, when.now, body=body)
        return self._context.put_leg(replace(leg, state="early"))

    def _stop_playing(self, call: CallRecord) -> CallRecord:
        if not call.play_id:
            return call
        self._context.media.drop(call.play_id)
        self._context.tell(PlayFinished(call.call_id, call.play_id, "stopped"))
        return self._context.put_call(replace(call, play_id=""))

    def stop(self, call: CallRecord, play_id: str) -> None:
        """Stop a play; no event follows."""
        if call.play_id == play_id:
            self._context.media.drop(play_id)
            self._context.put_call(replace(call, play_id=""))

    def play_done(self, call: CallRecord, play_id: str, failed: bool) -> None:
        """A play came to its end by itself."""
        if call.play_id == play_id:
            self._context.put_call(replace(call, play_id=""))
            self._context.tell(PlayFinished(call.call_id, play_id, "failed" if failed else "done"))

    def connect(self, call: CallRecord, command: ConnectDial, when: Moment) -> None:
        """Let the caller and an answered dial talk."""
        dial = call.dial(command.dial_id)
        leg = self._context.leg(dial.answered_leg) if dial is not None else None
        if dial is None or leg is None or call.connected:
            return
        call = self._stop_playing(call)
        prefer = leg.plan.codec if leg.plan is not None else ""
        caller = self._context.caller_leg(call)
        if caller is None:
            return
        if not caller.is_answered and not self.answer(call, when, prefer=prefer):
            return
        call = self._context.call(call.call_id) or call
        call = self._context.put_call(
            replace(
                call,
                connected=dial.dial_id,
                connected_since=when.now,
                first_connected=call.first_connected or when.now,
                agent_id=dial.agent_id or call.agent_id,
            )
        )
        self._bridge(call)
        self._context.notices.append(CallConnected(call.call_id, when.at, dial.agent_id))

    def _bridge(self, call: CallRecord) -> None:
        """Join caller and connected party, as soon as the media of both is negotiated."""
        dial = call.dial(call.connected)
        caller = self._context.caller_leg(call)
        if dial is None or caller is None or not caller.has_media:
            return
        self._desk.bridge(call, (caller.leg_id, dial.answered_leg))
        self._desk.record(call, left=caller.leg_id, right=dial.answered_leg)

    def part(self, call: CallRecord, when: Moment) -> CallRecord:
        """The connected party is gone: the caller stays, alone."""
        self._desk.unbridge(call)
        caller = self._context.caller_leg(call)
        if caller is not None and call.recording:
            if self._context.settings.recording_mode == "answer":
                call = self._desk.record(call, left=caller.leg_id)
            else:
                self._desk.stop_recording(call)
        since = call.connected_since if call.connected_since is not None else when.now
        return self._context.put_call(
            replace(
                call,
                connected="",
                connected_since=None,
                callee_left=True,
                talk_s=call.talk_s + when.now - since,
            )
        )

    # --- changes within a session --------------------------------------------------------------

    def reinvited(self, leg: LegRecord, output: ReinviteReceived, when: Moment) -> None:
        """A peer changes its media: new address, hold, resume, or asks for our offer."""
        sip, before = self._context.sip, leg
        try:
            try:
                leg, body = self._changed(leg, output.request.body)
            except (SdpError, MediaError):
                sip.reject(leg.leg_id, 488, when.now)
                return
            sip.accept(leg.leg_id, when.now, body=body)
        except LocalSipError:
            # Taken back before we came to it: all stays as it was.
            self._context.put_leg(before)
            return
        if output.request.body:
            self._desk.want_leg(leg)

    def _changed(self, leg: LegRecord, offer: bytes) -> tuple[LegRecord, bytes]:
        """Return the leg as a re-INVITE wants it, and the body of our 2xx."""
        if leg.sdp is None:
            raise SdpError("the session has no media to be changed")
        if not offer:
            return self._desk.offer(leg, leg.plan.codec if leg.plan else "")
        return self._desk.answer(replace(leg, sdp=leg.sdp.receive_offer(offer)))

    def acknowledged(self, leg: LegRecord, output: AckReceived, when: Moment) -> None:
        """An ACK may carry the answer to an offer that went out in our 2xx."""
        if leg.sdp is None or leg.sdp.state != "local_offer":
            return
        first = not leg.has_media
        try:
            sdp, _ = leg.sdp.receive_answer(output.request.body)
            leg = self._desk.want_leg(self._context.put_leg(replace(leg, sdp=sdp)))
        except (SdpError, MediaError):
            self._unanswered_offer(leg, when)
            return
        call = self._context.call(leg.call_id)
        if call is not None and leg.role == "caller" and first:
            self._can_hear(call, leg)

    def _can_hear(self, call: CallRecord, leg: LegRecord) -> None:
        """The media of a caller begins with the ACK: do what waited for it."""
        if call.connected:
            self._bridge(call)
        elif self._context.settings.recording_mode == "answer":
            self._desk.record(call, left=leg.leg_id)
        self._tell_answered(leg)

    def _unanswered_offer(self, leg: LegRecord, when: Moment) -> None:
        """An ACK without a usable answer: a running session stays, a new one cannot begin."""
        call = self._context.call(leg.call_id)
        if leg.plan is not None and leg.sdp is not None and leg.has_media:
            self._context.put_leg(replace(leg, sdp=leg.sdp.rollback()))
        elif call is not None and leg.role == "caller":
            self._ender.end_call(call, "failure", "system", when)

    def reinvite_accepted(self, leg: LegRecord, output: Accepted) -> None:
        """Our own re-offer was answered."""
        if leg.sdp is None or leg.sdp.state != "local_offer":
            return
        try:
            sdp, _ = leg.sdp.receive_answer(output.response.body)
        except SdpError:
            self._context.put_leg(replace(leg, sdp=leg.sdp.rollback()))
            return
        self._desk.want_leg(self._context.put_leg(replace(leg, sdp=sdp)))
