"""Simulated people: agents who sign in and take calls, callers of several tempers.

All of them are real SIP and RTP endpoints; what they do is drawn from a seeded generator.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from ccengine.cli.demo.folder import CALLERS_HOST, PhoneAccount
from ccengine.config.data import data_folder
from ccengine.errors import CallError, CcengineError
from ccengine.phone import FarmSettings, Manual, Phone, PhoneCall, PhoneFarm, Sound

HOTLINE, SALES = "4001", "4002"
REGISTER_S = 120
LONGEST_TALK_S = 180.0
"""How long a simulated agent talks with a caller who is no simulated one."""

KNOWN = tuple(f"1380013800{digit}" for digit in range(1, 6))


@dataclass(slots=True)
class TrafficCounters:
    """What the simulated people saw."""

    agents: int = 0
    placed: int = 0
    connected: int = 0
    gave_up: int = 0
    wrong_keys: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Visit:
    """One caller's call, as the agent who answers it finds it by the number."""

    number: str
    connected: asyncio.Event = field(default_factory=asyncio.Event)
    caller_ends: bool = False
    talk_s: float = 0.0


class Traffic:
    """Agents on one farm of phones, callers on another; ``rate`` is calls a minute."""

    def __init__(
        self,
        registrar: tuple[str, int],
        domain: str,
        accounts: Sequence[PhoneAccount],
        rate: float,
        chance: random.Random,
    ) -> None:
        self._agents = PhoneFarm(FarmSettings(registrar, domain, user_agent="demo-agent"))
        self._callers = PhoneFarm(
            FarmSettings(registrar, domain, host=CALLERS_HOST, user_agent="demo-caller")
        )
        self._accounts = tuple(accounts)
        self._rate = rate
        self._chance = chance
        self._visits: dict[str, Visit] = {}
        self._phones: dict[str, Phone] = {}
        self._opened: list[PhoneFarm] = []
        prompts = data_folder("prompts") / "zh"
        self._agent_voice = Sound.wav(prompts / "survey.wav", loop=True)
        self._caller_voice = Sound.wav(prompts / "leave_message.wav", loop=True)
        self.counters = TrafficCounters()

    # --- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Register the agents' phones, sign in by ``*11``, and let the first callers dial."""
        for farm in (self._agents, self._callers):
            await farm.start()
            self._opened.append(farm)
        await asyncio.gather(*(self._open_agent(account) for account in self._accounts))
        self._callers.spawn(self._arrive())

    async def close(self) -> None:
        """Hang up, take registrations back, close every socket."""
        if self._callers in self._opened:
            await self._callers.close()
        if self._agents in self._opened:
            for phone in self._agents.phones.values():
                for call in tuple(phone.calls):
                    call.hang_up()
            phones = self._agents.phones.values()
            await asyncio.gather(
                *(phone.unregister(2.0) for phone in phones), return_exceptions=True
            )
            await self._agents.close()

    # --- agents --------------------------------------------------------------------------------

    async def _open_agent(self, account: PhoneAccount) -> None:
        phone = self._agents.phone(account.extension, account.password, behaviour=Manual())
        try:
            await phone.register(REGISTER_S)
            call = await phone.dial("*11").answered()
            await asyncio.sleep(1.0)
            call.hang_up()
        except CallError as error:
            self.counters.problems.append(f"agent {account.agent_id} cannot sign in: {error}")
            return
        self.counters.agents += 1
        self._agents.spawn(self._work(phone))

    async def _work(self, phone: Phone) -> None:
        while True:
            try:
                call = await phone.next_call(3600.0)
                await self._serve(call)
            except CcengineError as error:
                self.counters.problems.append(str(error))

    async def _serve(self, call: PhoneCall) -> None:
        call.ring()
        await asyncio.sleep(self._chance.uniform(0.6, 2.0))
        if call.state != "ringing":  # the caller gave up
            return
        call.answer()
        call.play(self._agent_voice)
        self.counters.connected += 1
        visit = self._visits.get(call.number)
        if visit is None:  # a visitor's own phone
            await self._talk(call, LONGEST_TALK_S)
            return
        visit.connected.set()
        await self._talk(call, visit.talk_s + (5.0 if visit.caller_ends else 0.0))

    @staticmethod
    async def _talk(call: PhoneCall, seconds: float) -> None:
        try:
            await call.ended(seconds)
        except CallError:
            call.hang_up()

    # --- callers -------------------------------------------------------------------------------

    async def _arrive(self) -> None:
        # The first two go straight to the queue, so that something is heard at once.
        for number in (SALES, HOTLINE):
            self._callers.spawn(self._call(number))
        while True:
            await asyncio.sleep(self._chance.expovariate(self._rate / 60.0))
            number = SALES if self._chance.random() < 0.1 else HOTLINE
            self._callers.spawn(self._call(number))

    def _caller(self) -> Phone | None:
        """Return the phone of somebody who is not calling already."""
        if self._chance.random() < 0.5:
            idle = [number for number in KNOWN if number not in self._visits]
            number = self._chance.choice(idle) if idle else ""
        else:
            number = f"139{self._chance.randrange(10**8):08d}"
        if not number or number in self._visits:
            return None
        if number not in self._phones:
            self._phones[number] = self._callers.phone(number)
        return self._phones[number]

    async def _call(self, number: str) -> None:
        phone = self._caller()
        if phone is None:
            return
        visit = Visit(
            phone.user,
            caller_ends=self._chance.random() < 0.5,
            talk_s=self._chance.uniform(4.0, 14.0),
        )
        self._visits[phone.user] = visit
        self.counters.placed += 1
        call = phone.dial(number)
        try:
            await call.answered()
            if number == HOTLINE:
                await self._choose(call)
            await self._wait_and_talk(call, visit)
        except CcengineError as error:
            self.counters.problems.append(str(error))
        finally:
            self._visits.pop(phone.user, None)
            call.hang_up()

    async def _choose(self, call: PhoneCall) -> None:
        """Listen to the menu and press keys, sometimes wrong ones first."""
        chance = self._chance
        await asyncio.sleep(chance.uniform(1.0, 4.0))
        if chance.random() < 0.25:
            self.counters.wrong_keys += 1
            await self._press(call, chance.choice("7#58"))
            await asyncio.sleep(chance.uniform(1.5, 3.0))
        if chance.random() < 0.3:
            await self._press(call, "9")  # English
            await asyncio.sleep(chance.uniform(1.0, 3.0))
        if chance.random() < 0.1:
            return  # does not know what to press
        await self._press(call, chance.choice("112"))

    async def _press(self, call: PhoneCall, key: str) -> None:
        if call.state != "established":
            return
        call.send_digits(key)
        await call.digits_sent()

    async def _wait_and_talk(self, call: PhoneCall, visit: Visit) -> None:
        """Wait for an agent as long as patience lasts, talk, hang up or be hung up on."""
        patience_s = self._chance.choice((8.0, 30.0, 60.0, 90.0, 120.0))
        met = asyncio.create_task(visit.connected.wait())
        ended = asyncio.create_task(call.ended(patience_s + 5.0))
        try:
            await asyncio.wait(
                (met, ended), timeout=patience_s, return_when=asyncio.FIRST_COMPLETED
            )
            if not visit.connected.is_set():
                self.counters.gave_up += 1
                return
            call.play(self._caller_voice)
            limit = visit.talk_s + (0.0 if visit.caller_ends else 5.0)
            await self._talk(call, limit)
        finally:
            for task in (met, ended):
                task.cancel()
            await asyncio.gather(met, ended, return_exceptions=True)
