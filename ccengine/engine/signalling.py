"""The signalling process: one loop that feeds the core and carries out what it wants.

Every input schedules one drain.  A drain writes its facts to the journal as one frame before
anything of it leaves the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from ccengine.api.control import SOCKET_NAME, ControlServer
from ccengine.api.registry import CommandRegistry
from ccengine.bus import Bus
from ccengine.center.output import ResolveCustomer
from ccengine.clock import Clock, SystemClock, boot_id
from ccengine.config.change import changed_cold, with_cold
from ccengine.config.loader import Config, load_config
from ccengine.dialplan.plan import DialplanStore
from ccengine.engine.assembly import Surroundings, assemble
from ccengine.engine.books import Books
from ccengine.engine.command import register_commands
from ccengine.engine.core import FACTS, Core
from ccengine.engine.keeper_watch import KeeperWatch
from ccengine.engine.kept import KeptConfig, Sources
from ccengine.engine.parts import (
    load_hooks,
    net_settings,
    nonce_secret,
    prompts_of,
    worker_names,
    worker_socket,
)
from ccengine.engine.worker_socket import WorkerSocket
from ccengine.errors import JournalError
from ccengine.events import CallFinished
from ccengine.hooks.hooks import Hooks
from ccengine.ids import RandomIds
from ccengine.journal.journal import Journal
from ccengine.journal.registry import Registry
from ccengine.journal.replay import replay
from ccengine.keeper.client import KeeperClient
from ccengine.media.link_record import LinkSend
from ccengine.net.layer import NetLayer
from ccengine.sip.flow import Flow

TIMER_GRID_S = 0.01
"""Timers fire on this grid: at hundreds of calls a second many share one turn of the loop."""
PLUGINS_S = 0.2
"""How long the start waits for plugins; who is later is asked from then on."""
BYE_LIMIT_S = 3.0
"""How long the last BYEs and counts may take once everything has been hung up."""

_log = logging.getLogger(__name__)


class Signalling:
    """Owns the loop's side of everything: sockets, journal, timers, hooks, control socket."""

    def __init__(
        self,
        config: Config,
        *,
        keeper: KeeperClient | None = None,
        clock: Clock | None = None,
        hooks: Hooks | None = None,
        kept: KeptConfig | None = None,
    ) -> None:
        self.config = config
        self.hooks = hooks if hooks is not None else load_hooks(config)
        self._kept = kept
        self.clock = clock if clock is not None else SystemClock()
        self.started = self.clock.now()
        self._keeper = KeeperWatch(keeper, self._on_beat)
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = float("inf")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._finished = asyncio.Event()
        self._drained = asyncio.Event()
        self._stopping = False
        self.bus = Bus()

    # --- start ---------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the journal, replay it, take up sockets and workers, and serve."""
        settings = self.config.settings
        for folder in (settings.journal.folder, settings.run.folder):
            folder.mkdir(parents=True, exist_ok=True)
        self._open_journal()
        # A plugin that takes its time must not keep callers waiting.
        plugins = self._spawn(self.hooks.start())
        self._tells_ends = self.hooks.has("call_ended")
        self.net = NetLayer(
            net_settings(self.config),
            self._on_message,
            self._on_flow_failed,
            # Above every connection of our predecessors, so that numbers never repeat.
            first_connection=self.journal.epoch << 32,
        )
        self.core = self._assemble()
        self._replay()
        await self._start_net()
        self._workers = {name: self._worker(name) for name in worker_names(self.config)}
        for worker in self._workers.values():
            worker.start()
        registry = CommandRegistry()
        register_commands(registry, self)
        self._control = ControlServer(settings.run.folder / SOCKET_NAME, registry)
        await self._control.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        self._keeper.start()
        await asyncio.wait([plugins], timeout=PLUGINS_S)
        self.changed()

    def _open_journal(self) -> None:
        settings = self.config.settings.journal
        self._registry = Registry(FACTS)
        self.journal = Journal.open(
            settings.folder,
            boot_id=boot_id(),
            clock=self.clock,
            segment_bytes=settings.segment_mb << 20,
            registry=self._registry,
        )
        self._books = Books(self.journal)

    def _assemble(self) -> Core:
        settings = self.config.settings
        self._dialplans = DialplanStore(self.config.dialplan)
        return assemble(
            settings,
            Surroundings(
                ids=RandomIds(),
                boot_id=boot_id(),
                secret=nonce_secret(settings.journal.folder, boot_id()),
                local_address=self.net.local_address,
                prompts=prompts_of(self.config),
                dialplans=self._dialplans,
                workers=worker_names(self.config),
                resolves_customers=self.hooks.has("resolve_customer"),
            ),
        )

    def _replay(self) -> None:
        begun = self.clock.now()
        count, boot = 0, boot_id()
        past = replay(self.config.settings.journal.folder, self._registry, skip_damage=True)
        for frame in past:
            known = sum(self.core.apply(fact) for fact in frame.facts)
            if known:
                count, boot = count + known, frame.boot_id
        now, at = self.clock.now(), self.clock.at()
        self.core.resume(now, at, boot_id(), rebooted=boot != boot_id())
        _log.info(
            "epoch %d: %d facts replayed in %.2f s, %d calls go on",
            self.journal.epoch,
            count,
            now - begun,
            len(self.core.machines.switch.state.calls),
        )

    async def _start_net(self) -> None:
        wanted = {one.name for one in self.config.settings.sip.listeners}
        await self.net.start(self._keeper.collect(wanted))
        self._keeper.deposit(self.net.sockets())

    def _worker(self, name: str) -> WorkerSocket:
        return WorkerSocket(
            name,
            worker_socket(self.config, name),
            on_open=self._on_worker_open,
            on_close=self._on_worker_close,
            on_packet=self._on_worker_packet,
        )

    def _on_beat(self) -> None:
        if self._books.waiting:
            self.changed()

    # --- inputs --------------------------------------------------------------------------------

    def _on_message(self, data: bytes, flow: Flow) -> None:
        self.core.sip_message(data, flow, self.clock.now())
        self.changed()

    def _on_flow_failed(self, flow: Flow, reason: str) -> None:
        _log.debug("flow to %s failed: %s", flow.remote, reason)
        self.core.flow_failed(flow, self.clock.now())
        self.changed()

    def _on_worker_open(self, name: str) -> None:
        self.core.machines.media.attach(name, self.journal.epoch)
        self.changed()

    def _on_worker_close(self, name: str) -> None:
        self.core.machines.media.detach(name)
        self.changed()

    def _on_worker_packet(self, name: str, data: bytes) -> None:
        self.core.media_packet(name, data, self.clock.now(), self.clock.at())
        self.changed()

    def _on_time(self) -> None:
        self._timer = None
        self._armed_for = float("inf")
        self.core.handle_timeout(self.clock.now(), self.clock.at())
        self.changed()

    # --- the drain -----------------------------------------------------------------------------

    def changed(self) -> None:
        """Let a drain follow in this turn of the loop: many inputs, one frame."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        self._scheduled = False
        now, at = self.clock.now(), self.clock.at()
        batch = self.core.drain(now, at)
        self._books.write(batch.facts, now, at)
        self.core.machines.context.accepting = not self._closed and self._books.has_room()
        for output in batch.media:
            worker = self._workers.get(output.worker)
            if worker is None:
                continue
            if isinstance(output, LinkSend):
                worker.send(output.data)
            else:
                worker.drop(output.reason)
        for transmit in batch.transmits:
            self.net.send(transmit.data, transmit.flow)
        for question in batch.customers:
            self._spawn(self._resolve(question))
        if self._tells_ends:
            for event in batch.events:
                if isinstance(event, CallFinished):
                    self._spawn(self._call_ended(event))
        for event in batch.events:
            self.bus.publish(event)
        self._arm(now)
        self._drained.set()

    def _arm(self, now: float) -> None:
        due = self.core.next_timeout()
        if due is None:
            return
        due = math.ceil(max(due, now) / TIMER_GRID_S) * TIMER_GRID_S
        if due == self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = due
        loop = asyncio.get_running_loop()
        # Whole milliseconds, rounded up: the loop would round and wake up before its time.
        self._timer = loop.call_later(math.ceil((due - now) * 1000) / 1000, self._on_time)

    # --- plugins -------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _resolve(self, question: ResolveCustomer) -> None:
        customer = await self.hooks.first("resolve_customer", number=question.number)
        self.core.machines.center.customer_resolved(
            question.call_id,
            str(customer.customer_id) if customer is not None else "",
            customer.name if customer is not None else "",
            self.clock.now(),
            self.clock.at(),
        )
        self.changed()

    async def _call_ended(self, event: CallFinished) -> None:
        await self.hooks.all("call_ended", event=event)

    # --- stop ----------------------------------------------------------------------------------

    def stop(self) -> None:
        """Take no new calls, let the running ones end, then end; at once when asked twice."""
        switch = self.core.machines.switch
        self._closed = True
        switch.stop_accepting()
        if self._stopping:
            self._hang_up_everything()
            return
        self._stopping = True
        calls = len(switch.state.calls)
        limit = self.config.settings.run.drain_s
        if calls:
            _log.info("stopping: %d calls may go on for %g s", calls, limit)
        self._spawn(self._wind_down(limit))

    async def reload(self) -> tuple[str, ...]:
        """Take the hot part of the configuration file; return cold changes that wait.

        Raises :class:`ccengine.errors.ConfigError` with every mistake, and then everything
        stays as it was.
        """
        # Reading takes long enough to be heard in a busy loop.
        sources = Sources()
        new = await asyncio.to_thread(load_config, self.config.path, read=sources.read)
        waiting = changed_cold(self.config.settings, new.settings)
        new = replace(new, settings=with_cold(self.config.settings, new.settings))
        self._dialplans.replace(new.dialplan)
        self.core.reload(new.settings, prompts_of(new), self.clock.now(), self.clock.at())
        logging.getLogger().setLevel(new.settings.log.level.upper())
        self.config = new
        self._keep(sources)
        self.changed()
        _log.info("configuration reloaded")
        return waiting

    def _keep(self, sources: Sources) -> None:
        """Let a successor have what was reloaded."""
        if self._kept is None:
            return
        try:
            self._kept.reload(self.config.path, sources.texts)
        except OSError as error:
            _log.error("a successor will not know of this reload: %s", error)

    async def stop_all(self) -> None:
        """Stop every process of this engine; the keeper would start this one again."""
        if not await self._keeper.stop_all():
            self.stop()

    def drain_only(self) -> None:
        """Take no new calls, and go on with the others."""
        self._closed = True
        self.core.machines.switch.stop_accepting()

    def _hang_up_everything(self) -> None:
        switch = self.core.machines.switch
        for call_id in tuple(switch.state.calls):
            switch.hang_up(call_id, "shutdown", self.clock.now(), self.clock.at())
        self.changed()

    async def _wind_down(self, limit_s: float) -> None:
        state = self.core.machines.switch.state
        await self._until(lambda: not state.calls, limit_s)
        self._hang_up_everything()
        sip, media = self.core.machines.sip, self.core.machines.media
        await self._until(
            lambda: not (state.closing or sip.dialogs or media.finishing()), BYE_LIMIT_S
        )
        self._finished.set()

    async def _until(self, done: Callable[[], bool], limit_s: float) -> None:
        """Wait until something holds after a drain, or the limit has passed."""
        end = self.clock.now() + limit_s
        with contextlib.suppress(TimeoutError):
            while not done():
                self._drained.clear()
                await asyncio.wait_for(self._drained.wait(), max(0.0, end - self.clock.now()))

    async def serve(self) -> None:
        """Run until stopped, then let go of everything."""
        await self._finished.wait()
        await self.close()

    async def close(self) -> None:
        """Let go of everything in order."""
        await self._control.close()
        for task in tuple(self._tasks):
            if task is not asyncio.current_task():
                task.cancel()
        await self.hooks.stop()
        if self._timer is not None:
            self._timer.cancel()
        self._drain()
        if self._timer is not None:
            self._timer.cancel()
        for worker in self._workers.values():
            worker.close()
        await self.net.close()
        try:
            self.journal.close()
        except JournalError as error:
            _log.error("%s", error)
