"""Many phones in one process: one SIP socket, one endpoint, one pacing loop."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from ccengine.clock import Clock, SystemClock
from ccengine.errors import SdpError
from ccengine.ids import IdMaker, RandomIds
from ccengine.net import ListenerSettings, NetLayer, NetSettings
from ccengine.phone.call import NOT_ACCEPTABLE_HERE, PhoneCall
from ccengine.phone.pacer import Pacer
from ccengine.phone.phone import Phone
from ccengine.phone.settings import Answer, Behaviour, FarmSettings, Vanish
from ccengine.phone.sound import Sound
from ccengine.phone.waiting import Waiting
from ccengine.sip.endpoint import SipEndpoint
from ccengine.sip.flow import Flow
from ccengine.sip.message import SipResponse
from ccengine.sip.output import (
    Accepted,
    AckMissing,
    AckReceived,
    InviteCancelled,
    InviteReceived,
    OutgoingInvite,
    OutgoingRequest,
    Provisional,
    ReinviteReceived,
    Rejected,
    RequestReceived,
    ResponseReceived,
    SessionEnded,
    SipOutput,
    Transmit,
)
from ccengine.sip.settings import EndpointSettings

_LISTENER = "phones"
_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.I | re.M)
_REQUEST_USER = re.compile(rb"^[A-Z]+ sips?:([^@ ]*)@")
NOT_FOUND = 404


class PhoneFarm:
    """Owns the socket, the endpoint and the pacer of its phones; an async context manager.

    ::

        async with PhoneFarm(FarmSettings(registrar=("127.0.0.1", 5060))) as farm:
            alice = farm.phone("101", "secret", sound=Sound.tone(440))
            await alice.register()
            call = await alice.dial("600").answered()
            call.send_digits("1")
            await call.ended()
    """

    def __init__(
        self,
        settings: FarmSettings,
        *,
        clock: Clock | None = None,
        ids: IdMaker | None = None,
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.ids: IdMaker = ids if ids is not None else RandomIds()
        self.pacer = Pacer(self.clock)
        self.phones: dict[str, Phone] = {}
        self.refresh_failures = 0
        self.domain = settings.domain or settings.registrar[0]
        self.flow = Flow(settings.transport, _LISTENER, settings.registrar)
        listener = ListenerSettings(_LISTENER, settings.transport, settings.host, settings.port)
        self.net = NetLayer(NetSettings((listener,)), self._message, self._flow_failed)
        self._facts: list[Any] = []
        self.endpoint = SipEndpoint(
            settings=EndpointSettings(t1_s=settings.t1_s, user_agent=settings.user_agent),
            ids=self.ids,
            facts=self._facts,
            local_address=self.net.local_address,
        )
        self._calls: dict[str, PhoneCall] = {}
        self._requests: dict[str, asyncio.Future[ResponseReceived]] = {}
        self._silenced: set[bytes] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._is_draining = False
        self._emptied = Waiting()
        self._dialling: PhoneCall | None = None

    # --- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the socket."""
        await self.net.start()

    async def close(self, linger_s: float = 1.0) -> None:
        """Hang up everything, wait up to ``linger_s`` for the answers, close the sockets."""
        for phone in self.phones.values():
            phone.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._emptied.until(lambda: not self._calls, linger_s)
        for call in list(self._calls.values()):
            call.finish("gone")
        self._calls.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.pacer.close()
        await self.net.close()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside; it is cancelled when the farm closes."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def address(self) -> tuple[str, int]:
        """Return where the phones take SIP."""
        return self.net.local_address(self.flow)

    @property
    def call_count(self) -> int:
        """Return how many calls the endpoint has not forgotten."""
        return len(self._calls)

    def phone(
        self,
        user: str,
        password: str = "",
        *,
        name: str = "",
        behaviour: Behaviour | None = None,
        sound: Sound | None = None,
        keep_audio: bool = False,
    ) -> Phone:
        """Return a new phone; several may share a user, each with a Contact of its own."""
        contact_user = user
        number = 1
        while contact_user in self.phones:
            number += 1
            contact_user = f"{user}-{number}"
        phone = Phone(
            self,
            user,
            password,
            contact_user,
            name=name,
            behaviour=behaviour if behaviour is not None else Answer(),
            sound=sound,
            keep_audio=keep_audio,
        )
        self.phones[contact_user] = phone
        return phone

    # --- what phones and calls ask ------------------------------------------------------------

    def start_call(self, call: PhoneCall, command: OutgoingInvite) -> None:
        """Send the INVITE of a call."""
        self._calls[call.session] = call
        self.endpoint.invite(call.session, command, self.clock.now())
        self._dialling = call
        self._drain()
        self._dialling = None

    def command(self, name: str, session: str, *arguments: Any, body: bytes | None = None) -> None:
        """Give the endpoint a command for a session and carry out what follows."""
        extra = {} if body is None else {"body": body}
        now = self.clock.now()
        getattr(self.endpoint, name)(session, *arguments, now, **extra)
        self._drain()

    async def request(
        self, command: OutgoingRequest, timeout_s: float
    ) -> tuple[int, SipResponse | None]:
        """Send a request outside of calls; return status and response, 408 without one."""
        tx = self.ids.make("tx-")
        answer: asyncio.Future[ResponseReceived] = asyncio.get_running_loop().create_future()
        self._requests[tx] = answer
        try:
            self.endpoint.request(tx, command, self.clock.now())
            self._drain()
            async with asyncio.timeout(timeout_s):
                output = await answer
        except TimeoutError:
            return 408, None
        finally:
            self._requests.pop(tx, None)
        return output.status, output.response

    def forget(self, call: PhoneCall, cause: str) -> None:
        """End a call here; what the endpoint still tells of it is not heard any more."""
        self._calls.pop(call.session, None)
        if call in call.phone.calls:
            call.phone.calls.remove(call)
        call.finish(cause)
        self._emptied.notify()

    def silence(self, sip_call_id: str) -> None:
        """Let nothing of this Call-ID in or out any more."""
        if sip_call_id:
            self._silenced.add(sip_call_id.encode())

    # --- the network -----------------------------------------------------------------------------

    def _message(self, data: bytes, flow: Flow) -> None:
        if self._is_deaf_to(data):
            return
        self.endpoint.receive(data, flow, self.clock.now())
        self._drain()

    def _is_deaf_to(self, data: bytes) -> bool:
        if self._silenced and self._is_silenced(data):
            return True
        match = _REQUEST_USER.match(data)
        if match is None:
            return False
        phone = self.phones.get(unquote(match[1].decode("utf-8", "replace")))
        if phone is None:
            return False
        if data.startswith(b"INVITE ") and phone.behaviour == Vanish():
            phone.vanish()  # before the endpoint says 100
        return phone.is_vanished

    def _is_silenced(self, data: bytes) -> bool:
        match = _CALL_ID.search(data)
        return match is not None and match[1] in self._silenced

    def _flow_failed(self, flow: Flow, reason: str) -> None:
        del reason
        self.endpoint.flow_failed(flow, self.clock.now())
        self._drain()

    def _drain(self) -> None:
        """Carry out what the endpoint wants until it wants nothing more."""
        if self._is_draining:  # the drain further up goes on with what came now
            return
        self._is_draining = True
        try:
            while outputs := self.endpoint.poll():
                for output in outputs:
                    self._carry_out(output)
        finally:
            self._is_draining = False
        self._facts.clear()  # phones keep no journal
        self._arm()

    def _arm(self) -> None:
        due = self.endpoint.next_timeout()
        if self._timer is not None:
            if due is not None and self._timer_due <= due:
                return  # an early call does no harm
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer_due = due
            wait = max(0.0, due - self.clock.now())
            self._timer = asyncio.get_running_loop().call_later(wait, self._timeout)

    def _timeout(self) -> None:
        self._timer = None
        self.endpoint.handle_timeout(self.clock.now())
        self._drain()

    # --- what the endpoint tells ---------------------------------------------------------------

    def _carry_out(self, output: SipOutput) -> None:
        match output:
            case Transmit():
                self._transmit(output)
            case InviteReceived():
                self._invited(output)
            case RequestReceived():
                self._requested(output)
            case ResponseReceived():
                answer = self._requests.get(output.tx)
                if answer is not None and not answer.done():
                    answer.set_result(output)
            case _:
                call = self._calls.get(output.session)
                if call is not None:
                    self._tell(call, output)

    def _transmit(self, output: Transmit) -> None:
        call = self._dialling
        if call is not None and not call.sip_call_id:
            match = _CALL_ID.search(output.data)
            call.sip_call_id = match[1].decode() if match is not None else ""
        if not (self._silenced and self._is_silenced(output.data)):
            self.net.send(output.data, output.flow)

    def _tell(self, call: PhoneCall, output: SipOutput) -> None:
        match output:
            case Provisional():
                self._provisional(call, output)
            case Accepted():
                call.accepted(output.response)
            case Rejected(is_reinvite=True):
                call.reinvite_rejected()
            case Rejected():
                call.status = output.status
                call.response = output.response
                self.forget(call, "cancelled" if output.status == 487 else "rejected")
            case InviteCancelled(is_reinvite=False):
                self.forget(call, "cancelled")
            case ReinviteReceived():
                call.reinvited(output.request)
            case AckReceived():
                call.acknowledged(output.request)
            case AckMissing():
                call.hang_up()
            case SessionEnded():
                self.forget(call, "hung_up" if output.reason == "done" else output.reason)

    def _provisional(self, call: PhoneCall, output: Provisional) -> None:
        try:
            call.provisional(output.response)
        except SdpError:  # early media that cannot be understood is not heard
            return

    def _invited(self, output: InviteReceived) -> None:
        request = output.request
        phone = self.phones.get(request.request_uri.user)
        if phone is None:
            self.endpoint.reject(output.session, NOT_FOUND, self.clock.now())
            return
        number = request.from_.uri.user
        call = PhoneCall(phone, output.session, number, incoming=True)
        self._calls[output.session] = call
        try:
            phone.receive_call(call, request)
        except SdpError:
            call.reject(NOT_ACCEPTABLE_HERE)

    def _requested(self, output: RequestReceived) -> None:
        is_known = output.request.method in {"OPTIONS", "INFO", "MESSAGE", "NOTIFY"}
        self.endpoint.respond(output.tx, 200 if is_known else 501, self.clock.now())
