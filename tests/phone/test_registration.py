"""Phones register by digest and stay registered."""

from __future__ import annotations

import pytest

from ccengine.errors import CallError
from ccengine.phone import FarmSettings, PhoneFarm
from ccengine.testing.registrar import LoneRegistrar
from ccengine.testing.waiting import wait_until_async


@pytest.fixture
def registrar():
    with LoneRegistrar({"101": "secret", "102": "other"}) as found:
        yield found


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_register_and_unregister(registrar: LoneRegistrar, transport) -> None:
    settings = FarmSettings((registrar.host, registrar.port), transport=transport)
    async with PhoneFarm(settings) as farm:
        desk, mobile = farm.phone("101", "secret"), farm.phone("101", "secret")
        other = farm.phone("102", "other")
        for phone in (desk, mobile, other):
            await phone.register()
        assert len(registrar.contacts("101")) == 2  # one address-of-record, two phones
        host, port = farm.address
        assert registrar.contacts("102")[0].startswith(f"sip:102@{host}:{port}")
        await desk.unregister()
        assert len(registrar.contacts("101")) == 1


async def test_a_registration_is_refreshed(registrar: LoneRegistrar) -> None:
    async with PhoneFarm(FarmSettings((registrar.host, registrar.port))) as farm:
        phone = farm.phone("101", "secret")
        await phone.register(expires_s=1)
        await wait_until_async(lambda: registrar.requests >= 2, "refresh")
        assert len(registrar.contacts("101")) == 1


async def test_a_wrong_password_is_told(registrar: LoneRegistrar) -> None:
    async with PhoneFarm(FarmSettings((registrar.host, registrar.port))) as farm:
        with pytest.raises(CallError, match="403"):
            await farm.phone("101", "wrong").register()


async def test_nobody_answers() -> None:
    async with PhoneFarm(FarmSettings(("127.0.0.1", 9), t1_s=0.01)) as farm:
        with pytest.raises(CallError, match="408"):
            await farm.phone("101", "secret").register()
