"""The RTP side of one call: a socket pair, what goes out each packet time, what comes in."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable

from ccengine.errors import MediaError, PortsExhaustedError
from ccengine.phone.hearing import Hearing
from ccengine.phone.sound import Sound
from ccengine.rtp.event import EventSender
from ccengine.sdp import MediaPlan

_HEADER = struct.Struct("!BBHII")
_TIMESTAMP = struct.Struct("@qq")
_SO_TIMESTAMPNS = 35
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESTAMP.size)
_ATTEMPTS = 200
_BUFFER_BYTES = 256 << 10


def _open_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Return sockets on an even port and the odd one above it (:rfc:`3550` section 11)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(_ATTEMPTS):
        rtp = socket.socket(family, socket.SOCK_DGRAM)
        rtcp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            rtp.bind((host, 0))
            port = rtp.getsockname()[1]
            if port % 2 == 0:
                rtcp.bind((host, port + 1))
                return rtp, rtcp
        except OSError:
            pass
        rtp.close()
        rtcp.close()
    raise PortsExhaustedError(f"no pair of RTP ports is free on {host}")


class AudioPort:
    """One call's audio; :meth:`tick` is called by the pacer, nothing else costs time.

    ``on_change`` is called when something came in and when the last digit is out.
    """

    def __init__(
        self,
        host: str,
        *,
        ssrc: int,
        first_sequence: int,
        first_timestamp: int,
        keep: bool = False,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._rtp, self._rtcp = _open_pair(host)
        for sock in (self._rtp, self._rtcp):
            sock.setblocking(False)
        self._rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        if sys.platform == "linux":
            self._rtp.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.host = host
        self.port: int = self._rtp.getsockname()[1]
        self.hearing = Hearing(keep=keep)
        self.packets_sent = 0
        self.send_errors = 0
        self.plan: MediaPlan | None = None
        self._on_change = on_change
        self._ssrc = ssrc
        self._sequence = first_sequence & 0xFFFF
        self._timestamp = first_timestamp & 0xFFFFFFFF
        self._sound = Sound.silence()
        self._frames: tuple[bytes, ...] = ()
        self._position = 0
        self._marker = 0x80
        self._digits: EventSender | None = None
        self._step = 160
        self._remote: tuple[str, int] | None = None
        self._is_closed = False

    # --- what the call says ---------------------------------------------------------------

    def agree(self, plan: MediaPlan) -> None:
        """Speak and listen as negotiated."""
        self.plan = plan
        self.hearing.agree(plan.codec, plan.receive_payload_type, plan.receive_event_pt)
        self._step = plan.clock_rate * plan.ptime_ms // 1000
        sends = plan.send and plan.remote_port
        self._remote = (plan.remote_host, plan.remote_port) if sends else None
        self._frames = self._sound.frames(plan.codec, plan.ptime_ms)
        self._position %= len(self._frames)

    def play(self, sound: Sound) -> None:
        """Say something else from the next packet on."""
        self._sound = sound
        self._position = 0
        if self.plan is not None:
            self._frames = sound.frames(self.plan.codec, self.plan.ptime_ms)

    def send_digits(self, digits: str, duration_ms: int = 100, gap_ms: int = 100) -> None:
        """Press keys one after the other; after those that are still being sent.

        Raises:
            MediaError: nothing is agreed on, the peer takes no events, or no such key.

        """
        plan = self.plan
        if plan is None or plan.event_pt < 0:
            raise MediaError("the other side takes no telephone-events")
        if self.is_sending_digits:
            raise MediaError("digits are still being sent", cure="wait for digits_sent()")
        self._digits = EventSender(
            digits,
            duration_ms=duration_ms,
            gap_ms=gap_ms,
            ptime_ms=plan.ptime_ms,
            clock_rate=plan.clock_rate,
        )

    @property
    def is_sending_digits(self) -> bool:
        """Whether digits are on their way."""
        return self._digits is not None

    # --- what the pacer says ----------------------------------------------------------------

    @property
    def ptime_ms(self) -> int:
        """Return the time in one of our packets."""
        return self.plan.ptime_ms if self.plan is not None else 20

    def send_frame(self) -> None:
        """Send the packet that is due now; on hold time goes on, but nothing is sent."""
        remote = self._remote
        if remote is None:
            self._timestamp = (self._timestamp + self._step) & 0xFFFFFFFF
            self._marker = 0x80
            return
        plan = self.plan
        assert plan is not None
        if self._digits is not None and self._send_event(self._digits, plan, remote):
            return
        frames = self._frames
        position = self._position
        if position >= len(frames):
            self.play(Sound.silence())
            frames, position = self._frames, 0
        self._send(plan.payload_type | self._marker, self._timestamp, frames[position], remote)
        self._marker = 0
        position += 1
        self._position = position % len(frames) if self._sound.loop else position
        self._timestamp = (self._timestamp + self._step) & 0xFFFFFFFF

    def _send_event(self, digits: EventSender, plan: MediaPlan, remote: tuple[str, int]) -> bool:
        """Send the packet of an event in place of audio; return whether there was one."""
        if digits.done:
            self._digits = None
            self._on_change()
            return False
        frame = digits.next()
        if frame is None:
            return False
        second = plan.event_pt | (0x80 if frame.marker else 0)
        self._send(second, (self._timestamp - frame.age) & 0xFFFFFFFF, frame.payload, remote)
        self._timestamp = (self._timestamp + self._step) & 0xFFFFFFFF
        return True

    def _send(self, second: int, timestamp: int, payload: bytes, remote: tuple[str, int]) -> None:
        data = _HEADER.pack(0x80, second, self._sequence, timestamp, self._ssrc) + payload
        self._sequence = (self._sequence + 1) & 0xFFFF
        try:
            self._rtp.sendto(data, remote)
        except OSError:  # full, refused, unreachable: a phone talks on
            self.send_errors += 1
        else:
            self.packets_sent += 1

    def receive_all(self, now: float, wall_offset_s: float) -> None:
        """Take what has come in; ``wall_offset_s`` is ``now`` minus wall-clock seconds."""
        rtp = self._rtp
        before = self.hearing.stats.packets
        while True:
            try:
                data, ancillary, _, source = rtp.recvmsg(2048, _ANCILLARY_BYTES)
            except OSError:  # nothing more, or an ICMP error of something sent
                break
            at = now
            if ancillary:
                seconds, nanoseconds = _TIMESTAMP.unpack(ancillary[0][2])
                at = min(now, seconds + nanoseconds * 1e-9 + wall_offset_s)
            self.hearing.receive(data, source[:2], at)
        if self.hearing.expire(now) or self.hearing.stats.packets != before:
            self._on_change()

    def receive_reports(self) -> None:
        """Take RTCP off the socket and count it."""
        while True:
            try:
                self._rtcp.recv(2048)
            except OSError:
                return
            self.hearing.stats.rtcp += 1

    def close(self) -> None:
        """Close the sockets."""
        self._is_closed = True
        self._rtp.close()
        self._rtcp.close()

    @property
    def is_closed(self) -> bool:
        """Whether the sockets are closed."""
        return self._is_closed
