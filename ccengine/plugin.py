"""All that a plugin needs, and all that it may import of the engine.

A plugin is a class whose methods are marked with :data:`hookimpl`; an entry point of the
group ``ccengine.plugins`` names the class, or a module that calls it ``Plugin``.  Methods are
``async def``, or plain functions, which may block and run in threads of the plugin's own.
The hooks are described in ``docs/reference/hooks.md``.
"""

from __future__ import annotations

from ccengine.errors import CcengineError, DocumentError, HookError, Problem, StoreError
from ccengine.events import (
    AgentChanged,
    AlarmCleared,
    AlarmRaised,
    CallConnected,
    CallFinished,
    CallStarted,
    Event,
    RegistrationChanged,
)
from ccengine.hooks.payload import Customer, PluginContext
from ccengine.hooks.spec import hookimpl

__all__ = [
    "AgentChanged",
    "AlarmCleared",
    "AlarmRaised",
    "CallConnected",
    "CallFinished",
    "CallStarted",
    "CcengineError",
    "Customer",
    "DocumentError",
    "Event",
    "HookError",
    "PluginContext",
    "Problem",
    "RegistrationChanged",
    "StoreError",
    "hookimpl",
]
