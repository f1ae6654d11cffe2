"""A loaded dialplan: immutable, and named by a hash of its content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ccengine.dialplan.expression import Prompt, QueueName, Value
from ccengine.dialplan.spoken import say_digits, say_number
from ccengine.dialplan.step import Step, Target, walk
from ccengine.dialplan.steps.sound import Say
from ccengine.errors import FlowError, Problem


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow: states of steps, and what holds when it is entered."""

    name: str
    start: str
    states: Mapping[str, tuple[Step, ...]]
    language: str = ""
    variables: Mapping[str, Value] = field(default_factory=dict)
    on_error: Target | None = None

    def steps(self) -> Iterator[Step]:
        """Yield every step of every state."""
        for steps in self.states.values():
            yield from steps


@dataclass(frozen=True, slots=True)
class Dialplan:
    """All flows of one set of files.

    ``version`` is a hash of the content; ``blank`` are the variables that some step sets, as
    they are before that; ``warnings`` are what a person should look at and no error.
    """

    version: str
    flows: Mapping[str, Flow]
    blank: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, frozenset[str]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = field(default=(), compare=False)

    def flow(self, name: str) -> Flow:
        """Return a flow; raises :class:`FlowError` when there is none of that name."""
        try:
            return self.flows[name]
        except KeyError:
            known = ", ".join(sorted(self.flows)) or "none"
            raise FlowError(f"there is no flow {name!r}", cure=f"known flows: {known}") from None

    def steps(self) -> Iterator[Step]:
        """Yield every step of every flow."""
        for flow in self.flows.values():
            yield from flow.steps()


def prompt_keys(dialplan: Dialplan) -> frozenset[str]:
    """Return the prompt keys that a dialplan plays, as far as they are written out.

    Keys with ``${…}`` inside are known only at run time.  A ``say`` step counts with the
    prompts of its digits or of numbers up to a billion, in each language used.
    """
    keys: set[str] = set()
    languages = dialplan_languages(dialplan)
    for step in dialplan.steps():
        for _, value in walk(step):
            if isinstance(value, Prompt) and value.constant is not None:
                keys.add(str(value.constant))
        if isinstance(step, Say):
            for language in (step.language,) if step.language else languages:
                keys |= spoken_keys(step, language)
    return frozenset(keys)


def spoken_keys(step: Say, language: str) -> set[str]:
    """Return the prompts that a ``say`` step may need in a language."""
    if step.digits is not None:
        return set(say_digits("0123456789*#", language))
    samples = [
        *range(-1, 1001),
        *(10**power + offset for power in range(3, 10) for offset in (0, 1)),
    ]
    return {key for number in samples for key in say_number(number, language)}


def dialplan_languages(dialplan: Dialplan) -> frozenset[str]:
    """Return the languages that flows and ``language`` steps name."""
    found = {flow.language for flow in dialplan.flows.values() if flow.language}
    for step in dialplan.steps():
        if step.NAME == "language":
            constant = getattr(step, "language", None)
            if constant is not None and constant.constant is not None:
                found.add(str(constant.constant))
    return frozenset(found)


def queue_names(dialplan: Dialplan) -> frozenset[str]:
    """Return the queues that a dialplan names, as far as they are written out."""
    return frozenset(
        str(value.constant)
        for step in dialplan.steps()
        for _, value in walk(step)
        if isinstance(value, QueueName) and value.constant is not None
    )


class DialplanStore:
    """The current dialplan, and older versions for as long as calls run on them."""

    __slots__ = ("_current", "_plans", "_users")

    def __init__(self, dialplan: Dialplan) -> None:
        self._plans = {dialplan.version: dialplan}
        self._users: dict[str, int] = {}
        self._current = dialplan.version

    @property
    def current(self) -> Dialplan:
        """The version that new calls get."""
        return self._plans[self._current]

    @property
    def versions(self) -> frozenset[str]:
        """All versions that are still held."""
        return frozenset(self._plans)

    def replace(self, dialplan: Dialplan) -> None:
        """Let new calls run on ``dialplan``; calls in progress keep theirs."""
        before, self._current = self._current, dialplan.version
        self._plans[dialplan.version] = dialplan
        self._forget(before)

    def get(self, version: str) -> Dialplan:
        """Return a version; raises :class:`FlowError` when it is no longer held."""
        try:
            return self._plans[version]
        except KeyError:
            raise FlowError(f"dialplan {version} is not held any more") from None

    def acquire(self) -> Dialplan:
        """Return the current version for a call, which must :meth:`release` it."""
        self._users[self._current] = self._users.get(self._current, 0) + 1
        return self.current

    def adopt(self, version: str) -> Dialplan:
        """Return the version of a call found again after a takeover, and count the call."""
        dialplan = self.get(version)
        self._users[version] = self._users.get(version, 0) + 1
        return dialplan

    def release(self, version: str) -> None:
        """Take note that a call on ``version`` is over."""
        left = self._users.get(version, 0) - 1
        if left > 0:
            self._users[version] = left
            return
        self._users.pop(version, None)
        self._forget(version)

    def _forget(self, version: str) -> None:
        if version != self._current and not self._users.get(version):
            self._plans.pop(version, None)
