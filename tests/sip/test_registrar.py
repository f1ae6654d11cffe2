"""The registrar, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ccengine.clock import VirtualClock
from ccengine.ports import FactData
from ccengine.sip.flow import Flow
from ccengine.sip.message import SipRequest, SipResponse, parse_message
from ccengine.sip.registrar import (
    FACTS,
    Binding,
    BindingsChanged,
    BindingsSet,
    Registrar,
    RegistrarSettings,
)

AOR = "alice@pbx.example"
UDP = Flow("UDP", "main", ("192.0.2.7", 5060))
TCP = Flow("TCP", "main", ("192.0.2.7", 40000), 5)
Maker = Callable[..., SipRequest]


class Desk:
    """A registrar with its clock and facts; speaks REGISTER in short."""

    def __init__(self, make: Maker, **options: int) -> None:
        self.make = make
        self.clock = VirtualClock()
        self.facts: list[FactData] = []
        self.registrar = Registrar(RegistrarSettings(**options), self.facts, boot_id="boot-1")
        self.cseq = 0

    def register(
        self, *lines: str, flow: Flow = UDP, cseq: int = 0, call_id: str = "c1", aor: str = AOR
    ) -> SipResponse:
        self.cseq = cseq or self.cseq + 1
        request = self.make("REGISTER", *lines, cseq=self.cseq, call_id=call_id)
        now, at = self.clock.now(), self.clock.at()
        response = self.registrar.register(request, aor, flow, now, at)
        assert parse_message(response.to_bytes()) == response
        return response

    def wait(self, seconds: float) -> None:
        self.registrar.handle_timeout(self.clock.advance(seconds))

    def contacts(self, aor: str = AOR) -> list[str]:
        return [binding.contact for binding in self.registrar.lookup(aor)]


@pytest.fixture
def desk(make_request: Maker) -> Desk:
    return Desk(make_request)


def _expires(response: SipResponse) -> dict[str, str | None]:
    return {str(contact.uri): contact.param("expires") for contact in response.contacts}


# --- granting ------------------------------------------------------------------------------------


def test_register_and_expire(desk: Desk) -> None:
    response = desk.register("Contact: <sip:alice@192.0.2.7>", "Expires: 120")
    assert response.status == 200
    assert _expires(response) == {"sip:alice@192.0.2.7": "120"}
    assert response.header("Date") == "Mon, 05 Jan 2026 01:00:00 GMT"
    (binding,) = desk.registrar.lookup(AOR)
    assert (binding.flow, binding.call_id, binding.cseq) == (UDP, "c1", 1)
    assert binding.deadline == desk.clock.now() + 120
    assert binding.deadline_at == desk.clock.at() + timedelta(seconds=120)
    assert desk.registrar.next_timeout() == binding.deadline
    desk.wait(119.9)
    assert len(desk.registrar) == 1
    desk.wait(0.2)
    assert desk.contacts() == []
    assert desk.registrar.next_timeout() is None
    assert desk.registrar.poll() == [BindingsChanged(AOR, 1), BindingsChanged(AOR, 0)]
    assert desk.registrar.poll() == []


@pytest.mark.parametrize(
    ("lines", "granted"),
    [
        (("Contact: <sip:a@b>;expires=90", "Expires: 120"), "90"),
        (("Contact: <sip:a@b>", "Expires: 120"), "120"),
        (("Contact: <sip:a@b>",), "3600"),
        (("Contact: <sip:a@b>;expires=99999",), "7200"),
        (("Contact: <sip:a@b>;expires=280297596632815",), "7200"),
        (("Contact: <sip:a@b>;expires=soon",), "3600"),
        (("Contact: <sip:a@b>", "Expires: soon"), "3600"),
    ],
)
def test_how_long(desk: Desk, lines: tuple[str, ...], granted: str) -> None:
    """10.3 step 6: Contact parameter, else Expires, else the registrar's own."""
    assert _expires(desk.register(*lines)) == {"sip:a@b": granted}


def test_too_brief(desk: Desk) -> None:
    """10.3 step 6: 423 with Min-Expires; and nothing of the request is carried out."""
    response = desk.register("Contact: <sip:a@b>;expires=300, <sip:c@d>;expires=59")
    assert (response.status, response.header("Min-Expires")) == (423, "60")
    assert desk.contacts() == []
    assert desk.facts == []


def test_query(desk: Desk) -> None:
    """10.2.3: a REGISTER without Contact changes nothing and lists the bindings."""
    desk.register("Contact: <sip:a@b>;expires=100")
    desk.wait(40)
    facts = len(desk.facts)
    assert _expires(desk.register()) == {"sip:a@b": "60"}
    assert len(desk.facts) == facts


