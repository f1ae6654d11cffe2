"""Facts on their way into the journal: a full disk, a failing one, a fact that is none."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from ccengine.engine.books import Books
from ccengine.errors import JournalError, JournalFullError

AT = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Noted:
    FACT: ClassVar[tuple[str, int]] = ("test.noted", 1)
    COALESCE: ClassVar[bool] = True

    name: str
    value: int

    @property
    def stream(self) -> str:
        return f"test/{self.name}"


class PaperJournal:
    def __init__(self) -> None:
        self.frames: list[list[Noted]] = []
        self.error: type[JournalError] | None = None
        self.is_full = False
        self.poison: set[str] = set()

    def append(self, facts, now, at):
        if self.error is not None:
            raise self.error("no") from OSError(errno.ENOSPC, "full")
        for fact in facts:
            if fact.name in self.poison:
                raise JournalError(f"{fact.name} is no fact")
        self.frames.append(list(facts))

    def full(self) -> bool:
        return self.is_full


@pytest.fixture
def journal():
    return PaperJournal()


@pytest.fixture
def books(journal):
    return Books(journal)


def test_one_drain_is_one_frame_of_the_last_words(books, journal):
    books.write([Noted("a", 1), Noted("b", 1), Noted("a", 2)], 1.0, AT)
    assert journal.frames == [[Noted("b", 1), Noted("a", 2)]]


def test_a_drain_without_facts_writes_nothing(books, journal):
    books.write([], 1.0, AT)
    assert journal.frames == []


@pytest.mark.parametrize("error", [JournalFullError, JournalError])
def test_while_the_disk_takes_nothing_facts_wait_and_calls_are_refused(
    books, journal, error, caplog
):
    journal.error = error
    for number in range(3):
        books.write([Noted(f"n{number}", number)], 1.0, AT)
        assert not books.has_room()
    assert books.waiting == 3
    assert caplog.text.count("new calls get 503") == 1, "said once"
    journal.error = None
    books.write([Noted("n3", 3)], 2.0, AT)
    assert journal.frames == [[Noted(f"n{number}", number) for number in range(4)]]
    assert books.has_room()
    assert "has room again" in caplog.text


def test_facts_that_wait_are_written_by_a_drain_without_facts(books, journal):
    journal.error = JournalFullError
    books.write([Noted("a", 1)], 1.0, AT)
    journal.error = None
    books.write([], 2.0, AT)
    assert journal.frames == [[Noted("a", 1)]]


def test_no_room_for_the_next_segment_refuses_calls_before_the_disk_is_full(books, journal):
    assert books.has_room()
    journal.is_full = True
    books.write([Noted("a", 1)], 1.0, AT)
    assert not books.has_room()
    assert journal.frames == [[Noted("a", 1)]], "calls in progress go on"
    journal.is_full = False
    assert books.has_room()


def test_a_fact_that_cannot_be_written_takes_no_other_with_it(books, journal, caplog):
    journal.poison = {"bad"}
    books.write([Noted("a", 1), Noted("bad", 1), Noted("b", 1)], 1.0, AT)
    assert [fact.name for frame in journal.frames for fact in frame] == ["a", "b"]
    assert books.lost == 1
    assert "test/bad" in caplog.text
    assert books.has_room()
