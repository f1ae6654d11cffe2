"""Which class a stored fact becomes, and how facts of older versions are brought up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import msgspec

from ccengine.errors import JournalError
from ccengine.ports import FactData

FactName: TypeAlias = tuple[str, int]
"""Type and version of a fact, as a fact class states them in ``FACT``."""

Upgrade: TypeAlias = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns the data of one version of a fact into the data of the next version."""


@dataclass(frozen=True, slots=True)
class EpochStarted:
    """A process took the journal over: everything after it was written by that process."""

    FACT: ClassVar[tuple[str, int]] = ("journal.epoch", 1)

    epoch: int
    boot_id: str
    pid: int

    @property
    def stream(self) -> str:
        """Return ``journal``."""
        return "journal"


@dataclass(frozen=True, slots=True)
class RawFact:
    """A stored fact that no class of this version can hold, kept as it was read.

    ``error`` says why: the type is unknown (written by a newer version or by a plugin that is
    gone) or the data do not fit the class.  ``data`` is msgpack.
    """

    type: str
    version: int
    stream: str
    data: bytes
    error: str


class Registry:
    """The fact classes that a journal may hold.

    ``classes`` are the ``FACTS`` of all stateful rooms put together; the journal's own facts
    are always in.  ``upgrades`` maps (type, version) to the function that makes the data of
    the next version; they are applied one after the other until a known class is reached.
    ``names`` gives type and version by class.
    Raises :class:`JournalError` when two classes claim the same name.
    """

    __slots__ = ("_classes", "_decoders", "_upgrades", "names")

    def __init__(
        self, classes: Iterable[type], upgrades: Mapping[FactName, Upgrade] | None = None
    ) -> None:
        self._classes: dict[FactName, type] = {}
        self._upgrades = dict(upgrades or {})
        self._decoders: dict[FactName, msgspec.msgpack.Decoder[Any]] = {}
        self.names: dict[type, FactName] = {}
        for cls in (EpochStarted, *classes):
            self._add(cls)

    def _add(self, cls: type) -> None:
        name: FactName = cls.FACT  # type: ignore[attr-defined]
        known = self._classes.setdefault(name, cls)
        if known is not cls:
            raise JournalError(
                f"{cls.__qualname__} and {known.__qualname__} are both fact {name[0]} v{name[1]}",
                cure="give one of them another type or version",
            )
        self.names[cls] = name

    def decode(
        self, fact_type: str, version: int, stream: str, data: msgspec.Raw | bytes
    ) -> FactData | RawFact:
        """Return the fact as its dataclass, or a :class:`RawFact` that says why not."""
        name = (fact_type, version)
        decoder = self._decoders.get(name)
        try:
            if decoder is None:
                if name not in self._classes:
                    return self._decode_older(fact_type, version, stream, data)
                decoder = msgspec.msgpack.Decoder(self._classes[name])
                self._decoders[name] = decoder
            fact: FactData = decoder.decode(data)
        except msgspec.MsgspecError as error:
            return RawFact(fact_type, version, stream, bytes(data), str(error))
        return fact

    def _decode_older(
        self, fact_type: str, version: int, stream: str, data: msgspec.Raw | bytes
    ) -> FactData | RawFact:
        name = (fact_type, version)
        if name not in self._upgrades:
            return RawFact(fact_type, version, stream, bytes(data), "unknown type or version")
        values = msgspec.msgpack.decode(data)
        while name in self._upgrades and name not in self._classes:
            try:
                values = self._upgrades[name](values)
            except (LookupError, TypeError, ValueError) as error:
                problem = f"upgrade from v{name[1]} failed: {error!r}"
                return RawFact(fact_type, version, stream, bytes(data), problem)
            name = (fact_type, name[1] + 1)
        if name not in self._classes:
            problem = f"no class for v{name[1]}, to which it was upgraded"
            return RawFact(fact_type, version, stream, bytes(data), problem)
        fact: FactData = msgspec.convert(values, self._classes[name])
        return fact
