"""A whole engine that is treated badly: what tests ask of it, and that it still serves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from ccengine.errors import StoreError
from ccengine.journal.cdr import CdrCall
from ccengine.phone import Answer, Behaviour, FarmSettings, Phone, PhoneFarm
from ccengine.testing.engine import RunningEngine
from ccengine.testing.raw_sip import RawSip
from ccengine.testing.waiting import wait_until

CALLER, CALLEE = "1006", "1005"
SETTLE_S = 15.0


class TriedEngine(RunningEngine):
    """A running engine that counts, tells, and proves that it still takes calls."""

    def raw(self, transport: str = "UDP") -> RawSip:
        """Return a peer without manners, from the engine's own address."""
        return RawSip(self.registrar, transport=transport, host=self.address)

    def counts(self, room: str) -> dict[str, int]:
        """Return the counters of ``sip``, ``net`` or ``switch``."""
        return dict(self.ask("status")[room])

    def count(self, room: str, name: str) -> int:
        """Return one counter."""
        return self.counts(room)[name]

    def told(self, *words: str) -> list[str]:
        """Return the lines of the log with all of the words in them."""
        return [line for line in tuple(self.log) if all(word in line for word in words)]

    def recorded(self) -> list[CdrCall]:
        """Return the records of calls, the latest first; none before the writer has begun."""
        try:
            records = self.records
        except StoreError:
            return []
        try:
            return records.recent_calls(100_000)
        finally:
            records.close()

    def mishaps(self) -> list[str]:
        """Return what must never be in the log: tracebacks, and processes that died."""
        signs = ("Traceback", "Exception in", "Task exception", "never retrieved")
        return [
            line
            for line in tuple(self.log)
            if any(sign in line for sign in signs) or (" ended: " in line and "keeper[" in line)
        ]

    @asynccontextmanager
    async def farm(self, **settings: Any) -> AsyncIterator[PhoneFarm]:
        """Open a farm of phones; in the end all of them unregister, vanished ones as well."""
        options = {"registrar": self.registrar, "domain": "ccengine", "host": self.address}
        async with PhoneFarm(FarmSettings(**(options | settings))) as farm:
            yield farm
            for phone in farm.phones.values():
                await phone.unregister()

    async def phone(
        self, farm: PhoneFarm, user: str, behaviour: Behaviour | None = None, **options: Any
    ) -> Phone:
        """Return a registered phone with the password of the sample configuration."""
        wanted = behaviour if behaviour is not None else Answer()
        phone = farm.phone(user, f"demo{user}", behaviour=wanted, **options)
        await phone.register()
        return phone

    def sign_in(self, agent: str) -> None:
        """Sign an agent in at his own phone, which is registered, and wait until he is ready."""
        self.ask("agent", agent=agent, action="sign_in")
        wait_until(lambda: self.agent_state(agent) == "Ready", f"readiness of {agent}")

    def settled(self, timeout_s: float = SETTLE_S) -> None:
        """Wait until no call, leg, dialog or leased port is left."""
        wait_until(self.idle, "end of all calls", timeout_s, 0.05)

    def takes_a_call(self) -> None:
        """Prove that a normal call works: into the menu, and from phone to phone."""
        asyncio.run(self._talk())
        self.settled()

    async def _talk(self) -> None:
        async with self.farm() as farm:
            caller = await self.phone(farm, CALLER)
            call = await caller.dial("4001").answered()
            await call.hears(5)
            call.hang_up()
            callee = await self.phone(farm, CALLEE)
            call = await caller.dial(CALLEE).answered()
            await call.hears(3)
            other = callee.calls[0]
            await other.hears(3)
            call.hang_up()
            await other.ended()


@contextmanager
def tried_engine(folder: Path, changes: dict[str, Any] | None = None) -> Iterator[TriedEngine]:
    """Run an engine; at the end there is no mishap in its log."""
    engine = TriedEngine(folder, changes)
    with engine:
        # It answers a moment before it says so; later lines are then the test's own doing.
        wait_until(lambda: engine.told("signalling is ready"), "last word of the start", 10)
        yield engine
        mishaps = engine.mishaps()
        assert not mishaps, "\n".join((*mishaps, "---", *engine.log[-60:]))
