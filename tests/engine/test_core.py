"""The core: facts of others, workers that come and go, circles."""

from __future__ import annotations

from ccengine.engine import core as core_module
from ccengine.journal.cdr import CdrCall
from ccengine.journal.registry import EpochStarted, RawFact


def test_facts_of_no_machine_are_passed_over(centre):
    assert not centre.core.apply(EpochStarted(1, "boot", 1))
    assert not centre.core.apply(object())
    assert not centre.core.quarantined
    assert RawFact not in core_module.FACTS


def test_a_worker_that_is_lost_and_back_has_everything_again(centre):
    phone = centre.registered("1006")
    call = phone.dial("4001", centre.now)
    centre.advance(1)
    media = centre.core.machines.media
    wanted = set(centre.worker.wants)
    media.detach("m0")
    second = centre.registered("1005").dial("4001", centre.now)
    centre.settle()
    assert (second.state, second.status) == ("ended", 503), "no worker, no new call"
    assert call.state == "talking", "signalling alone ends no call"
    centre.worker.wants.clear()  # a new process that has nothing
    media.attach("m0", 1)
    centre.settle()
    assert set(centre.worker.wants) == wanted
    phone.hang_up(centre.now)
    centre.assert_nothing_left()


def test_a_call_that_ends_while_its_worker_is_away_is_in_the_books(centre):
    phone = centre.registered("1006")
    phone.dial("4001", centre.now)
    centre.advance(1)
    centre.core.machines.media.detach("m0")
    phone.hang_up(centre.now)
    centre.advance(5)
    assert [one.number for one in centre.facts_of(CdrCall)] == ["4001"]
    centre.core.machines.media.attach("m0", 1)
    centre.settle()
    assert not centre.worker.wants
    centre.assert_nothing_left()


def test_machines_that_talk_in_a_circle_are_cut_off(centre, monkeypatch, caplog):
    monkeypatch.setattr(core_module, "MAX_ROUNDS", 5)
    switch = centre.core.machines.switch
    monkeypatch.setattr(switch, "phones", lambda: [("1001", True)])
    centre.core.drain(centre.now, centre.clock.at())
    assert "circle" in caplog.text
    assert centre.core.flaws == 1


def test_garbage_of_a_worker_is_counted(centre):
    centre.core.media_packet("m0", b"\xff\xff", centre.now, centre.clock.at())
    assert centre.core.machines.media.garbage == 1
    assert centre.core.flaws == 0