def test_several_contacts_by_preference(desk: Desk) -> None:
    desk.register("Contact: <sip:old@h>;q=0.5, <sip:best@h>;q=0.7", "Contact: <sip:last@h>;q=0.1")
    desk.register("Contact: <sip:new@h>;q=0.5", call_id="c2")
    assert desk.contacts() == ["sip:best@h", "sip:new@h", "sip:old@h", "sip:last@h"]


@pytest.mark.parametrize(
    ("text", "q"), [("0.333", 0.333), ("2", 1.0), ("nan", 1.0), ("1.0", 1.0), ("0", 0.0)]
)
def test_q_values(desk: Desk, text: str, q: float) -> None:
    desk.register(f"Contact: <sip:a@b>;q={text}")
    assert desk.registrar.lookup(AOR)[0].q == q


def test_what_a_phone_said_comes_back(desk: Desk) -> None:
    contact = (
        '"Desk \\"1\\"" <sip:a@b;transport=tcp>;q=0.5;+sip.instance="<urn:uuid:1>"'
        ';reg-id=2;methods="INVITE,BYE";ob'
    )
    response = desk.register(
        f"Contact: {contact}",
        "User-Agent: Phone 1",
        "Path: <sip:edge;lr>",
        "Supported: path, outbound",
    )
    (echo,) = response.contacts
    assert echo.display_name == 'Desk "1"'
    assert echo.param("+sip.instance") == "<urn:uuid:1>"
    assert (echo.param("reg-id"), echo.param("methods"), echo.param("ob")) == (
        "2",
        "INVITE,BYE",
        "",
    )
    assert response.header("Path") == "<sip:edge;lr>"
    assert response.header("Require") == "outbound"  # RFC 5626 6
    (binding,) = desk.registrar.lookup(AOR)
    assert (binding.instance, binding.reg_id, binding.user_agent) == ("<urn:uuid:1>", 2, "Phone 1")
    assert binding.path == ("<sip:edge;lr>",)


# --- updating and removing -----------------------------------------------------------------------


def test_refresh_replaces(desk: Desk) -> None:
    """10.2.4: the URI decides by the rules of 19.1.4, not the text."""
    desk.register("Contact: <sip:alice@H.example;transport=UDP>", "Expires: 100")
    desk.wait(50)
    moved = replace(UDP, remote=("192.0.2.7", 6000))
    desk.register("Contact: <sip:%61lice@h.example;transport=udp>", "Expires: 100", flow=moved)
    (binding,) = desk.registrar.lookup(AOR)
    assert binding.flow == moved
    desk.wait(60)
    assert len(desk.contacts()) == 1


def test_the_same_device_at_another_port_replaces_itself(desk: Desk) -> None:
    desk.register('Contact: <sip:a@h:1000>;+sip.instance="<urn:uuid:1>"')
    desk.register('Contact: <sip:a@h:2000>;+sip.instance="<urn:uuid:1>"', call_id="c2")
    desk.register('Contact: <sip:a@h:2000>;+sip.instance="<urn:uuid:2>"', call_id="c3")
    assert sorted(desk.contacts()) == ["sip:a@h:2000", "sip:a@h:2000"]


def test_flows_of_a_device(desk: Desk) -> None:
    """RFC 5626 6: instance and reg-id together name a binding."""
    desk.register('Contact: <sip:a@h>;+sip.instance="<urn:uuid:1>";reg-id=1')
    desk.register('Contact: <sip:a@h>;+sip.instance="<urn:uuid:1>";reg-id=2')
    assert len(desk.contacts()) == 2
    desk.register('Contact: <sip:a@new>;+sip.instance="<urn:uuid:1>";reg-id=1')
    assert sorted(desk.contacts()) == ["sip:a@h", "sip:a@new"]


def test_remove_one(desk: Desk) -> None:
    desk.register("Contact: <sip:a@b>, <sip:c@d>")
    assert _expires(desk.register("Contact: <sip:a@b>;expires=0")) == {"sip:c@d": "3600"}


def test_remove_all(desk: Desk) -> None:
    """10.2.2: Contact: * with Expires: 0."""
    desk.register("Contact: <sip:a@b>, <sip:c@d>")
    response = desk.register("Contact: *", "Expires: 0")
    assert (response.status, response.contacts) == (200, ())
    assert len(desk.registrar) == 0


@pytest.mark.parametrize(
    "lines",
    [
        ("Contact: *",),
        ("Contact: *", "Expires: 60"),
        ("Contact: *, <sip:a@b>", "Expires: 0"),
        ("Contact: *", "Expires: x"),
    ],
)
def test_star_that_is_no_star(desk: Desk, lines: tuple[str, ...]) -> None:
    """10.3 step 6: with other contacts or another expiration: 400."""
    desk.register("Contact: <sip:a@b>")
    assert desk.register(*lines).status == 400
    assert desk.contacts() == ["sip:a@b"]


