"""Requests outside calls: REGISTER with digest, OPTIONS, and what nobody asked for."""

from __future__ import annotations

from ccengine.call.context import CallContext
from ccengine.call.stranded import Stranded
from ccengine.clock import Moment
from ccengine.errors import SipError
from ccengine.sip.digest import CredentialStore, DigestAuthenticator
from ccengine.sip.message import SipRequest, response_to
from ccengine.sip.output import RequestReceived
from ccengine.sip.registrar import Registrar
from ccengine.sip.uri import SipUri


class Reception:
    """Answers requests that belong to no call."""

    def __init__(
        self,
        context: CallContext,
        registrar: Registrar,
        stranded: Stranded,
        *,
        authenticator: DigestAuthenticator,
        credentials: CredentialStore,
    ) -> None:
        self._context = context
        self._registrar = registrar
        self._stranded = stranded
        self._authenticator = authenticator
        self._credentials = credentials

    def received(self, output: RequestReceived, when: Moment) -> None:
        """Answer one request."""
        sip, request = self._context.sip, output.request
        match request.method:
            case "REGISTER" if not output.session:
                self._register(output, when)
            case "OPTIONS":
                busy = not self._context.accepting and not output.session
                headers = (("Accept", "application/sdp"), ("Accept-Language", "zh, en"))
                sip.respond(output.tx, 503 if busy else 200, when.now, headers=headers)
            case "INFO" if output.session:
                sip.respond(output.tx, 200 if not request.body else 415, when.now)
            case _:
                sip.respond(output.tx, 405, when.now)

    def _register(self, output: RequestReceived, when: Moment) -> None:
        sip, request = self._context.sip, output.request
        verdict = self._authenticator.verify(request, self._credentials, when.now)
        if verdict.outcome == "wrong":
            self._context.counters.unauthorized += 1
            sip.respond(output.tx, 403, when.now)
            return
        if not verdict.is_ok:
            stale = verdict.outcome == "stale"
            headers = self._authenticator.challenge(request, when.now, stale=stale)
            sip.respond(output.tx, 401, when.now, headers=tuple(headers))
            return
        user = _address_of_record_user(request)
        if user != verdict.username:
            # One's own password does not register somebody else's number.
            sip.respond_with(output.tx, response_to(request, 403), when.now)
            return
        self._context.counters.registrations += 1
        aor = f"{user}@{self._context.settings.domain}"
        response = self._registrar.register(request, aor, output.flow, when.now, when.at)
        sip.respond_with(output.tx, response, when.now)
        if output.flow.connection and response.status == 200:
            self._stranded.registered(user, output.flow)


def _address_of_record_user(request: SipRequest) -> str:
    try:
        uri = request.to.uri
    except SipError:
        return ""
    return uri.user or "" if isinstance(uri, SipUri) else ""
