"""Dialog records and their facts."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from ccengine.sip.composer import contact_user, contact_value, routing
from ccengine.sip.dialog import DialogDropped, DialogRecord, DialogSet, DialogTable, remote_target
from ccengine.sip.flow import Flow
from ccengine.sip.message import SipRequest

RECORD = DialogRecord(
    session="s1",
    role="uas",
    state="confirmed",
    call_id="c",
    local_tag="l",
    remote_tag="r",
    local_uri="<sip:a@b>;tag=l",
    remote_uri='"\u5f20\u4f1f" <sip:c@d>;tag=r',
    remote_target="sip:c@192.0.2.1",
    route_set=("<sip:p;lr>",),
    local_seq=1,
    remote_seq=2,
    flow=Flow("TCP", "main", ("192.0.2.1", 5060), 3),
    contact="<sip:a@192.0.2.2:5060>",
    unacknowledged=b"SIP/2.0 200 OK\r\n\r\n",
    unacknowledged_seq=2,
    acknowledge_by=12.5,
)


@pytest.mark.parametrize("fact", [DialogSet(RECORD), DialogDropped("s1")])
def test_facts_survive_encoding(fact: DialogSet | DialogDropped) -> None:
    data = msgspec.msgpack.encode(fact)
    assert msgspec.msgpack.decode(data, type=type(fact)) == fact
    assert fact.stream == "session/s1"


def test_table_is_what_its_facts_say() -> None:
    table = DialogTable()
    table.apply(DialogSet(RECORD))
    assert table.session_of(RECORD.key) == "s1"
    assert table.unacknowledged("c", "r", 2) == RECORD
    assert table.unacknowledged("c", "r", 1) is None
    table.apply(DialogSet(replace(RECORD, unacknowledged=b"")))
    assert table.unacknowledged("c", "r", 2) is None
    table.apply(DialogDropped("s1"))
    table.apply(DialogDropped("s1"))
    assert len(table) == 0
    assert table.session_of(RECORD.key) is None


@pytest.mark.parametrize(
    ("contact", "target"),
    [
        ("<sip:a@b:1;transport=tcp>;expires=3", "sip:a@b:1;transport=tcp"),
        ('"x <y>" <sip:a@b>', "sip:a@b"),
        ("sip:a@b;expires=3", "sip:a@b"),
        ("*", ""),
    ],
)
def test_remote_target_is_the_uri_as_spelled(contact: str, target: str) -> None:
    request = SipRequest.build("INVITE", "sip:x", [("Contact", contact)])
    assert remote_target(request) == target


def test_contact_round_trip() -> None:
    flow = Flow("TCP", "main", ("2001:db8::1", 5060))
    contact = contact_value(flow, ("2001:db8::2", 5060), "*88")
    assert contact == "<sip:*88@[2001:db8::2]:5060;transport=tcp>"
    assert contact_user(contact) == "*88"
    assert contact_user("<sip:192.0.2.1:5060>") == ""


def test_routing_without_route_set() -> None:
    assert routing("sip:a@b", ()) == ("sip:a@b", "")