def test_order_within_a_call_id(desk: Desk) -> None:
    """10.3 step 7: if the CSeq is not higher, the update MUST be aborted."""
    desk.register("Contact: <sip:a@b>", cseq=10)
    assert desk.register("Contact: <sip:a@b>;expires=0, <sip:c@d>", cseq=9).status == 500
    assert desk.register("Contact: *", "Expires: 0", cseq=9).status == 500
    assert desk.contacts() == ["sip:a@b"]


def test_the_same_request_again_is_answered_as_before(desk: Desk) -> None:
    """After a takeover a retransmission meets no transaction; it must not fail."""
    desk.register("Contact: <sip:a@b>", cseq=10)
    facts = len(desk.facts)
    assert desk.register("Contact: <sip:a@b>", cseq=10).status == 200
    assert len(desk.facts) == facts


def test_another_call_id_needs_no_order(desk: Desk) -> None:
    """10.3 step 7: a phone that restarted begins with a new Call-ID."""
    desk.register("Contact: <sip:a@b>", cseq=10)
    desk.register("Contact: <sip:a@b>;expires=0", cseq=1, call_id="c2")
    assert desk.contacts() == []


def test_limits(make_request: Maker) -> None:
    desk = Desk(make_request, max_contacts=2)
    desk.register("Contact: <sip:a@b>, <sip:c@d>")
    assert desk.register("Contact: <sip:e@f>").status == 403
    assert desk.register("Contact: <sip:c@d>;expires=0, <sip:e@f>").status == 200
    assert sorted(desk.contacts()) == ["sip:a@b", "sip:e@f"]


@pytest.mark.parametrize(
    "contact", ["<name:John_Smith>", "<tel:+86>", '"open <sip:a@b>', "sip:a@b?x=y"]
)
def test_contacts_that_nobody_can_call(desk: Desk, contact: str) -> None:
    response = desk.register(f"Contact: {contact}")
    assert response.status == 400
    assert desk.facts == []


# --- connections ---------------------------------------------------------------------------------


def test_phone_behind_a_nat_goes_with_its_connection(desk: Desk) -> None:
    desk.register("Contact: <sip:a@10.0.0.5>", flow=TCP)
    assert desk.registrar.connections == (TCP,)
    desk.registrar.flow_closed(replace(TCP, connection=6))
    assert desk.contacts() == ["sip:a@10.0.0.5"]
    desk.registrar.flow_closed(TCP)
    assert desk.contacts() == []
    assert desk.registrar.poll()[-1] == BindingsChanged(AOR, 0)


def test_phone_that_can_be_dialled_stays(desk: Desk) -> None:
    desk.register("Contact: <sip:a@192.0.2.7:5070>", flow=TCP)
    desk.register("Contact: <sip:b@192.0.2.7>;expires=70", call_id="c2")
    desk.registrar.flow_closed(TCP)
    flows = {binding.contact: binding.flow for binding in desk.registrar.lookup(AOR)}
    assert flows["sip:a@192.0.2.7:5070"] == Flow("TCP", "main", ("192.0.2.7", 5070), 0)
    assert flows["sip:b@192.0.2.7"] == UDP
    assert desk.registrar.connections == ()


def test_outbound_flow_goes_with_its_connection(desk: Desk) -> None:
    """RFC 5626 7: the binding of a flow that failed is removed."""
    desk.register('Contact: <sip:a@192.0.2.7>;+sip.instance="<urn:1>";reg-id=1', flow=TCP)
    desk.registrar.flow_closed(TCP)
    assert desk.contacts() == []


def test_reconnected_phone_does_not_die_with_its_old_connection(desk: Desk) -> None:
    desk.register("Contact: <sip:a@10.0.0.5>", flow=TCP)
    desk.register("Contact: <sip:a@10.0.0.5>", flow=replace(TCP, connection=6))
    desk.registrar.flow_closed(TCP)
    assert desk.contacts() == ["sip:a@10.0.0.5"]


# --- facts ---------------------------------------------------------------------------------------


def _replayed(desk: Desk) -> Registrar:
    registrar = Registrar(RegistrarSettings(), [])
    for fact in desk.facts:
        data = msgspec.msgpack.encode(fact)
        registrar.apply(msgspec.msgpack.decode(data, type=BindingsSet))
    return registrar


def test_replay_gives_the_same_state(desk: Desk) -> None:
    desk.register("Contact: <sip:a@b>;expires=100;q=0.2;x", "Path: <sip:p;lr>")
    desk.register('Contact: "张" <sip:c@d>', flow=TCP)
    registrar = _replayed(desk)
    registrar.resume(desk.clock.now(), desk.clock.at(), "boot-1")
    assert registrar.lookup(AOR) == desk.registrar.lookup(AOR)
    assert registrar.connections == (TCP,)
    assert registrar.next_timeout() == desk.registrar.next_timeout()
    assert registrar.poll() == []
    assert [fact.FACT for fact in FACTS] == [("bindings_set", 1)]
    assert desk.facts[0].stream == f"registration/{AOR}"


