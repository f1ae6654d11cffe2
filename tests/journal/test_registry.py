"""Facts of other versions and of nobody are read without stopping a replay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import pytest

from ccengine.errors import JournalError
from ccengine.journal import RawFact, Registry, replay


@dataclass(frozen=True, slots=True)
class Third:
    FACT: ClassVar[tuple[str, int]] = ("test.noted", 3)

    who: str
    words: tuple[str, ...]
    stream: ClassVar[str] = "x"


def test_unknown_facts_are_kept_raw(kit: Any) -> None:
    journal = kit.open()
    kit.append(journal, kit.Noted("a", "b"), kit.Replaced("c", 1))
    _, frame = replay(kit.folder, Registry([kit.Replaced]))
    raw, known = frame.facts
    assert known == kit.Replaced("c", 1)
    assert isinstance(raw, RawFact)
    assert (raw.type, raw.version, raw.stream) == ("test.noted", 1, "test/a")
    assert msgspec.msgpack.decode(raw.data) == {"who": "a", "text": "b"}
    assert raw.error == "unknown type or version"


def test_older_versions_go_through_every_upgrade(kit: Any) -> None:
    journal = kit.open()
    kit.append(journal, kit.Noted("a", "b c"))
    registry = Registry(
        [Third],
        {
            ("test.noted", 1): lambda data: {"who": data["who"], "line": data["text"]},
            ("test.noted", 2): lambda data: {"who": data["who"], "words": data["line"].split()},
        },
    )
    _, frame = replay(kit.folder, registry)
    assert frame.facts == (Third("a", ("b", "c")),)


@pytest.mark.parametrize(
    ("upgrade", "error"),
    [
        (lambda data: data, "no class for v2, to which it was upgraded"),
        (lambda data: data["nothing"], "upgrade from v1 failed: KeyError('nothing')"),
    ],
)
def test_an_upgrade_that_fails_gives_the_raw_fact(kit: Any, upgrade: Any, error: str) -> None:
    journal = kit.open()
    kit.append(journal, kit.Noted("a"))
    _, frame = replay(kit.folder, Registry([], {("test.noted", 1): upgrade}))
    (raw,) = frame.facts
    assert isinstance(raw, RawFact)
    assert raw.error == error


def test_data_that_do_not_fit_give_the_raw_fact(kit: Any) -> None:
    @dataclass(frozen=True, slots=True)
    class Stricter:
        FACT: ClassVar[tuple[str, int]] = ("test.noted", 1)
        who: int
        stream: ClassVar[str] = "x"

    journal = kit.open()
    kit.append(journal, kit.Noted("a"))
    _, frame = replay(kit.folder, Registry([Stricter]))
    (raw,) = frame.facts
    assert isinstance(raw, RawFact)
    assert "Expected `int`, got `str`" in raw.error


def test_an_upgrade_to_data_that_do_not_fit_gives_the_raw_fact(kit: Any) -> None:
    journal = kit.open()
    kit.append(journal, kit.Noted("a"))
    registry = Registry(
        [Third], {("test.noted", 1): lambda data: data, ("test.noted", 2): lambda data: data}
    )
    _, frame = replay(kit.folder, registry)
    (raw,) = frame.facts
    assert isinstance(raw, RawFact)
    assert "missing required field `words`" in raw.error


def test_two_classes_of_one_name_are_refused(kit: Any) -> None:
    @dataclass(frozen=True, slots=True)
    class Other:
        FACT: ClassVar[tuple[str, int]] = ("test.noted", 1)
        stream: ClassVar[str] = "x"

    with pytest.raises(JournalError, match=r"Other and Noted are both fact test\.noted v1"):
        Registry([kit.Noted, Other])
    Registry([kit.Noted, kit.Noted])  # rooms may name a shared fact twice
