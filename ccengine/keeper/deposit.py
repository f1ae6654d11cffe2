"""Descriptors that outlive the process that opened them."""

from __future__ import annotations

from collections.abc import Sequence

from ccengine.errors import KeeperError
from ccengine.keeper.wire import MAX_FDS, close_all

_PAGE_NAME_BYTES = 32 << 10
_MAX_NAME_BYTES = 200


class Deposits:
    """Open descriptors by name; a name holds one or more of them, in order."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, ...]] = {}

    def put(self, sizes: Sequence[tuple[str, int]], fds: Sequence[int]) -> None:
        """Keep ``fds``, shared out by ``sizes`` (name, number); replaces what a name held.

        Raises :class:`KeeperError` when the numbers do not add up; the caller still owns
        ``fds`` then.
        """
        if any(size < 1 for _, size in sizes) or sum(size for _, size in sizes) != len(fds):
            raise KeeperError(f"{len(fds)} descriptors came for {list(sizes)}")
        if any(len(name.encode("utf-8")) > _MAX_NAME_BYTES for name, _ in sizes):
            raise KeeperError(f"a name is longer than {_MAX_NAME_BYTES} bytes")
        start = 0
        for name, size in sizes:
            close_all(self._held.pop(name, ()))
            self._held[name] = tuple(fds[start : start + size])
            start += size

    def page(self, prefix: str, after: str) -> tuple[list[tuple[str, int]], list[int], bool]:
        """Return names with sizes, their descriptors and whether there are more.

        Names begin with ``prefix`` and sort behind ``after``; a page fits one message.
        """
        sizes: list[tuple[str, int]] = []
        fds: list[int] = []
        room = _PAGE_NAME_BYTES
        for name in sorted(name for name in self._held if name.startswith(prefix)):
            if name <= after:
                continue
            held = self._held[name]
            room -= len(name.encode("utf-8")) + 16
            if len(fds) + len(held) > MAX_FDS or room < 0:
                return sizes, fds, True
            sizes.append((name, len(held)))
            fds += held
        return sizes, fds, False

    def drop(self, names: Sequence[str]) -> None:
        """Close what the names hold; unknown names are ignored."""
        for name in names:
            close_all(self._held.pop(name, ()))

    def counts(self) -> tuple[int, int]:
        """Return how many names and descriptors are held."""
        return len(self._held), sum(len(held) for held in self._held.values())

    def close(self) -> None:
        """Close everything."""
        self.drop(tuple(self._held))
