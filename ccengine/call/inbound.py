"""Calls that come in: who calls, which number, and whether we can take it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from ccengine.call.context import CallContext
from ccengine.call.ender import Ender
from ccengine.call.media_desk import MediaDesk
from ccengine.call.record import CallRecord, LegRecord
from ccengine.clock import Moment
from ccengine.errors import SdpError, SipError
from ccengine.events import CallStarted
from ccengine.ports import CallArrived, Party
from ccengine.sip.digest import CredentialStore, DigestAuthenticator
from ccengine.sip.flow import Flow
from ccengine.sip.message import SipRequest
from ccengine.sip.output import InviteReceived
from ccengine.sip.uri import SipUri


class Inbound:
    """Turns an INVITE into a call, or refuses it with the right status."""

    def __init__(
        self,
        context: CallContext,
        desk: MediaDesk,
        ender: Ender,
        *,
        authenticator: DigestAuthenticator,
        credentials: CredentialStore,
    ) -> None:
        self._context = context
        self._desk = desk
        self._ender = ender
        self._authenticator = authenticator
        self._credentials = credentials
        self._trusted = tuple(ip_network(text) for text in context.settings.trusted)

    def invited(self, output: InviteReceived, when: Moment) -> None:
        """A new INVITE: authenticate, route, negotiate, and announce the call."""
        self._context.counters.arrived += 1
        request, session = output.request, output.session
        if not self._context.accepting or not self._context.media.attached():
            self._refuse(session, 503, when, retry=True)
            return
        extension = ""
        if not self._is_trusted(output.flow):
            extension = self._authenticated(request, session, when)
            if not extension:
                return
        number = _dialled(request)
        route = self._context.router.route(number) if number else None
        if route is None:
            self._refuse(session, 404, when)
            return
        # The other party's phone must not ring for a caller who will have no port.
        if self._context.media.free_ports() < (2 if route.kind == "extension" else 1):
            self._refuse(session, 503, when, retry=True)
            return
        sdp = None
        if request.body:
            try:
                sdp = self._desk.negotiation().receive_offer(request.body)
            except SdpError:
                self._refuse(session, 488, when)
                return
        caller = self._caller(request, extension)
        call_id = self._context.ids.make("c")
        leg = LegRecord(
            leg_id=session,
            call_id=call_id,
            role="caller",
            party=caller,
            flow=output.flow,
            state="trying",
            started=when.now,
            started_at=when.at,
            extension=extension,
            sdp=sdp,
        )
        call = CallRecord(
            call_id=call_id,
            number=number,
            caller=caller,
            caller_leg=session,
            started=when.now,
            started_at=when.at,
            extension=extension,
            direct=route.kind == "extension",
        )
        self._context.put_leg(leg)
        self._context.put_call(call)
        self._context.notices.append(
            CallStarted(call_id, when.at, number, caller.number, caller.name)
        )
        self._context.tell(CallArrived(call_id, number, caller, extension))

    def _refuse(self, session: str, status: int, when: Moment, *, retry: bool = False) -> None:
        self._context.counters.refused += 1
        headers: tuple[tuple[str, str], ...] = ()
        if retry:
            headers = (("Retry-After", str(self._context.settings.retry_after_s)),)
        self._context.sip.reject(session, status, when.now, headers=headers)

    def _is_trusted(self, flow: Flow) -> bool:
        if not self._trusted:
            return False
        try:
            source = ip_address(flow.remote[0])
        except ValueError:
            return False
        return any(source in network for network in self._trusted)

    def _authenticated(self, request: SipRequest, session: str, when: Moment) -> str:
        """Return the caller's extension; otherwise a challenge or refusal is on its way."""
        verdict = self._authenticator.verify(request, self._credentials, when.now, proxy=True)
        if verdict.is_ok:
            return verdict.username
        self._context.counters.unauthorized += 1
        if verdict.outcome == "wrong":
            self._refuse(session, 403, when)
            return ""
        headers = self._authenticator.challenge(
            request, when.now, proxy=True, stale=verdict.outcome == "stale"
        )
        self._context.sip.reject(session, 407, when.now, headers=tuple(headers))
        return ""

    def _caller(self, request: SipRequest, extension: str) -> Party:
        """Return the caller as told; our own phones cannot claim another number."""
        address = request.from_
        if extension:
            known = self._context.settings.extensions.get(extension)
            name = known.name if known is not None else ""
            return Party(extension, name or address.display_name)
        uri = address.uri
        number = uri.user if isinstance(uri, SipUri) else ""
        return Party(number or "anonymous", address.display_name)


def _dialled(request: SipRequest) -> str:
    """Return the user part of the Request-URI, unescaped; empty when there is none."""
    try:
        return request.request_uri.user or ""
    except SipError:
        return ""
