"""What the media plane is wanted to do for a call: legs, bridge, plays, recording.

Keys: a leg is wanted under its ``leg_id``, the bridge of a call under ``<call_id>.b``, its
recording under the ``call_id`` itself, and a play under its ``play_id``.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from ccengine.call.context import CallContext
from ccengine.call.record import CallRecord, LegRecord
from ccengine.media.control import BridgeWant, Codec, LegWant, PlayWant, RecordingWant
from ccengine.ports import StartPlay
from ccengine.revision import replace
from ccengine.sdp.codec import CODECS
from ccengine.sdp.media import LocalMedia, MediaPlan
from ccengine.sdp.negotiation import Negotiation


def bridge_key(call_id: str) -> str:
    """Return the key under which a call's bridge is wanted."""
    return f"{call_id}.b"


class MediaDesk:
    """Turns legs and calls into wanted objects, and offers into answers."""

    def __init__(self, context: CallContext) -> None:
        self._context = context

    # --- descriptions ----------------------------------------------------------------------

    def lease(self, leg: LegRecord) -> LegRecord:
        """Give a leg its RTP port; :class:`PortsExhaustedError` when there is none."""
        if leg.port:
            return leg
        return self._context.put_leg(replace(leg, port=self._context.media.lease(leg.call_id)))

    def negotiation(self) -> Negotiation:
        """Return a fresh offer/answer state."""
        return Negotiation(session_id=self._context.ids.number(31))

    def local(self, leg: LegRecord, prefer: str = "") -> LocalMedia:
        """Return our side of a leg's audio; ``prefer`` names a codec to be listed first."""
        settings = self._context.settings
        names = sorted(settings.codecs, key=lambda name: name != prefer)
        host = settings.media_host or self._context.local_address(leg.flow)[0]
        return LocalMedia(host, leg.port, tuple(CODECS[name] for name in names))

    def offer(self, leg: LegRecord, prefer: str = "") -> tuple[LegRecord, bytes]:
        """Return the leg with an offer of ours pending, and the offer."""
        leg = self.lease(leg)
        sdp = leg.sdp if leg.sdp is not None else self.negotiation()
        sdp, body = sdp.create_offer(self.local(leg, prefer))
        return self._context.put_leg(replace(leg, sdp=sdp)), body

    def answer(self, leg: LegRecord, prefer: str = "") -> tuple[LegRecord, bytes]:
        """Return the leg with the peer's offer answered, and the answer."""
        leg = self.lease(leg)
        assert leg.sdp is not None, "a leg with a pending offer has a negotiation"
        sdp, body, _ = leg.sdp.create_answer(self.local(leg), prefer=(prefer,) if prefer else ())
        return self._context.put_leg(replace(leg, sdp=sdp)), body

    # --- wanted objects --------------------------------------------------------------------

    def want_leg(self, leg: LegRecord) -> LegRecord:
        """Tell the media plane of a leg as it is negotiated now."""
        plan = leg.plan
        assert plan is not None, "a leg without a plan has no media"
        self._context.media.want(
            LegWant(
                key=leg.leg_id,
                rev=0,
                unit=leg.call_id,
                port=leg.port,
                codec=Codec(plan.codec, plan.payload_type, plan.clock_rate, plan.ptime_ms),
                remote_host=plan.remote_host if plan.remote_port else "",
                remote_port=plan.remote_port,
                event_pt=plan.event_pt,
                send=plan.send,
                receive=plan.receive,
                timeout_s=self._silence_s(plan),
            )
        )
        return leg if leg.has_media else self._context.put_leg(replace(leg, has_media=True))

    def _silence_s(self, plan: MediaPlan) -> float:
        """Return how long a peer may send nothing: phones on hold often send nothing at all."""
        settings = self._context.settings
        if plan.send and plan.receive:
            return settings.rtp_timeout_s
        return max(settings.rtp_timeout_s, settings.hold_timeout_s)

    def drop_leg(self, leg: LegRecord) -> None:
        """Take a leg's media away, or give its unused port back."""
        if leg.has_media:
            self._context.media.drop(leg.leg_id)
        elif leg.port:
            self._context.media.free(leg.port)

    def play(self, leg: LegRecord, play: StartPlay) -> None:
        """Want files played to a leg."""
        self._context.media.want(
            PlayWant(play.play_id, 0, leg.leg_id, play.prompts, play.loop, play.gain_db)
        )

    def bridge(self, call: CallRecord, legs: tuple[str, str]) -> None:
        """Let two legs hear each other."""
        self._context.media.want(BridgeWant(bridge_key(call.call_id), 0, call.call_id, legs))

    def unbridge(self, call: CallRecord) -> None:
        """Part the legs of a call."""
        self._context.media.drop(bridge_key(call.call_id))

    # --- recording -------------------------------------------------------------------------

    def record(self, call: CallRecord, *, left: str, right: str = "") -> CallRecord:
        """Record a call, or change the sides of its recording, unless recording is off."""
        if self._context.settings.recording_mode == "off":
            return call
        # One folder for the whole call: what is recorded after midnight, or with a second agent,
        # becomes a segment of the same recording.
        folder = PurePosixPath(self._context.settings.recording_folder)
        folder = folder / call.started_at.strftime("%Y-%m-%d")
        self._context.media.want(
            RecordingWant(call.call_id, 0, call.call_id, str(folder), left, right)
        )
        if call.recording:
            return call
        return self._context.put_call(replace(call, recording=call.call_id))

    def stop_recording(self, call: CallRecord) -> None:
        """Close the recording of a call."""
        if call.recording:
            self._context.media.drop(call.call_id)
