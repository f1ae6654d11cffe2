"""A SIP peer without manners: bytes out, bytes in, no transactions, no retransmission."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

from ccengine.ids import IdMaker, RandomIds
from ccengine.sip.digest_client import authorization, challenges_of
from ccengine.sip.message import SipResponse, parse_message

_MAX_DATAGRAM = 65_535
OFFER = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio 40000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


class RawSip:
    """One socket to a SIP server, UDP or TCP; a context manager.

    ``request`` writes a well-formed request whose every part can be replaced; ``exchange``
    sends one and returns the final response to it.
    """

    def __init__(
        self,
        server: tuple[str, int],
        *,
        transport: str = "UDP",
        host: str = "127.0.0.1",
        ids: IdMaker | None = None,
    ) -> None:
        self.server = server
        self.transport = transport
        self._ids = ids if ids is not None else RandomIds()
        kind = socket.SOCK_DGRAM if transport == "UDP" else socket.SOCK_STREAM
        self.socket = socket.socket(socket.AF_INET, kind)
        self.socket.bind((host, 0))
        self.socket.connect(server)
        self.host, self.port = self.socket.getsockname()[:2]
        self._received = b""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the socket."""
        self.socket.close()

    # --- messages --------------------------------------------------------------------------

    def request(
        self,
        method: str = "OPTIONS",
        user: str = "4001",
        *,
        caller: str = "1006",
        to: str = "",
        call_id: str = "",
        cseq: int = 1,
        headers: str = "",
        body: str = "",
        domain: str = "ccengine",
    ) -> bytes:
        """Return a request; ``headers`` are whole lines that are put before Content-Length."""
        branch = f"z9hG4bK{self._ids.make()}"
        target = f"sip:{user}@{domain}" if user else f"sip:{domain}"
        return (
            f"{method} {target} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.transport} {self.host}:{self.port};branch={branch};rport\r\n"
            f"Max-Forwards: 70\r\n"
            f"From: <sip:{caller}@{domain}>;tag={self._ids.make()}\r\n"
            f"To: {to or f'<{target}>'}\r\n"
            f"Call-ID: {call_id or self._ids.make()}\r\n"
            f"CSeq: {cseq} {method}\r\n"
            f"Contact: <sip:{caller}@{self.host}:{self.port};transport={self.transport.lower()}>"
            f"\r\n{headers}"
            f"Content-Length: {len(body.encode())}\r\n\r\n{body}"
        ).encode()

    def invite(self, user: str, *, caller: str = "1006", headers: str = "", cseq: int = 1) -> bytes:
        """Return an INVITE with an offer."""
        typed = f"Content-Type: application/sdp\r\n{headers}"
        body = OFFER.format(host=self.host)
        return self.request("INVITE", user, caller=caller, cseq=cseq, headers=typed, body=body)

    def register(self, user: str, *, headers: str = "", call_id: str = "", cseq: int = 1) -> bytes:
        """Return a REGISTER of ``user`` for five minutes."""
        return self.request(
            "REGISTER",
            "",
            caller=user,
            to=f"<sip:{user}@ccengine>",
            call_id=call_id,
            cseq=cseq,
            headers=f"Expires: 300\r\n{headers}",
        )

    @staticmethod
    def credentials(
        response: SipResponse, method: str, uri: str, user: str, password: str, nc: int = 1
    ) -> str:
        """Return the header line that answers the challenge of a 401 or 407."""
        name, challenges = challenges_of(response)
        value = authorization(challenges, method, uri, user, password, nc, "0a4f113b")
        assert value is not None, f"no challenge that can be answered in {response}"
        return f"{name}: {value}\r\n"

    # --- the wire --------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def receive(self, timeout_s: float = 5.0) -> SipResponse | None:
        """Return the next response, nothing when none comes in time or the peer has closed."""
        self.socket.settimeout(timeout_s)
        try:
            data = self.socket.recv(_MAX_DATAGRAM) if self.transport == "UDP" else self._cut()
        except (TimeoutError, ConnectionError):
            return None
        message = parse_message(data) if data else None
        assert message is None or isinstance(message, SipResponse), f"a request came: {data!r}"
        return message

    def _cut(self) -> bytes:
        """Return one message of the stream; responses to these requests have no body here."""
        while b"\r\n\r\n" not in self._received:
            data = self.socket.recv(_MAX_DATAGRAM)
            if not data:
                return b""
            self._received += data
        head, end, self._received = self._received.partition(b"\r\n\r\n")
        return head + end

    def exchange(self, data: bytes, timeout_s: float = 5.0) -> SipResponse:
        """Send a request and return its final response; an INVITE's refusal is acknowledged."""
        self.send(data)
        call_id = data.partition(b"\r\nCall-ID: ")[2].partition(b"\r\n")[0].decode()
        while True:
            response = self.receive(timeout_s)
            assert response is not None, f"no answer to {data[:60]!r} in {timeout_s:g} s"
            # Answers to what was sent before may be repeated still.
            if response.status >= 200 and response.call_id == call_id:
                break
        if data.startswith(b"INVITE "):
            self.send(_ack(data, response))
        return response

    def is_closed(self, timeout_s: float) -> bool:
        """Return whether the peer closes the connection in time."""
        self.socket.settimeout(timeout_s)
        try:
            while self.socket.recv(_MAX_DATAGRAM):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True


def _ack(invite: bytes, response: SipResponse) -> bytes:
    """Return the ACK of a refusal: of the INVITE's transaction, with the To of the response."""
    request = parse_message(invite)
    lines = [invite.split(b"\r\n", 1)[0].decode().replace("INVITE", "ACK", 1)]
    for name in ("Via", "From", "Call-ID"):
        lines.append(f"{name}: {request.header(name)}")
    lines += [f"To: {response.header('To')}", f"CSeq: {request.cseq.number} ACK"]
    lines += ["Max-Forwards: 70", "Content-Length: 0", "", ""]
    return "\r\n".join(lines).encode()
