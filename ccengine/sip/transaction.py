"""Transactions: the engine that runs the tables of :mod:`ccengine.sip.transaction_table`.

One object is made for each transaction and lives up to 64*T1 after its end, so it keeps only
the bytes that may have to be sent again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from ccengine.sip import transaction_table as names
from ccengine.sip.composer import response_text
from ccengine.sip.counter import SipCounters
from ccengine.sip.flow import Flow
from ccengine.sip.message import SipRequest, SipResponse
from ccengine.sip.output import SipOutput, Transmit
from ccengine.sip.settings import EndpointSettings
from ccengine.sip.text import encode_text
from ccengine.sip.timer import Timer, TimerQueue
from ccengine.sip.transition import INITIAL, TERMINATED, CompiledTable, compile_table

TIMED_OUT = 408
TRANSPORT_FAILED = 503


class ClientUser:
    """Whoever waits for the answers to a request of ours."""

    __slots__ = ()

    def on_response(self, tx: ClientTransaction, response: SipResponse, now: float, /) -> None:
        """Take a response; for INVITE every 2xx comes up, also repeated ones."""
        raise NotImplementedError

    def on_failure(self, tx: ClientTransaction, status: int, now: float, /) -> None:
        """Take the end without answer: 408 after a timeout, 503 when the transport failed."""
        raise NotImplementedError

    def failure_ack(self, response: SipResponse) -> bytes:
        """Return the ACK for a 300-699 response to an INVITE (17.1.1.3)."""
        raise NotImplementedError


class ServerUser(Protocol):
    """Whoever answers an INVITE."""

    def on_lost(self, tx: ServerTransaction) -> None:
        """Take the news that the flow of an unanswered INVITE is gone."""


class Transaction:
    """What client and server transactions share."""

    __slots__ = ("expiry", "flow", "interval", "key", "repeat", "state", "table", "wire")

    def __init__(self, key: str, flow: Flow, table: _Compiled, wire: bytes) -> None:
        self.key = key
        self.flow = flow
        self.table = table
        self.state = INITIAL
        self.wire = wire
        self.interval = 0.0
        self.repeat: Timer[Any] | None = None
        self.expiry: Timer[Any] | None = None


class ClientTransaction(Transaction):
    """A request of ours and the wait for its answer."""

    __slots__ = ("user",)

    def __init__(
        self, key: str, flow: Flow, table: _Compiled, wire: bytes, user: ClientUser | None
    ) -> None:
        super().__init__(key, flow, table, wire)
        self.user = user


class ServerTransaction(Transaction):
    """A request of a peer and our answer to it.

    ``request`` and ``head`` (the lines that all responses share) go with the final response;
    ``to`` is the To value as it came, ``to_tagged`` the one with our tag.
    """

    __slots__ = ("head", "local_tag", "merge_key", "request", "session", "to", "to_tagged", "user")

    def __init__(self, key: str, flow: Flow, table: _Compiled, request: SipRequest) -> None:
        super().__init__(key, flow, table, b"")
        self.request: SipRequest | None = request
        self.head = ""
        self.to = ""
        self.to_tagged = ""
        self.local_tag = ""
        self.session = ""
        self.merge_key = ""
        self.user: ServerUser | None = None


_Action: TypeAlias = Callable[[Any, float, Any], None]
_Compiled: TypeAlias = CompiledTable[_Action]


class Transactions:
    """All transactions of one endpoint."""

    def __init__(
        self,
        settings: EndpointSettings,
        timers: TimerQueue[Any],
        counters: SipCounters,
        outputs: list[SipOutput],
    ) -> None:
        self._settings = settings
        self._timers = timers
        self._counters = counters
        self._outputs = outputs
        self.clients: dict[str, ClientTransaction] = {}
        self.servers: dict[str, ServerTransaction] = {}
        self.merged: dict[str, ServerTransaction] = {}
        self._by_stream: dict[Flow, dict[Transaction, None]] = {}
        actions = self._actions()
        self._invite_client = compile_table(names.INVITE_CLIENT, actions)
        self._non_invite_client = compile_table(names.NON_INVITE_CLIENT, actions)
        self._invite_server = compile_table(names.INVITE_SERVER, actions)
        self._non_invite_server = compile_table(names.NON_INVITE_SERVER, actions)

    def __len__(self) -> int:
        return len(self.clients) + len(self.servers)

    # --- making and running ---------------------------------------------------------------

    def start_client(
        self,
        branch: str,
        method: str,
        wire: bytes,
        flow: Flow,
        user: ClientUser | None,
        now: float,
    ) -> ClientTransaction:
        """Send a request and wait for its answer; ACK to 2xx is not a transaction."""
        table = self._invite_client if method == "INVITE" else self._non_invite_client
        tx = ClientTransaction(f"{branch} {method}", flow, table, wire, user)
        self.clients[tx.key] = tx
        self._enrol(tx)
        self.fire(tx, names.START, now)
        return tx

    def start_server(
        self, key: str, request: SipRequest, flow: Flow, now: float
    ) -> ServerTransaction:
        """Begin to answer a request."""
        invite = request.method == "INVITE"
        table = self._invite_server if invite else self._non_invite_server
        tx = ServerTransaction(key, flow, table, request)
        self.servers[key] = tx
        self._enrol(tx)
        self.fire(tx, names.START, now)
        return tx

    def respond(self, tx: ServerTransaction, status: int, wire: bytes, now: float) -> bool:
        """Send a response; False when the transaction has had its final one."""
        if status < 200:
            event = names.PROVISIONAL
        elif tx.table is not self._invite_server:
            event = names.FINAL
        else:
            event = names.SUCCESS if status < 300 else names.FAILURE
        row = tx.table[tx.state].get(event)
        if row is None:
            return False
        tx.wire = wire
        self.fire(tx, event, now)
        if status >= 200:
            tx.request = None
            tx.head = tx.to = tx.to_tagged = ""
            tx.user = None
        return True

    def receive_response(self, tx: ClientTransaction, response: SipResponse, now: float) -> None:
        """Let a client transaction take a response."""
        status = response.status
        if status < 200:
            event = names.PROVISIONAL
        elif tx.table is not self._invite_client:
            event = names.FINAL
        else:
            event = names.SUCCESS if status < 300 else names.FAILURE
        if not self.fire(tx, event, now, response):
            self._counters.retransmissions_in += 1

    def fire(self, tx: Transaction, event: str, now: float, message: Any = None) -> bool:
        """Run one event; False when it means nothing in the present state."""
        row = tx.table[tx.state].get(event)
        if row is None:
            return False
        tx.state, actions = row
        for action in actions:
            action(tx, now, message)
        if tx.state == TERMINATED:
            self._forget(tx)
        return True

    def flow_failed(self, flow: Flow, now: float) -> None:
        """Tell every transaction on a flow that nothing can be sent on it any more."""
        if flow.is_reliable:
            found = list(self._by_stream.get(flow, ()))
        else:
            everything: list[Transaction] = [*self.clients.values(), *self.servers.values()]
            found = [tx for tx in everything if tx.flow == flow]
        for tx in found:
            self.fire(tx, names.TRANSPORT_ERROR, now)

    def rebind(self, tx: ClientTransaction, flow: Flow) -> None:
        """Let a client transaction go on by the connection on which its answers come."""
        self._leave_stream(tx)
        tx.flow = flow
        self._enrol(tx)

    def _enrol(self, tx: Transaction) -> None:
        if tx.flow.is_reliable:
            self._by_stream.setdefault(tx.flow, {})[tx] = None

    def _forget(self, tx: Transaction) -> None:
        self._timers.cancel(tx.repeat)
        self._timers.cancel(tx.expiry)
        tx.repeat = tx.expiry = None
        if isinstance(tx, ClientTransaction):
            self.clients.pop(tx.key, None)
        elif isinstance(tx, ServerTransaction):
            self.servers.pop(tx.key, None)
            if tx.merge_key:
                self.merged.pop(tx.merge_key, None)
        self._leave_stream(tx)

    def _leave_stream(self, tx: Transaction) -> None:
        peers = self._by_stream.get(tx.flow)
        if peers is not None:
            peers.pop(tx, None)
            if not peers:
                del self._by_stream[tx.flow]

    # --- actions -----------------------------------------------------------------------------

    def _actions(self) -> dict[str, _Action]:
        actions: dict[str, _Action] = {
            "send request": self._send,
            "send response": self._send,
            "send ACK": self._send_ack,
            "send 100": self._send_trying,
            "resend": self._resend,
            "forget bytes": self._forget_bytes,
            "absorb": self._absorb,
            "deliver": self._deliver,
            "report timeout": self._report_timeout,
            "report transport error": self._report_transport_error,
            "report lost": self._report_lost,
            "count missing ACK": self._count_missing_ack,
            "count unanswered": self._count_unanswered,
            "restart E at T2": self._restart_at_t2,
        }
        for rule in names.TIMER_RULES:
            actions[f"start {rule.name}"] = self._starter(rule)
            actions[f"stop {rule.name}"] = self._stop_repeat if rule.repeats else self._stop_expiry
            if rule.repeats:
                cap = float("inf") if rule.name == "A" else self._settings.t2_s
                actions[f"restart {rule.name}"] = self._restarter(f"timer {rule.name}", cap)
        return actions

    def _starter(self, rule: names.TimerRule) -> _Action:
        event = f"timer {rule.name}"
        on_datagram = rule.seconds(self._settings, reliable=False)
        on_stream = rule.seconds(self._settings, reliable=True)
        timers = self._timers

        def start(tx: Transaction, now: float, _message: Any) -> None:
            delay = on_datagram if tx.flow.transport == "UDP" else on_stream
            if delay is None:
                return
            if rule.repeats:
                tx.interval = delay
                tx.repeat = timers.arm(now + delay, tx, event)
                return
            timers.cancel(tx.expiry)
            if delay:
                tx.expiry = timers.arm(now + delay, tx, event)
            else:
                self.fire(tx, event, now)

        return start

    def _restarter(self, event: str, cap: float) -> _Action:
        timers = self._timers

        def restart(tx: Transaction, now: float, _message: Any) -> None:
            tx.interval = min(2 * tx.interval, cap)
            tx.repeat = timers.arm(now + tx.interval, tx, event)

        return restart

    def _restart_at_t2(self, tx: Transaction, now: float, _message: Any) -> None:
        tx.interval = self._settings.t2_s
        tx.repeat = self._timers.arm(now + tx.interval, tx, "timer E")

    def _stop_repeat(self, tx: Transaction, _now: float, _message: Any) -> None:
        self._timers.cancel(tx.repeat)
        tx.repeat = None

    def _stop_expiry(self, tx: Transaction, _now: float, _message: Any) -> None:
        self._timers.cancel(tx.expiry)
        tx.expiry = None

    def _send(self, tx: Transaction, _now: float, _message: Any) -> None:
        self._counters.messages_out += 1
        self._outputs.append(Transmit(tx.wire, tx.flow))

    def _resend(self, tx: Transaction, _now: float, _message: Any) -> None:
        if tx.wire:
            self._counters.messages_out += 1
            self._counters.retransmissions_out += 1
            self._outputs.append(Transmit(tx.wire, tx.flow))

    def _send_ack(self, tx: ClientTransaction, now: float, response: SipResponse) -> None:
        if tx.user is not None:
            tx.wire = tx.user.failure_ack(response)
        self._send(tx, now, None)

    def _send_trying(self, tx: ServerTransaction, now: float, _message: Any) -> None:
        tx.wire = encode_text(response_text(100, "", tx.head, tx.to))
        self._send(tx, now, None)

    def _forget_bytes(self, tx: Transaction, _now: float, _message: Any) -> None:
        tx.wire = b""

    def _absorb(self, _tx: Transaction, _now: float, _message: Any) -> None:
        self._counters.retransmissions_in += 1

    def _deliver(self, tx: ClientTransaction, now: float, response: SipResponse) -> None:
        user = tx.user
        if user is None:
            return
        if tx.state in {names.COMPLETED, TERMINATED}:
            tx.user = None
        user.on_response(tx, response, now)

    def _report_timeout(self, tx: ClientTransaction, now: float, _message: Any) -> None:
        self._counters.timeouts += 1
        self._report(tx, TIMED_OUT, now)

    def _report_transport_error(self, tx: ClientTransaction, now: float, _message: Any) -> None:
        self._counters.transport_failures += 1
        self._report(tx, TRANSPORT_FAILED, now)

    def _report(self, tx: ClientTransaction, status: int, now: float) -> None:
        user, tx.user = tx.user, None
        if user is not None:
            user.on_failure(tx, status, now)

    def _report_lost(self, tx: ServerTransaction, _now: float, _message: Any) -> None:
        self._counters.transport_failures += 1
        user, tx.user = tx.user, None
        if user is not None:
            user.on_lost(tx)

    def _count_missing_ack(self, _tx: ServerTransaction, _now: float, _message: Any) -> None:
        self._counters.acks_missing += 1

    def _count_unanswered(self, _tx: ServerTransaction, _now: float, _message: Any) -> None:
        self._counters.unanswered += 1
