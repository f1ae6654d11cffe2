"""Journals with facts of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ccengine.clock import VirtualClock
from ccengine.journal import Journal, Registry


@dataclass(frozen=True, slots=True)
class Noted:
    """A fact that says anything of anybody."""

    FACT: ClassVar[tuple[str, int]] = ("test.noted", 1)

    who: str
    text: str = ""

    @property
    def stream(self) -> str:
        return f"test/{self.who}"


@dataclass(frozen=True, slots=True)
class Replaced:
    """A fact that holds the whole record, so the last of a drain is enough."""

    FACT: ClassVar[tuple[str, int]] = ("test.replaced", 2)
    COALESCE: ClassVar[bool] = True

    who: str
    value: int

    @property
    def stream(self) -> str:
        return f"test/{self.who}"


class Kit:
    """What the tests of this room have in common."""

    Noted = Noted
    Replaced = Replaced

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = VirtualClock()
        self.registry = Registry([Noted, Replaced])
        self._open: list[Journal] = []

    def open(self, folder: Path | None = None, segment_bytes: int = 1 << 16) -> Journal:
        journal = Journal.open(
            folder or self.folder,
            boot_id="boot-1",
            clock=self.clock,
            registry=self.registry,
            segment_bytes=segment_bytes,
        )
        self._open.append(journal)
        return journal

    def append(self, journal: Journal, *facts: Any) -> int:
        return journal.append(facts, self.clock.now(), self.clock.at())

    def close(self) -> None:
        for journal in self._open:
            journal.close()


@pytest.fixture
def kit(tmp_path: Path) -> Iterator[Kit]:
    made = Kit(tmp_path / "journal")
    yield made
    made.close()


@pytest.fixture(scope="session")
def make_kit(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Kit]:
    return lambda: Kit(tmp_path_factory.mktemp("kit") / "journal")