def test_after_a_reboot_utc_holds(desk: Desk) -> None:
    desk.register("Contact: <sip:short@b>;expires=60, <sip:long@b>;expires=600")
    desk.register("Contact: <sip:nat@10.0.0.5>;expires=600", flow=TCP)
    registrar = _replayed(desk)
    registrar.resume(7.0, desk.clock.at() + timedelta(seconds=100), "boot-2")
    (binding,) = registrar.lookup(AOR)
    assert (binding.contact, binding.deadline) == ("sip:long@b", 507.0)
    assert registrar.next_timeout() == 507.0
    registrar.handle_timeout(507.0)
    assert len(registrar) == 0


def test_foreign_octets_of_a_phone_can_be_journalled(desk: Desk, make_request: Maker) -> None:
    data = make_request("REGISTER", 'Contact: "NAME" <sip:a@b>').to_bytes()
    request = parse_message(data.replace(b"NAME", "张伟".encode("gbk")))
    assert isinstance(request, SipRequest)
    response = desk.registrar.register(request, AOR, UDP, 1.0, datetime.now(UTC))
    assert "张伟".encode("gbk") in response.to_bytes()
    assert len(_replayed(desk)) == 1


# --- anything ------------------------------------------------------------------------------------


class RegistrarMachine(RuleBasedStateMachine):
    """Random phones, time and dead connections against the invariants."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.facts: list[FactData] = []
        self.registrar = Registrar(RegistrarSettings(max_contacts=3), self.facts, boot_id="b")
        self.cseq = 0

    @rule(
        aor=st.sampled_from(["a@h", "b@h"]),
        user=st.sampled_from("xyz"),
        expires=st.sampled_from([0, 30, 60, 100, 7200]),
        flow=st.sampled_from([UDP, TCP, replace(TCP, connection=6)]),
        instance=st.sampled_from(["", ';+sip.instance="<1>";reg-id=1', ';+sip.instance="<2>"']),
        call=st.sampled_from(["c1", "c2"]),
    )
    def register(
        self, aor: str, user: str, expires: int, flow: Flow, instance: str, call: str
    ) -> None:
        self.cseq += 1
        fields = [
            ("Via", "SIP/2.0/UDP h"),
            ("From", "<sip:a@b>;tag=1"),
            ("To", "<sip:a@b>"),
            ("Call-ID", call),
            ("CSeq", f"{self.cseq} REGISTER"),
            ("Contact", f"<sip:{user}@192.0.2.7>;expires={expires}{instance}"),
        ]
        request = SipRequest.build("REGISTER", "sip:b", fields)
        now, at = self.clock.now(), self.clock.at()
        response = self.registrar.register(request, aor, flow, now, at)
        assert response.status in {200, 403, 423}
        if response.status == 200:
            assert len(response.contacts) == len(self.registrar.lookup(aor))

    @rule(seconds=st.sampled_from([0.5, 30, 61, 8000]))
    def wait(self, seconds: float) -> None:
        self.registrar.handle_timeout(self.clock.advance(seconds))

    @rule(connection=st.sampled_from([5, 6, 7]))
    def close(self, connection: int) -> None:
        self.registrar.flow_closed(replace(TCP, connection=connection))

    def _bindings(self) -> list[Binding]:
        return [binding for record in self.registrar for binding in record.bindings]

    @invariant()
    def the_next_deadline_is_known(self) -> None:
        deadlines = [binding.deadline for binding in self._bindings()]
        assert self.registrar.next_timeout() == (min(deadlines) if deadlines else None)

    @invariant()
    def nothing_expired_nothing_in_surplus(self) -> None:
        assert all(binding.deadline > self.clock.now() for binding in self._bindings())
        assert all(0 < len(record.bindings) <= 3 for record in self.registrar)

    @invariant()
    def connections_are_those_of_bindings(self) -> None:
        flows = {binding.flow for binding in self._bindings() if binding.flow.connection}
        assert set(self.registrar.connections) == flows

    @invariant()
    def replay_gives_the_same(self) -> None:
        other = Registrar(RegistrarSettings(), [], boot_id="b")
        for fact in self.facts:
            assert isinstance(fact, BindingsSet)
            other.apply(fact)
        assert list(other) == list(self.registrar)
        assert set(other.connections) == set(self.registrar.connections)


TestRegistrarMachine = RegistrarMachine.TestCase
TestRegistrarMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
