"""Finds plugins by entry point and checks that they fit the hooks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any, TypeAlias

import pluggy

from ccengine.errors import HookError
from ccengine.hooks.spec import HOOKS, PROJECT, HookSpecs

ENTRY_POINTS = "ccengine.plugins"

PluginFinder: TypeAlias = Callable[[], Mapping[str, Callable[[], object]]]
"""Returns, by name, what loads each installed plugin."""


def installed_plugins() -> dict[str, Callable[[], object]]:
    """Return the loaders of every plugin that is installed, by name."""
    return {point.name: point.load for point in entry_points(group=ENTRY_POINTS)}


def create_plugin(name: str, found: Mapping[str, Callable[[], object]]) -> object:
    """Return a new instance of the named plugin.

    An entry point names a class, or a module whose class ``Plugin`` is meant.  Raises
    :class:`HookError` when there is none or it cannot be made.
    """
    if name not in found:
        near = get_close_matches(name, sorted(found), n=1)
        cure = f"did you mean {near[0]!r}?" if near else f"install it; there are {sorted(found)}"
        raise HookError(f"there is no plugin {name!r}", cure=cure)
    try:
        loaded = found[name]()
        factory = getattr(loaded, "Plugin", None) if isinstance(loaded, ModuleType) else loaded
        if not inspect.isclass(factory):
            raise HookError(
                f"plugin {name!r}: its entry point is neither a class nor a module with `Plugin`"
            )
        return factory()
    except HookError:
        raise
    except Exception as error:
        raise HookError(f"plugin {name!r} cannot be loaded: {error!r}") from error


def new_manager() -> pluggy.PluginManager:
    """Return a plugin manager that knows the hooks."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(HookSpecs)
    return manager


def register(manager: pluggy.PluginManager, name: str, plugin: object) -> None:
    """Register a plugin after a check of every implementation.

    Raises :class:`HookError` that names plugin, hook and both signatures.
    """
    for attribute in dir(plugin):
        options: Any = getattr(getattr(plugin, attribute, None), f"{PROJECT}_impl", None)
        if options is not None:
            _check(name, options.get("specname") or attribute, getattr(plugin, attribute), options)
    try:
        manager.register(plugin, name)
    except (pluggy.PluginValidationError, ValueError) as error:
        raise HookError(f"plugin {name!r}: {error}") from error


def _check(
    plugin: str, name: str, function: Callable[..., Any], options: Mapping[str, Any]
) -> None:
    hook = HOOKS.get(name)
    if hook is None:
        near = get_close_matches(name, list(HOOKS), n=1)
        cure = f"did you mean {near[0]!r}?" if near else f"there are {sorted(HOOKS)}"
        raise HookError(f"plugin {plugin!r}: there is no hook {name!r}", cure=cure)
    where = f"plugin {plugin!r}, hook {name!r}"
    if options.get("wrapper") or options.get("hookwrapper"):
        raise HookError(f"{where}: wrappers are not supported", cure="write a plain function")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise HookError(f"{where}: a generator cannot answer", cure="return the result")
    signature = inspect.signature(function)
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    unknown = [item for item in signature.parameters if item not in hook.arguments]
    if unknown or not kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD}:
        raise HookError(
            f"{where}: `{name}{signature}` does not fit `{hook.signature}`",
            cure=f"take arguments of {list(hook.arguments)} only",
        )
