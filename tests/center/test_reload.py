"""A reload takes the hot settings over; nobody is signed out and no call changes."""

from __future__ import annotations

from ccengine.config.schema import Settings


def changed(centre, **sections) -> Settings:
    return centre.config.settings.model_copy(update=sections)


def reload(centre, settings: Settings) -> None:
    centre.core.reload(settings, centre.prompts, centre.now, centre.clock.at())
    centre.settle()


def test_a_new_number_leads_somewhere_and_an_old_one_nowhere(centre):
    numbers = dict(centre.config.settings.numbers)
    numbers["4444"] = numbers.pop("4002")
    reload(centre, changed(centre, numbers=numbers))
    phone = centre.registered("1006")
    gone = phone.dial("4002", centre.now)
    centre.settle()
    assert gone.status == 404
    found = phone.dial("4444", centre.now)
    centre.settle()
    assert found.state == "talking"


def test_agents_stay_signed_in_and_calls_go_on(centre):
    agent = centre.agent_signs_in("1001")
    _, call = centre.to_queue("1006")
    agent.answer(centre.now)
    centre.settle()
    reload(centre, changed(centre))
    assert call.state == "talking"
    assert centre.agent_state("2001")[0] == "Talking"


def test_a_removed_extension_cannot_call_any_more(centre):
    phone = centre.registered("1006")
    extensions = dict(centre.config.settings.extensions)
    del extensions["1006"]
    reload(centre, changed(centre, extensions=extensions))
    call = phone.dial("4001", centre.now)
    centre.settle()
    assert call.status == 403
