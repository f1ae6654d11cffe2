"""Legs whose stream connection is gone: how they find their phone again.

A dialog outlives the connection that it came by (:rfc:`5626`).  A phone that is where its
Contact says is reached by a new connection to that address (:rfc:`3261` section 18.1.1); one
behind an address translation is reached once it has registered anew.
"""

from __future__ import annotations

from ccengine.call.context import CallContext
from ccengine.call.record import LegRecord
from ccengine.errors import SipError
from ccengine.revision import replace
from ccengine.sip.flow import Flow
from ccengine.sip.uri import SipUri

SIP_PORT = 5060


class Stranded:
    """Keeps the legs that wait for a new flow; rebuilt from the legs after a replay."""

    def __init__(self, context: CallContext) -> None:
        self._context = context
        self._legs: set[str] = set()

    def resume(self) -> None:
        """After a replay: every stream died with the process that held it."""
        for leg in tuple(self._context.state.legs.values()):
            if leg.flow.connection:
                self._strand(leg)

    def flow_failed(self, flow: Flow) -> None:
        """A connection is gone."""
        for leg in tuple(self._context.state.legs.values()):
            if leg.flow == flow:
                self._strand(leg)

    def _strand(self, leg: LegRecord) -> None:
        if self._context.sip.dialog(leg.leg_id) is None:
            return  # not established: its transaction decides
        self._legs.add(leg.leg_id)
        again = self._dialled_anew(leg)
        if again is not None:
            self._context.sip.move_session(leg.leg_id, again)

    def _dialled_anew(self, leg: LegRecord) -> Flow | None:
        dialog = self._context.sip.dialog(leg.leg_id)
        try:
            target = SipUri.parse(dialog.remote_target) if dialog is not None else None
        except SipError:
            return None
        host = leg.flow.remote[0]
        if target is None or target.host.strip("[]") != host:
            return None
        return Flow(leg.flow.transport, leg.flow.listener, (host, target.port or SIP_PORT))

    def registered(self, extension: str, flow: Flow) -> None:
        """A phone registered: the legs that lost it at that address go on by this flow."""
        for leg_id in tuple(self._legs):
            leg = self._context.leg(leg_id)
            if leg is None:
                self._legs.discard(leg_id)
            elif leg.extension == extension and leg.flow.remote[0] == flow.remote[0]:
                self._legs.discard(leg_id)
                self._context.sip.move_session(leg_id, flow)
                self._context.put_leg(replace(leg, flow=flow))
