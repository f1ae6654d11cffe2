"""Deposits: shared out by name, replaced, paged, and all closed in the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ccengine.errors import KeeperError
from ccengine.keeper.deposit import Deposits


def opened(count: int) -> list[int]:
    return [os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC) for _ in range(count)]


def open_count() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_names_are_replaced_and_dropped_without_leaks() -> None:
    before = open_count()
    deposits = Deposits()
    fds = opened(3)
    deposits.put([("a", 2), ("b", 1)], fds)
    assert deposits.page("", "") == ([("a", 2), ("b", 1)], fds, False)
    assert deposits.page("b", "") == ([("b", 1)], fds[2:], False)
    again = opened(1)
    deposits.put([("a", 1)], again)
    assert deposits.page("a", "") == ([("a", 1)], again, False)
    assert deposits.counts() == (2, 2)
    deposits.drop(["a", "nobody"])
    assert deposits.counts() == (1, 1)
    deposits.close()
    assert open_count() == before


@pytest.mark.parametrize(
    "sizes", [[("a", 1)], [("a", 3)], [("a", 2), ("b", 0)], [("x" * 201, 2)], []]
)
def test_numbers_and_names_that_do_not_fit_are_refused(sizes: list[tuple[str, int]]) -> None:
    deposits = Deposits()
    fds = opened(2)
    with pytest.raises(KeeperError):
        deposits.put(sizes, fds)
    assert deposits.counts() == (0, 0)
    for fd in fds:
        os.close(fd)  # still the caller's


def test_pages_end_before_a_message_is_full() -> None:
    deposits = Deposits()
    for number in range(200):
        deposits.put([(f"{number:03d}" + "n" * 190, 2)], opened(2))
    seen: list[str] = []
    more, after = True, ""
    while more:
        sizes, fds, more = deposits.page("", after)
        assert 0 < len(fds) == 2 * len(sizes) <= 253
        assert sum(len(name) for name, _ in sizes) < 33_000
        seen += [name[:3] for name, _ in sizes]
        after = sizes[-1][0]
    assert seen == [f"{number:03d}" for number in range(200)]
    deposits.close()
