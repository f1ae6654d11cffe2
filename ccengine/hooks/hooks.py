"""The plugins of a running engine and the one door through which they are called."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ccengine.errors import HookError
from ccengine.hooks.dispatch import Dispatcher, HookCounters, Implementation, deadline_of
from ccengine.hooks.loader import (
    PluginFinder,
    create_plugin,
    installed_plugins,
    new_manager,
    register,
)
from ccengine.hooks.payload import PluginContext
from ccengine.hooks.spec import HOOKS
from ccengine.hooks.worker import PluginWorker

_log = logging.getLogger("ccengine.hooks")


class Hooks:
    """Calls plugins: ``await hooks.first("resolve_customer", number="…")``.

    A call is over after its deadline at the latest and never raises on behalf of a plugin.
    """

    def __init__(self) -> None:
        self._manager = new_manager()
        self._dispatcher = Dispatcher()
        self._contexts: dict[str, PluginContext] = {}
        self._workers: dict[str, PluginWorker] = {}
        self._counters: dict[tuple[str, str], HookCounters] = {}
        self._table: dict[str, tuple[Implementation, ...]] = dict.fromkeys(HOOKS, ())

    @classmethod
    def load(
        cls,
        names: Sequence[str],
        settings: Mapping[str, Mapping[str, Any]],
        *,
        data_dir: Path,
        database_url: str = "",
        find: PluginFinder = installed_plugins,
    ) -> Hooks:
        """Load the named plugins, each with its part of ``settings`` by name.

        Earlier names are asked first.  Raises :class:`HookError` for a plugin that does not
        exist, cannot be loaded or does not fit the hooks.
        """
        hooks, found = cls(), find()
        for name in names:
            context = PluginContext(name, data_dir / name, settings.get(name, {}), database_url)
            hooks.add(context, create_plugin(name, found))
        return hooks

    def add(self, context: PluginContext, plugin: object) -> None:
        """Register one plugin object under the name of its context."""
        if context.name in self._contexts:
            raise HookError(f"plugin {context.name!r} is named twice")
        register(self._manager, context.name, plugin)
        self._contexts[context.name] = context
        self._workers[context.name] = PluginWorker(context.name)
        self._rebuild()

    def _rebuild(self) -> None:
        # pluggy keeps the last registered at the end and calls from the end; here the order
        # of the configuration counts, tryfirst and trylast before it.
        for name, hook in HOOKS.items():
            impls = getattr(self._manager.hook, name).get_hookimpls()
            ranks = {plugin: place for place, plugin in enumerate(self._contexts)}
            impls.sort(key=lambda impl: (impl.trylast - impl.tryfirst, ranks[impl.plugin_name]))
            self._table[name] = tuple(
                Implementation(
                    plugin=impl.plugin_name,
                    hook=hook,
                    impl=impl,
                    worker=None
                    if inspect.iscoroutinefunction(impl.function)
                    else self._workers[impl.plugin_name],
                    counters=self._counters.setdefault((impl.plugin_name, name), HookCounters()),
                )
                for impl in impls
            )

    @property
    def plugins(self) -> tuple[str, ...]:
        """The plugins in use, in the order of the configuration."""
        return tuple(self._contexts)

    @property
    def counters(self) -> Mapping[tuple[str, str], HookCounters]:
        """What each plugin did with each hook, by (plugin, hook)."""
        return self._counters

    def has(self, name: str) -> bool:
        """Tell whether any plugin listens to a hook."""
        return bool(self._table[name])

    async def first(self, name: str, *, deadline_s: float | None = None, **arguments: Any) -> Any:
        """Return the first answer that is not None, or None."""
        implementations = self._table[name]
        if not implementations:
            return None
        _check_call(name, arguments, first=True)
        deadline = deadline_of(name, deadline_s)
        return await self._dispatcher.first(implementations, arguments, deadline)

    async def all(
        self, name: str, *, deadline_s: float | None = None, **arguments: Any
    ) -> list[Any]:
        """Call every plugin that listens and return the answers of those that gave one."""
        implementations = self._table[name]
        if not implementations:
            return []
        _check_call(name, arguments, first=False)
        deadline = deadline_of(name, deadline_s)
        return await self._dispatcher.all(implementations, arguments, deadline)

    async def start(self) -> tuple[str, ...]:
        """Start every plugin with its own context; return the names of those left out.

        A plugin that fails, or takes longer than the deadline, is logged and not called again.
        """
        started = {item.plugin: item for item in self._table["plugin_startup"]}
        left_out = []
        for name, context in tuple(self._contexts.items()):
            try:
                await asyncio.to_thread(context.data_dir.mkdir, parents=True, exist_ok=True)
            except OSError as error:
                _log.error("plugin %r: no folder for its data: %s", name, error)
                left_out.append(name)
                continue
            item = started.get(name)
            if item is None:
                continue
            deadline = deadline_of("plugin_startup", None)
            arguments = {"context": context}
            if not await self._dispatcher.all([item], arguments, deadline):
                left_out.append(name)
        for name in left_out:
            self._drop(name)
        return tuple(left_out)

    async def stop(self) -> None:
        """Shut every plugin down and let its threads end."""
        await self.all("plugin_shutdown")
        for name in tuple(self._contexts):
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._manager.unregister(name=name)
        del self._contexts[name]
        self._workers.pop(name).stop()
        self._rebuild()


def _check_call(name: str, arguments: Mapping[str, Any], *, first: bool) -> None:
    hook = HOOKS[name]
    if set(arguments) != set(hook.arguments) or first != hook.first:
        way = "first" if hook.first else "all"
        raise HookError(f"hook {name!r} is called with {way}() as {hook.signature}")
