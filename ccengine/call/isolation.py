"""A flaw of ours in the work for one call ends that call and no other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from ccengine.call.context import CallContext
from ccengine.call.ender import Ender
from ccengine.call.media_desk import MediaDesk
from ccengine.call.record import CallRecord
from ccengine.clock import Moment

_logger = logging.getLogger(__name__)


class Isolation:
    """Catches what should never be raised, so that thousands of calls outlive one mistake.

    State changes by facts alone, so what was stated before the exception is consistent; the
    call is then ended in order, or taken away piece by piece when that fails as well.
    """

    def __init__(self, context: CallContext, desk: MediaDesk, ender: Ender) -> None:
        self._context = context
        self._desk = desk
        self._ender = ender

    def run(
        self, call_id: str, when: Moment, deed: Callable[..., object], *arguments: object
    ) -> None:
        """Do something for one call; an empty ``call_id`` means that there is no call yet."""
        try:
            deed(*arguments)
        except Exception:
            _logger.exception("a flaw in call %s", call_id or "(none)")
            self._end(call_id, when)

    def _end(self, call_id: str, when: Moment) -> None:
        self._context.counters.flaws += 1
        call = self._context.call(call_id)
        if call is None:
            return
        try:
            self._ender.end_call(call, "failure", "system", when)
        except Exception:
            _logger.exception("call %s cannot be ended in order: it is abandoned", call_id)
            self._abandon(self._context.call(call_id) or call, when)

    def _abandon(self, call: CallRecord, when: Moment) -> None:
        sip, media, state = self._context.sip, self._context.media, self._context.state
        deeds: list[Callable[[], object]] = [
            partial(self._desk.unbridge, call),
            partial(media.drop, call.call_id),
        ]
        for leg in tuple(state.legs.values()):
            if leg.call_id == call.call_id:
                deeds.append(partial(sip.bye, leg.leg_id, when.now))
                deeds.append(partial(self._ender.close, leg, "failure", when))
        deeds.append(partial(self._ender.book, call, "failure", "system", when))
        for deed in deeds:
            try:
                deed()
            except Exception:
                _logger.exception("call %s: a part of it cannot be taken away", call.call_id)
