"""The hooks: each with its arguments, its kind of result and its deadline.

Documented for plugin authors in ``docs/reference/hooks.md``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, NoneType
from typing import Any, get_type_hints

import pluggy

from ccengine.events import CallFinished
from ccengine.hooks.payload import Customer, PluginContext

PROJECT = "ccengine"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a method of a plugin as the implementation of the hook of the same name."""


class HookSpecs:
    """Every hook of the engine."""

    @hookspec
    def plugin_startup(self, context: PluginContext) -> None:
        """Prepare for work; a plugin that fails here is left out until the next start."""

    @hookspec
    def plugin_shutdown(self) -> None:
        """Let go of files and connections."""

    @hookspec(firstresult=True)
    def resolve_customer(self, number: str) -> Customer | None:
        """Tell who a calling party's number belongs to, None when not known here."""

    @hookspec
    def call_ended(self, event: CallFinished) -> None:
        """Learn that a call is over and its CDR is in the journal."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook as the dispatcher sees it.

    ``result`` are the types that an implementation may return; ``deadline_s`` is how long
    one implementation may take when the caller names no deadline.
    """

    name: str
    arguments: tuple[str, ...]
    result: tuple[type, ...]
    first: bool
    deadline_s: float
    signature: str


_DEADLINES_S = {
    "plugin_startup": 10.0,
    "plugin_shutdown": 5.0,
    "resolve_customer": 0.5,
    "call_ended": 5.0,
}


def _hook_of(name: str) -> Hook:
    function = getattr(HookSpecs, name)
    hints = get_type_hints(function)
    arguments = tuple(inspect.signature(function).parameters)[1:]
    shown = ", ".join(f"{item}: {hints[item].__name__}" for item in arguments)
    result = hints["return"]
    types = getattr(result, "__args__", (result,))
    return Hook(
        name=name,
        arguments=arguments,
        result=types,
        first=bool(function.ccengine_spec["firstresult"]),
        deadline_s=_DEADLINES_S[name],
        signature=f"{name}({shown}) -> {_type_name(types)}",
    )


def _type_name(types: tuple[Any, ...]) -> str:
    return " | ".join("None" if item is NoneType else item.__name__ for item in types)


HOOKS: Mapping[str, Hook] = MappingProxyType(
    {
        name: _hook_of(name)
        for name, item in vars(HookSpecs).items()
        if hasattr(item, "ccengine_spec")
    }
)
"""Every hook by name."""
