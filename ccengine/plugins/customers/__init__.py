"""Customers: who belongs to a number, and how often they called."""

from __future__ import annotations

from ccengine.plugins.customers.importer import read_csv
from ccengine.plugins.customers.number import normalise
from ccengine.plugins.customers.plugin import Plugin, import_csv, open_store
from ccengine.plugins.customers.store import CustomerRow, CustomerStore, ImportResult

__all__ = [
    "CustomerRow",
    "CustomerStore",
    "ImportResult",
    "Plugin",
    "import_csv",
    "normalise",
    "open_store",
    "read_csv",
]
