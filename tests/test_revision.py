"""Copies of frozen records are what dataclasses.replace makes of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import msgspec
import pytest

from ccengine.revision import replace


@dataclass(frozen=True, slots=True)
class Slotted:
    name: str
    number: int = 0
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    first: int
    second: int

    def __post_init__(self) -> None:
        if self.first > self.second:
            raise ValueError("out of order")


@dataclass(frozen=True)
class Unslotted:
    name: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class Derived(Slotted):
    more: int = 1


@dataclass(frozen=True, slots=True)
class Computed:
    name: str
    length: int = field(init=False, default=3)


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (Slotted("a", 1, ("x",)), {"number": 2, "parts": ()}),
        (Slotted("a"), {}),
        (Unslotted("a"), {"number": 5}),
        (Derived("a", 2, ("y",), 3), {"name": "b", "more": 4}),
        (Checked(1, 2), {"second": 7}),
        (Computed("a"), {"name": "b"}),
    ],
)
def test_it_makes_what_dataclasses_makes(record, changes):
    before = dataclasses.replace(record)
    made = replace(record, **changes)
    assert made == dataclasses.replace(record, **changes)
    assert type(made) is type(record)
    assert record == before, "the old one stays as it is"


def test_the_copy_is_frozen_and_can_be_journalled():
    made = replace(Slotted("a"), number=9)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.number = 10
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(made), type=Slotted) == made
    assert hash(made) == hash(Slotted("a", 9))


def test_checks_of_a_record_are_run():
    with pytest.raises(ValueError, match="out of order"):
        replace(Checked(1, 2), first=3)


@pytest.mark.parametrize("record", [Slotted("a"), Unslotted("a")])
def test_an_unknown_field_is_an_error(record):
    with pytest.raises(TypeError, match="colour"):
        replace(record, colour="red")
