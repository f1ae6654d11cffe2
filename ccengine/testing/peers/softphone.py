"""The foreign soft phones with one face, each saying a tone of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ccengine.clock import SystemClock
from ccengine.dsp.measure import level
from ccengine.dsp.wav import read_wav, write_wav
from ccengine.phone import Sound
from ccengine.testing.peers.baresip import Baresip, BaresipSettings
from ccengine.testing.peers.pjsua import Pjsua, PjsuaSettings
from ccengine.testing.peers.process import PeerError, PeerProcess
from ccengine.testing.waiting import wait_until

Kind: TypeAlias = Literal["baresip", "pjsua"]
RATE = 8000
TONE_DBOV = -16.0


@dataclass(frozen=True, slots=True)
class SoftphoneSettings:
    """One phone: ``number`` with ``password`` at the engine's ``server`` address.

    ``tone`` in Hz is what it says.
    """

    folder: Path
    server: tuple[str, int]
    number: str
    password: str
    tone: int
    tcp: bool = False


class Softphone(ABC):
    """A soft phone with at most one call at a time; a context manager.

    Times are UTC in seconds since 1970.
    """

    process: PeerProcess

    def __init__(self, settings: SoftphoneSettings) -> None:
        self.settings = settings
        self.clock = SystemClock()

    def __enter__(self) -> Self:
        """Start and register."""
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        self.process.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        self.process.__exit__(kind, error, trace)

    def uri(self, number: str) -> str:
        """Return what to dial for a number."""
        host, port = self.settings.server
        return f"sip:{number}@{host}:{port}"

    def at(self) -> float:
        """Return the time."""
        return self.clock.at().timestamp()

    @abstractmethod
    def dial(self, number: str) -> float:
        """Call a number; return when."""

    @abstractmethod
    def answered(self) -> float:
        """Wait until the dialled call is answered; return when that was."""

    @abstractmethod
    def rings(self, timeout_s: float = 15.0) -> None:
        """Wait until somebody calls."""

    @abstractmethod
    def answer(self) -> float:
        """Answer; return when."""

    @abstractmethod
    def hang_up(self) -> float:
        """End the call; return when."""

    @abstractmethod
    def closed(self, timeout_s: float = 15.0) -> float:
        """Wait until the call is over; return when that was."""

    @abstractmethod
    def press(self, keys: str) -> None:
        """Press keys (:rfc:`4733`)."""

    @abstractmethod
    def mute(self, *, muted: bool) -> float:
        """Say nothing, or speak again; return when."""

    @abstractmethod
    def heard(self) -> NDArray[np.int16]:
        """Return what was heard in the last call, at 8 kHz."""

    @abstractmethod
    def said_dbov(self) -> float:
        """Return the level of its tone."""

    @abstractmethod
    def hears_for(self, seconds: float) -> None:
        """Wait until it has heard that much of the call in all."""


class BaresipPhone(Softphone):
    """baresip; it answers by hand."""

    def __init__(self, settings: SoftphoneSettings) -> None:
        super().__init__(settings)
        self._muted = False
        self._before: dict[str, int] = {}
        self.process: Baresip = Baresip(
            BaresipSettings(
                settings.folder,
                user=settings.number,
                password=settings.password,
                domain=settings.server[0],
                transport="tcp" if settings.tcp else "udp",
                answer_mode="manual",
                source=f"ausine,{settings.tone}",
            )
        )

    def _next(self, kind: str, timeout_s: float = 15.0) -> dict[str, Any]:
        return self.process.wait_event(kind, self._before.get(kind, 0) + 1, timeout_s)

    def _begin(self) -> None:
        self._muted = False
        for kind in ("CALL_ESTABLISHED", "CALL_CLOSED", "CALL_INCOMING"):
            self._before[kind] = len(self.process.events_of(kind))

    def dial(self, number: str) -> float:
        """Call a number; return when."""
        self._begin()
        at = self.at()
        self.process.dial(self.uri(number))
        return at

    def answered(self) -> float:
        """Wait until the dialled call is answered; return when that was."""
        return float(self._next("CALL_ESTABLISHED")["at"])

    def rings(self, timeout_s: float = 15.0) -> None:
        """Wait until somebody calls."""
        # One call at a time: whatever came in since the last one ended is this call.
        ended = len(self.process.events_of("CALL_CLOSED"))
        established = len(self.process.events_of("CALL_ESTABLISHED"))
        incoming = self._before.get("incoming", 0)
        self.process.wait_event("CALL_INCOMING", incoming + 1, timeout_s)
        self._muted = False
        self._before["incoming"] = incoming + 1
        self._before["CALL_CLOSED"] = ended
        self._before["CALL_ESTABLISHED"] = established

    def answer(self) -> float:
        """Answer; return when."""
        at = self.at()
        self.process.answer()
        self._next("CALL_ESTABLISHED")
        return at

    def hang_up(self) -> float:
        """End the call; return when."""
        at = self.at()
        self.process.hang_up()
        return at

    def closed(self, timeout_s: float = 15.0) -> float:
        """Wait until the call is over; return when that was."""
        return float(self._next("CALL_CLOSED", timeout_s)["at"])

    def press(self, keys: str) -> None:
        """Press keys (:rfc:`4733`)."""
        self.process.send_digits(keys)

    def mute(self, *, muted: bool) -> float:
        """Say nothing, or speak again; return when."""
        at = self.at()
        if muted is not self._muted:
            self.process.mute()
            self._muted = muted
        return at

    def heard(self) -> NDArray[np.int16]:
        """Return what was heard in the last call, at 8 kHz."""
        return read_wav(self.process.heard(), RATE)

    def said_dbov(self) -> float:
        """Return the level of its tone."""
        said = read_wav(self.process.said(), RATE)
        return level(said[RATE // 2 : RATE])

    def hears_for(self, seconds: float) -> None:
        """Wait until it has heard that much of the call in all."""
        size = int(seconds * RATE * 2)
        wait_until(
            lambda: self.process.heard().stat().st_size >= size,
            f"recording of {seconds:g} s",
            seconds + 10,
        )


class PjsuaPhone(Softphone):
    """pjsua2; it rings until it answers."""

    def __init__(self, settings: SoftphoneSettings) -> None:
        super().__init__(settings)
        host, port = settings.server
        self._call = -1
        self._incoming = 0
        # Calls have numbers that come back: everything is counted from here on.
        self._seen = 0
        self._wav = settings.folder / "tone.wav"
        self.process: Pjsua = Pjsua(
            PjsuaSettings(
                user=settings.number,
                password=settings.password,
                domain=f"{host}:{port}",
                tcp=settings.tcp,
                play=str(self._wav),
                record=str(settings.folder / "heard-{call}.wav"),
                incoming_status=180,
            )
        )

    def __enter__(self) -> Self:
        """Write the tone, start and register."""
        self.settings.folder.mkdir(parents=True, exist_ok=True)
        tone = Sound.tone(self.settings.tone, level_dbov=TONE_DBOV)
        write_wav(self._wav, np.tile(tone.pcm, 60), RATE)
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the registration back, which pjsua2 does not do by itself, and end."""
        if self.process.is_running:
            self.process.unregister()
            with suppress(PeerError):
                self.process.wait_event("registered", active=False, timeout_s=2.0)
        super().__exit__(kind, error, trace)

    def _state(self, *wanted: str, timeout_s: float = 15.0) -> float:
        found: list[dict[str, Any]] = []

        def reached() -> bool:
            found[:] = [
                event
                for event in list(self.process.events)[self._seen :]
                if event["event"] == "call_state"
                and event["call"] == self._call
                and event["state"] in wanted
            ]
            return bool(found)

        self.process.wait_for(reached, f"call in state {wanted}", timeout_s)
        if found[0]["state"] != wanted[0]:
            raise self.process.error(f"the call ended: {found[0]}")
        return float(found[0]["at"])

    def dial(self, number: str) -> float:
        """Call a number; return when."""
        self._seen = len(self.process.events)
        self._call = self.process.call(self.uri(number))
        return float(self.process.events_of("calling")[-1]["at"])

    def answered(self) -> float:
        """Wait until the dialled call is answered; return when that was."""
        return self._state("CONFIRMED", "DISCONNECTED")

    def rings(self, timeout_s: float = 15.0) -> None:
        """Wait until somebody calls."""
        self._incoming += 1
        self._call = self.process.incoming(self._incoming, timeout_s)
        events = list(self.process.events)
        self._seen = max(
            number for number, event in enumerate(events) if event["event"] == "incoming"
        )

    def answer(self) -> float:
        """Answer; return when."""
        at = self.at()
        self.process.answer(self._call)
        self._state("CONFIRMED", "DISCONNECTED")
        return at

    def hang_up(self) -> float:
        """End the call; return when."""
        at = self.at()
        self.process.hang_up(self._call)
        return at

    def closed(self, timeout_s: float = 15.0) -> float:
        """Wait until the call is over; return when that was."""
        return self._state("DISCONNECTED", timeout_s=timeout_s)

    def press(self, keys: str) -> None:
        """Press keys (:rfc:`4733`)."""
        self.process.send_digits(self._call, keys)

    def mute(self, *, muted: bool) -> float:
        """Say nothing, or speak again; return when."""
        at = self.at()
        self.process.mute(self._call, muted=muted)
        return at

    def heard(self) -> NDArray[np.int16]:
        """Return what was heard in the last call, at 8 kHz."""
        return read_wav(self.process.heard(self._call), RATE)

    def said_dbov(self) -> float:
        """Return the level of its tone."""
        return TONE_DBOV

    def hears_for(self, seconds: float) -> None:
        """Wait until it has heard that much of the call in all."""
        self.process.has_heard(seconds, self._call, seconds + 10)


def make_softphone(kind: Kind, settings: SoftphoneSettings) -> Softphone:
    """Return a phone of a kind; enter it to start it."""
    return BaresipPhone(settings) if kind == "baresip" else PjsuaPhone(settings)
