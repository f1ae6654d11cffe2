"""The facts of a media link, which are its journalled state, and what it wants sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from ccengine.media.control import Want

# --- facts ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WantSet:
    """An object is wanted of a worker, in place of whatever its key stood for before."""

    FACT: ClassVar[tuple[str, int]] = ("media_want_set", 1)
    COALESCE: ClassVar[bool] = True

    worker: str
    object: Want

    @property
    def stream(self) -> str:
        """Return the stream of the wanted object."""
        return f"media/{self.object.key}"


@dataclass(frozen=True, slots=True)
class WantDropped:
    """An object is wanted no longer."""

    FACT: ClassVar[tuple[str, int]] = ("media_want_dropped", 1)
    worker: str
    key: str

    @property
    def stream(self) -> str:
        """Return the stream of the object."""
        return f"media/{self.key}"


@dataclass(frozen=True, slots=True)
class EventsTaken:
    """The events of a worker process up to ``seq`` have been handed on, never again."""

    FACT: ClassVar[tuple[str, int]] = ("media_events_taken", 1)
    COALESCE: ClassVar[bool] = True

    worker: str
    pid: int
    seq: int

    @property
    def stream(self) -> str:
        """Return the stream of the worker."""
        return f"media_worker/{self.worker}"


FACTS: tuple[type, ...] = (WantSet, WantDropped, EventsTaken)
MediaFact: TypeAlias = WantSet | WantDropped | EventsTaken

# --- outputs --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinkSend:
    """Send ``data`` as one packet of the control socket of ``worker``."""

    worker: str
    data: bytes


@dataclass(frozen=True, slots=True)
class LinkClose:
    """Close the control socket of ``worker``: it does not listen to us, ``reason`` says why."""

    worker: str
    reason: str


LinkOutput: TypeAlias = LinkSend | LinkClose
