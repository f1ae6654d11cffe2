"""Calls of phones on TCP whose connection is gone (RFC 5626, RFC 3261 section 18.1.1)."""

from __future__ import annotations

import pytest

from ccengine.journal.cdr import CdrCall


def on_tcp(office, user):
    phone = office.phone(user, password=f"pw{user}")
    office.connect(phone)
    phone.register(office.now)
    office.settle()
    assert phone.registered == 200
    return phone


def talking(office):
    caller, callee = on_tcp(office, "1001"), on_tcp(office, "1002")
    call = caller.dial("1002", office.now)
    office.settle()
    callee.answer(office.now)
    office.settle()
    assert call.state == "talking"
    return caller, callee


def lose(office, phone):
    dead = office.connect(phone)
    office.exchange.sip.flow_failed(dead, office.now)
    office.exchange.registrar.flow_closed(dead)
    office.exchange.switch.flow_failed(dead)
    office.settle()


def test_a_phone_that_is_where_its_contact_says_is_dialled_anew(office):
    caller, callee = talking(office)
    lose(office, callee)
    caller.hang_up(office.now)
    office.settle()
    assert callee.last.state == "ended"
    assert len(office.cdrs(CdrCall)) == 1
    office.assert_nothing_left()


def test_a_phone_behind_a_nat_is_reached_once_it_has_registered_anew(office, monkeypatch):
    caller, callee = talking(office)
    monkeypatch.setattr("ccengine.call.stranded.Stranded._dialled_anew", lambda *_: None)
    lose(office, callee)
    callee.register(office.now)
    office.settle()
    caller.hang_up(office.now)
    office.settle()
    assert callee.last.state == "ended"
    office.assert_nothing_left()


@pytest.mark.parametrize("who", ["caller", "callee"])
def test_the_phone_itself_may_speak_first_on_its_new_connection(office, who):
    phones = dict(zip(("caller", "callee"), talking(office), strict=True))
    for phone in phones.values():
        lose(office, phone)
    phones[who].hang_up(office.now)
    office.settle()
    assert {phone.last.state for phone in phones.values()} == {"ended"}
    office.assert_nothing_left()
