"""A media worker for tests in virtual time: it speaks the control protocol and plays nothing."""

from __future__ import annotations

from ccengine.media import control
from ccengine.media.control import (
    Digit,
    Drops,
    Have,
    Hello,
    Leases,
    LegStats,
    LegWant,
    PlayDone,
    PlayWant,
    RecordingDone,
    RecordingWant,
    Want,
    Wants,
    Welcome,
)


class PaperWorker:
    """Keeps what is wanted of it on paper; the test makes its events happen.

    ``ports`` are handed out as leases on attach.  Packets for signalling collect in
    ``outbox``.
    """

    def __init__(self, name: str = "m0", ports: tuple[int, ...] = tuple(range(20000, 20200, 2))):
        self.name = name
        self.ports = ports
        self.wants: dict[str, Want] = {}
        self.outbox: list[bytes] = []
        self._seq = 0

    def receive(self, data: bytes) -> None:
        """Take one packet of signalling."""
        match control.decode_to_worker(data):
            case Hello():
                have = tuple((key, want.rev) for key, want in self.wants.items())
                used = {one.port for one in self.legs.values()}
                free = tuple(port for port in self.ports if port not in used)
                self._say(Welcome(control.PROTOCOL_VERSION, self.name, 4711))
                self._say(Have(have, last=True))
                self._say(Leases(free))
            case Wants(objects=objects):
                self.wants.update((want.key, want) for want in objects)
            case Drops(keys=keys):
                for key in keys:
                    self._dropped(self.wants.pop(key, None))

    def _dropped(self, want: Want | None) -> None:
        match want:
            case LegWant(key=key, port=port):
                self._say(LegStats(self._next(), key, 50, 50, 0, 0, 0, 0.5, -1.0, -1.0))
                self._say(Leases((port,)))
            case RecordingWant(key=key, folder=folder):
                name = f"{folder}/{key}-1.wav"
                self._say(RecordingDone(self._next(), key, (name,), 1.0))

    def _next(self) -> int:
        self._seq += 1
        return self._seq

    def _say(self, message: control.FromWorker) -> None:
        self.outbox.append(control.encode(message))

    # --- what a test looks at and makes happen -------------------------------------------------

    @property
    def legs(self) -> dict[str, LegWant]:
        """Return the legs that are wanted."""
        return {key: one for key, one in self.wants.items() if isinstance(one, LegWant)}

    @property
    def plays(self) -> dict[str, PlayWant]:
        """Return the plays that are wanted."""
        return {key: one for key, one in self.wants.items() if isinstance(one, PlayWant)}

    def press(self, leg: str, digits: str) -> None:
        """Let a key press be heard on a leg."""
        for digit in digits:
            self._say(Digit(self._next(), leg, digit, 100))

    def finish_play(self, key: str, error: str = "") -> None:
        """Let a play come to its end."""
        play = self.wants[key]
        assert isinstance(play, PlayWant), f"{key} is no play"
        self._say(PlayDone(self._next(), key, play.leg, error))

    def lose_rtp(self, leg: str) -> None:
        """Let a leg fall silent on the wire."""
        self._say(control.RtpTimeout(self._next(), leg))
