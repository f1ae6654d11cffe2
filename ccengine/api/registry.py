"""The one registry of commands and queries behind the command line and the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias

from ccengine.errors import CommandError

Right: TypeAlias = Literal["look", "steer", "operate"]
"""``look`` at state, ``steer`` agents and calls, ``operate`` the engine itself."""

Arguments: TypeAlias = Mapping[str, Any]
Handler: TypeAlias = Callable[["Actor", Arguments], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: a name for the books, and what that person may do."""

    name: str
    rights: frozenset[Right]


LOCAL_OPERATOR = Actor("local", frozenset({"look", "steer", "operate"}))
"""Whoever can open the control socket: the file's permissions are the check."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command or query: its name, the right that it needs, its arguments by name."""

    name: str
    right: Right
    help: str
    arguments: tuple[str, ...]
    handler: Handler


class CommandRegistry:
    """Commands by name, each carried out only for an actor who may."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}

    def add(
        self,
        name: str,
        handler: Handler,
        *,
        right: Right,
        help_text: str,
        arguments: tuple[str, ...] = (),
    ) -> None:
        """Register a command; a name is used once."""
        if name in self._commands:
            raise CommandError(f"command {name!r} is registered twice")
        self._commands[name] = Command(name, right, help_text, arguments, handler)

    def __iter__(self) -> Any:
        """Go through the commands in the order of registration."""
        return iter(self._commands.values())

    async def run(self, name: str, arguments: Arguments, actor: Actor) -> Any:
        """Carry out a command and return its answer, made of plain values.

        Raises :class:`CommandError` for an unknown command or argument, or a missing right.
        """
        command = self._commands.get(name)
        if command is None:
            near = get_close_matches(name, self._commands, n=1)
            raise CommandError(
                f"there is no command {name!r}",
                cure=f"did you mean {near[0]!r}?" if near else "see `ccengine --help`",
            )
        if command.right not in actor.rights:
            raise CommandError(f"{actor.name} may not {name}", cure=f"needs: {command.right}")
        unknown = sorted(set(arguments) - set(command.arguments))
        if unknown:
            known = ", ".join(command.arguments) or "none"
            raise CommandError(f"{name}: unknown argument {unknown[0]!r}", cure=f"known: {known}")
        return await command.handler(actor, arguments)
