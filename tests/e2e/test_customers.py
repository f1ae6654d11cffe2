"""The customers plugin: who calls is on the agent's phone, in the listing and in the books."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ccengine.phone import FarmSettings, PhoneFarm
from ccengine.plugin import PluginContext
from ccengine.plugins.customers import import_csv, normalise, open_store
from ccengine.testing.engine import RunningEngine
from ccengine.testing.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("log_of_engine")]

NAME = "王芳女士"
NUMBER = "13800138000"


@pytest.fixture(scope="module")
def changes() -> dict[str, Any]:
    """The gateway that callers come by may call without a password."""
    return {"sip": {"trusted": ["127.0.0.1/32"]}}


def customers_of(engine: RunningEngine) -> Any:
    database = f"sqlite:///{engine.folder / 'var' / 'ccengine.db'}"
    folder = engine.folder / "var" / "plugins" / "customers"
    return open_store(PluginContext("customers", folder, {}, database))


async def test_the_agent_sees_the_name_of_who_calls(
    engine: RunningEngine, record_of: Any, tmp_path: Path
) -> None:
    table = tmp_path / "customers.csv"
    table.write_text(f"number,name,level\n+86 138-0013-8000,{NAME},vip\n", encoding="utf-8")
    store = customers_of(engine)
    import_csv(store, table)
    inside = FarmSettings(engine.registrar, domain="ccengine", host=engine.address)
    outside = FarmSettings(engine.registrar, domain="ccengine", host="127.0.0.1")
    async with PhoneFarm(inside) as desks, PhoneFarm(outside) as network:
        agent = desks.phone("1001", "demo1001")
        await agent.register()
        await (await agent.dial("*11").answered()).ended()
        caller = network.phone(NUMBER)
        begun = network.clock.at().timestamp()
        call = await caller.dial("4002").answered()
        taken = await agent.next_call()
        assert (taken.number, taken.display_name) == (NUMBER, NAME)
        taken.answer()
        await taken.hears(10)
        (row,) = await asyncio.to_thread(engine.ask, "calls")
        assert (row["from"], row["name"], row["agent"]) == (NUMBER, NAME, "2001")
        call.hang_up()
        await taken.ended()
    record = await asyncio.to_thread(record_of, "4002", NUMBER, begun, recorded=True)
    assert record.call.customer_name == NAME
    assert record.call.customer_id

    def counted() -> bool:
        found = store.find(normalise(NUMBER))
        return found is not None and found.calls == 1

    await asyncio.to_thread(wait_until, counted, "call counted for the customer", 5)
    store.close()
