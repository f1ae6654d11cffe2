"""One call of a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from ccengine.errors import CallError, SdpError
from ccengine.phone.audio_port import AudioPort
from ccengine.phone.sound import Sound
from ccengine.phone.waiting import Waiting
from ccengine.sdp import Direction, LocalMedia, MediaPlan, Negotiation
from ccengine.sip.message import SipRequest, SipResponse

if TYPE_CHECKING:
    from ccengine.phone.phone import Phone

CallState: TypeAlias = Literal["calling", "incoming", "ringing", "established", "ended"]
NOT_ACCEPTABLE_HERE = 488


class PhoneCall:
    """A call from or to a phone: wait for what happens, say what shall happen.

    ``status`` is the last SIP status of a call of ours, ``cause`` why it ended: ``bye`` (the
    other side), ``hung_up`` (we), ``rejected``, ``cancelled``, ``gone`` or ``vanished``.
    Times (``started_at``, ``answered_at``, ``ended_at``) are ``now``; 0.0 is "not yet".
    """

    def __init__(self, phone: Phone, session: str, number: str, *, incoming: bool) -> None:
        self.phone = phone
        self.session = session
        self.number = number
        self.is_incoming = incoming
        self.state: CallState = "incoming" if incoming else "calling"
        self.status = 0
        self.cause = ""
        self.display_name = ""
        self.sip_call_id = ""
        self.request: SipRequest | None = None
        self.response: SipResponse | None = None
        farm = phone.farm
        self.started_at = farm.clock.now()
        self.answered_at = 0.0
        self.ended_at = 0.0
        ids = farm.ids
        self._waiting = Waiting()
        self.audio = AudioPort(
            farm.settings.host,
            ssrc=ids.number(32),
            first_sequence=ids.number(16),
            first_timestamp=ids.number(32),
            keep=phone.keep_audio,
            on_change=self._waiting.notify,
        )
        self.audio.play(phone.sound)
        self._negotiation = Negotiation(session_id=ids.number(31))
        self._direction: Direction = "sendrecv"

    # --- waiting --------------------------------------------------------------------------

    async def until(self, condition: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Wait until ``condition`` holds; it is looked at when something happens on the call.

        Raises:
            CallError: it does not hold in time.

        """
        if not await self._waiting.until(condition, timeout_s):
            raise CallError(f"{self}: no {what} in {timeout_s:g} s")

    async def ringing(self, timeout_s: float = 10.0) -> None:
        """Wait until the other side rings, or has got further."""
        await self.until(lambda: self.state not in {"calling", "incoming"}, "ringing", timeout_s)
        self._must_not_have_failed()

    async def answered(self, timeout_s: float = 20.0) -> PhoneCall:
        """Wait until the call is answered; :class:`CallError` when it fails instead."""
        await self.until(lambda: self.state in {"established", "ended"}, "answer", timeout_s)
        self._must_not_have_failed()
        return self

    def _must_not_have_failed(self) -> None:
        if self.state == "ended" and not self.answered_at:
            raise CallError(f"{self}: {self.cause} ({self.status})")

    async def ended(self, timeout_s: float = 20.0) -> str:
        """Wait for the end of the call; return its cause."""
        await self.until(lambda: self.state == "ended", "end", timeout_s)
        return self.cause

    async def digits(self, count: int = 1, timeout_s: float = 5.0) -> str:
        """Wait for ``count`` keys from the other side; return all so far."""
        hearing = self.audio.hearing
        await self.until(lambda: len(hearing.keys) >= count, f"{count} digits", timeout_s)
        return hearing.digits

    async def digits_sent(self, timeout_s: float = 20.0) -> None:
        """Wait until the last key of :meth:`send_digits` is out."""
        await self.until(
            lambda: not self.audio.is_sending_digits or self.state == "ended",
            "end of digits",
            timeout_s,
        )

    async def hears(self, packets: int = 1, timeout_s: float = 5.0) -> None:
        """Wait until ``packets`` more RTP packets have come in."""
        stats = self.audio.hearing.stats
        wanted = stats.packets + packets
        await self.until(lambda: stats.packets >= wanted, f"{packets} packets", timeout_s)

    # --- doing -------------------------------------------------------------------------------

    def play(self, sound: Sound) -> None:
        """Say something else."""
        self.audio.play(sound)

    def send_digits(self, digits: str, duration_ms: int = 100, gap_ms: int = 100) -> None:
        """Press keys (:rfc:`4733`)."""
        self.audio.send_digits(digits, duration_ms, gap_ms)

    def ring(self) -> None:
        """Ring (180)."""
        if self.state == "incoming":
            self.state = "ringing"
            self.phone.farm.command("provisional", self.session, 180)
            self._waiting.notify()

    def answer(self) -> None:
        """Answer; what cannot be spoken is rejected with 488."""
        if self.state not in {"incoming", "ringing"}:
            return
        try:
            body = self._answer_or_offer()
        except SdpError:
            self.reject(NOT_ACCEPTABLE_HERE)
            return
        self.phone.farm.command("accept", self.session, body=body)
        self._established()

    def reject(self, status: int = 486) -> None:
        """Reject."""
        if self.state in {"incoming", "ringing"}:
            self.status = status
            self.phone.farm.command("reject", self.session, status)
            self.phone.farm.forget(self, "rejected")

    def hang_up(self) -> None:
        """End the call, whatever its state."""
        if self.state == "ended":
            return
        farm = self.phone.farm
        was_answered = self.state == "established"
        farm.command("bye", self.session)
        if was_answered:
            self.finish("hung_up")
        elif self.is_incoming:
            farm.forget(self, "rejected")
        # A call of ours that is not answered ends when the CANCEL has been dealt with.

    def vanish(self) -> None:
        """Be gone: from now on the other side gets neither SIP nor RTP of this call."""
        if self.state == "ended":
            return
        farm = self.phone.farm
        farm.silence(self.sip_call_id)
        farm.command("bye", self.session)
        farm.forget(self, "vanished")

    def hold(self) -> None:
        """Put the other side on hold by re-INVITE (sendonly); it shows in :attr:`plan`."""
        self._reoffer("sendonly")

    def resume(self) -> None:
        """Take the other side back."""
        self._reoffer("sendrecv")

    @property
    def is_offering(self) -> bool:
        """Whether an offer of ours waits for its answer; no other can be made meanwhile."""
        return self._negotiation.state == "local_offer"

    def _reoffer(self, direction: Direction) -> None:
        if self.state != "established" or self.is_offering:
            raise CallError(f"{self}: only an established call without an open offer can be held")
        self._direction = direction
        self._negotiation, body = self._negotiation.create_offer(self._local())
        self.phone.farm.command("reinvite", self.session, body)

    # --- what the endpoint tells ---------------------------------------------------------------

    def make_offer(self) -> bytes:
        """Return the offer of a call of ours."""
        self._negotiation, body = self._negotiation.create_offer(self._local())
        return body

    def provisional(self, response: SipResponse) -> None:
        """Take a 1xx: ringing, and perhaps early media."""
        self.status = response.status
        self.response = response
        self.sip_call_id = self.sip_call_id or response.call_id
        if response.status >= 180 and self.state == "calling":
            self.state = "ringing"
        if response.body and self._negotiation.state == "local_offer":
            # Only looked at: the answer that counts comes with the 2xx.
            _, plan = self._negotiation.receive_answer(response.body)
            self._speak(plan)
        self._waiting.notify()

    def accepted(self, response: SipResponse) -> None:
        """Take the 2xx of our INVITE or re-INVITE; a wrong answer ends the call."""
        self.status = response.status
        self.response = response
        self.sip_call_id = self.sip_call_id or response.call_id
        try:
            self._negotiation, plan = self._negotiation.receive_answer(response.body)
        except SdpError:
            self.phone.farm.command("bye", self.session)
            self.finish("rejected")
            return
        self._speak(plan)
        self._established()

    def reinvite_rejected(self) -> None:
        """Go on as before: our re-INVITE was rejected."""
        if self._negotiation.state == "local_offer":
            self._negotiation = self._negotiation.rollback()
        self._waiting.notify()

    def offered(self, request: SipRequest) -> None:
        """Take the offer of a first INVITE; without one we offer ourselves (in the 2xx)."""
        self.request = request
        self.sip_call_id = request.call_id
        self.display_name = request.from_.display_name
        if request.body:
            self._negotiation = self._negotiation.receive_offer(request.body)

    def reinvited(self, request: SipRequest) -> None:
        """Answer a re-INVITE."""
        before = self._negotiation
        try:
            if request.body:
                self._negotiation = before.receive_offer(request.body)
            body = self._answer_or_offer()
        except SdpError:
            self._negotiation = before
            self.phone.farm.command("reject", self.session, NOT_ACCEPTABLE_HERE)
            return
        self.phone.farm.command("accept", self.session, body=body)
        self._waiting.notify()

    def acknowledged(self, request: SipRequest) -> None:
        """Take the answer to an offer that stood in our 2xx."""
        if self._negotiation.state == "local_offer" and request.body:
            try:
                self._negotiation, plan = self._negotiation.receive_answer(request.body)
            except SdpError:
                self.hang_up()
                return
            self._speak(plan)
        self._waiting.notify()

    def finish(self, cause: str) -> None:
        """End the call here: sockets are closed, whoever waits is told."""
        if self.state == "ended":
            return
        self.state = "ended"
        self.cause = cause
        farm = self.phone.farm
        self.ended_at = farm.clock.now()
        farm.pacer.remove(self.audio)
        self.audio.close()
        self._waiting.notify()

    # --- inside --------------------------------------------------------------------------------

    @property
    def plan(self) -> MediaPlan | None:
        """Return what offer and answer agreed on."""
        return self._negotiation.plan

    def _local(self) -> LocalMedia:
        settings = self.phone.farm.settings
        return LocalMedia(
            settings.host,
            self.audio.port,
            settings.codecs,
            settings.ptime_ms,
            direction=self._direction,
        )

    def _answer_or_offer(self) -> bytes:
        if self._negotiation.state == "remote_offer":
            self._negotiation, body, plan = self._negotiation.create_answer(self._local())
            self._speak(plan)
        else:
            self._negotiation, body = self._negotiation.create_offer(self._local())
        return body

    def _speak(self, plan: MediaPlan) -> None:
        self.audio.agree(plan)
        if self.state != "ended":
            self.phone.farm.pacer.add(self.audio)

    def _established(self) -> None:
        if self.state != "ended":
            self.state = "established"
            self.answered_at = self.answered_at or self.phone.farm.clock.now()
        self._waiting.notify()

    def __str__(self) -> str:
        """Name phone, direction, number and state."""
        arrow = "<-" if self.is_incoming else "->"
        return f"{self.phone.user} {arrow} {self.number} ({self.state})"
