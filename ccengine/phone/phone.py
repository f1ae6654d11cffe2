"""A phone: an address-of-record, its registration, and its calls."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from ccengine.errors import CallError
from ccengine.phone.call import PhoneCall
from ccengine.phone.settings import Answer, Behaviour, Manual, Reject, Vanish
from ccengine.phone.sound import Sound
from ccengine.sip.message import SipRequest, SipResponse
from ccengine.sip.output import Credentials, OutgoingInvite, OutgoingRequest
from ccengine.sip.uri import SipUri

if TYPE_CHECKING:
    from ccengine.phone.farm import PhoneFarm

_REFRESH_AT = 0.75
_SHORTEST_REFRESH_S = 1.0


class Phone:
    """One phone of a farm; made by :meth:`PhoneFarm.phone`.

    ``behaviour`` is what it does when called, ``sound`` what it says from the beginning of
    each call, ``keep_audio`` whether calls keep what they hear (else only the books).
    ``contact_user`` is the user part of its Contact and unlike that of every other phone of
    the farm.
    """

    def __init__(
        self,
        farm: PhoneFarm,
        user: str,
        password: str,
        contact_user: str,
        *,
        name: str = "",
        behaviour: Behaviour,
        sound: Sound | None = None,
        keep_audio: bool = False,
    ) -> None:
        self.farm = farm
        self.user = user
        self.contact_user = contact_user
        self.name = name
        self.behaviour = behaviour
        self.sound = sound if sound is not None else Sound.silence()
        self.keep_audio = keep_audio
        self.is_vanished = False
        self.calls: list[PhoneCall] = []
        self._credentials = Credentials(user, password) if password else None
        self._new_calls: asyncio.Queue[PhoneCall] = asyncio.Queue()
        self._register_id = farm.ids.make("reg-")
        self._register_cseq = 0
        self._expires_s = 0
        self._refresh: asyncio.TimerHandle | None = None

    # --- registration ------------------------------------------------------------------------

    @property
    def aor(self) -> str:
        """Return the address-of-record."""
        return self._uri_of(self.user)

    def _uri_of(self, user: str) -> str:
        # Feature codes hold characters that a URI escapes, such as #.
        return str(replace(SipUri.parse(f"sip:{self.farm.domain}"), user=user))

    async def register(self, expires_s: int = 300, timeout_s: float = 10.0) -> SipResponse:
        """Register and stay registered; return the 200.

        Raises:
            CallError: the registrar refuses or does not answer.

        """
        self._expires_s = expires_s
        response = await self._send_register(expires_s, timeout_s)
        self._plan_refresh()
        return response

    async def unregister(self, timeout_s: float = 10.0) -> None:
        """Take the registration back."""
        self._stop_refresh()
        await self._send_register(0, timeout_s)

    async def _send_register(self, expires_s: int, timeout_s: float) -> SipResponse:
        # Two numbers each: the endpoint repeats a challenged request with the next one.
        self._register_cseq += 2
        command = OutgoingRequest(
            "REGISTER",
            f"sip:{self.farm.domain}",
            self.farm.flow,
            f"<{self.aor}>",
            f"<{self.aor}>",
            headers=(("Expires", str(expires_s)),),
            contact_user=self.contact_user,
            credentials=self._credentials,
            call_id=self._register_id,
            cseq=self._register_cseq,
        )
        status, response = await self.farm.request(command, timeout_s)
        if status != 200 or response is None:
            raise CallError(f"{self.user}: REGISTER got {status}")
        return response

    def _plan_refresh(self) -> None:
        self._stop_refresh()
        wait = max(_SHORTEST_REFRESH_S, self._expires_s * _REFRESH_AT)
        loop = asyncio.get_running_loop()
        self._refresh = loop.call_later(wait, lambda: self.farm.spawn(self._refresh_once()))

    async def _refresh_once(self) -> None:
        try:
            await self._send_register(self._expires_s, 40.0)
        except CallError:
            self.farm.refresh_failures += 1
        if not self.is_vanished and self._refresh is not None:
            self._plan_refresh()

    def _stop_refresh(self) -> None:
        if self._refresh is not None:
            self._refresh.cancel()
            self._refresh = None

    # --- calls ------------------------------------------------------------------------------------

    def dial(self, number: str) -> PhoneCall:
        """Call a number (or a SIP URI); wait for what comes with the call's methods."""
        uri = number if number.startswith("sip:") else self._uri_of(number)
        session = self.farm.ids.make("call-")
        call = PhoneCall(self, session, number, incoming=False)
        self.calls.append(call)
        name = f'"{self.name}" ' if self.name else ""
        command = OutgoingInvite(
            uri,
            self.farm.flow,
            f"{name}<{self.aor}>",
            f"<{uri}>",
            body=call.make_offer(),
            contact_user=self.contact_user,
            credentials=self._credentials,
        )
        self.farm.start_call(call, command)
        return call

    async def next_call(self, timeout_s: float = 20.0) -> PhoneCall:
        """Wait for the next call that comes in."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._new_calls.get()
        except TimeoutError:
            raise CallError(f"{self.user}: no call in {timeout_s:g} s") from None

    def receive_call(self, call: PhoneCall, request: SipRequest) -> None:
        """Do with a new call what :attr:`behaviour` says (the farm's call)."""
        self.calls.append(call)
        call.offered(request)
        self._new_calls.put_nowait(call)
        behaviour = self.behaviour
        loop = asyncio.get_running_loop()
        if isinstance(behaviour, Reject) and not behaviour.after_s:
            call.reject(behaviour.status)
        elif not isinstance(behaviour, Manual):
            call.ring()
        if isinstance(behaviour, Answer):
            if behaviour.after_s:
                loop.call_later(behaviour.after_s, call.answer)
            else:
                call.answer()
        elif isinstance(behaviour, Reject) and behaviour.after_s:
            loop.call_later(behaviour.after_s, call.reject, behaviour.status)
        elif isinstance(behaviour, Vanish) and behaviour.after_s:
            loop.call_later(behaviour.after_s, self.vanish)

    def vanish(self) -> None:
        """Be gone, as if the power failed; the registration lives on until it expires."""
        self.is_vanished = True
        self._stop_refresh()
        for call in list(self.calls):
            call.vanish()

    def close(self) -> None:
        """Stop refreshing and hang up; the registration is left to expire."""
        self._stop_refresh()
        for call in list(self.calls):
            call.hang_up()
