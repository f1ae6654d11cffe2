"""The customers plugin: finds who calls, counts the calls."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from ccengine.plugin import CallFinished, Customer, HookError, PluginContext, hookimpl
from ccengine.plugins.customers.importer import read_csv
from ccengine.plugins.customers.number import normalise
from ccengine.plugins.customers.store import CustomerStore, ImportResult

_SETTINGS = ("area_code", "database_url")


@dataclass(frozen=True, slots=True)
class CustomersSettings:
    """Settings of this plugin.

    ``area_code`` completes local numbers; ``database_url`` is a database of the plugin's own
    instead of the engine's.
    """

    area_code: str = ""
    database_url: str = ""

    @classmethod
    def of(cls, context: PluginContext) -> CustomersSettings:
        """Return the settings of a context; raises :class:`HookError` for wrong ones."""
        given: dict[str, Any] = dict(context.settings)
        for name, value in given.items():
            if name not in _SETTINGS:
                raise HookError(
                    f"plugin {context.name!r}: unknown setting {name!r}",
                    cure=f"there are {', '.join(_SETTINGS)}",
                )
            if not isinstance(value, str):
                raise HookError(f"plugin {context.name!r}: {name} must be text in quotes")
        return cls(**given)


def open_store(context: PluginContext) -> CustomerStore:
    """Return the store of a context: its own database, the engine's, or SQLite in its folder."""
    own = CustomersSettings.of(context).database_url
    embedded = URL.create("sqlite", database=str(context.data_dir / "customers.db"))
    return CustomerStore(own or context.database_url or embedded)


def import_csv(store: CustomerStore, path: Path, area_code: str = "") -> ImportResult:
    """Take customers over from a CSV file, all or none; raises :class:`DocumentError`."""
    return store.save(read_csv(path, area_code))


class Plugin:
    """Implements the hooks.  The methods block and so run in the plugin's own threads."""

    def __init__(self) -> None:
        self._store: CustomerStore | None = None
        self._area_code = ""

    @hookimpl
    def plugin_startup(self, context: PluginContext) -> None:
        """Read the settings; a database that is not there yet is asked again at each call."""
        self._area_code = CustomersSettings.of(context).area_code
        self._store = open_store(context)

    @hookimpl
    def plugin_shutdown(self) -> None:
        """Close the database."""
        if self._store is not None:
            self._store.close()

    @hookimpl
    def resolve_customer(self, number: str) -> Customer | None:
        """Find the customer whose number calls."""
        spelling = normalise(number, self._area_code)
        if self._store is None or not spelling:
            return None
        row = self._store.find(spelling)
        if row is None:
            return None
        return Customer(str(row.id), row.name, row.level, row.note)

    @hookimpl
    def call_ended(self, event: CallFinished) -> None:
        """Count the call of the customer who called."""
        spelling = normalise(event.caller_number, self._area_code)
        if self._store is not None and spelling:
            self._store.count_call(spelling, event.at)
