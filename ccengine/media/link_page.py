"""Turns what is to be said to a worker into messages that fit the control socket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from ccengine.media.control import MAX_MESSAGE_BYTES, Drops, Want, Wants

# Room in a message for its own envelope around the objects.
_PAGE_BYTES = MAX_MESSAGE_BYTES - 64


def pages(queue: Sequence[Want | str]) -> Iterator[Wants | Drops]:
    """Yield wants and drops (their keys) in order, as many in a message as it holds."""
    page: list[Want | str] = []
    size = 0
    for item in queue:
        cost = len(item.encode()) + 5 if isinstance(item, str) else _size(item)
        if page and (size + cost > _PAGE_BYTES or isinstance(item, str) != _is_drop(page)):
            yield _message(page)
            page, size = [], 0
        page.append(item)
        size += cost
    if page:
        yield _message(page)


def _message(page: list[Want | str]) -> Wants | Drops:
    drops = tuple(item for item in page if isinstance(item, str))
    if drops:
        return Drops(drops)
    return Wants(tuple(item for item in page if not isinstance(item, str)))


def _is_drop(page: list[Want | str]) -> bool:
    return isinstance(page[-1], str)


def _size(want: Want) -> int:
    return len(msgspec.msgpack.encode(want))
