"""Who may serve whom, and who is first: an index that never scans agents or entries.

Entries fall into *classes*: same queue, same skills required.  Agents fall into *profiles*:
same queues in the same order, same skills.  A class knows the heap of its waiting entries by
key and the heap of the idle agents who satisfy it; a profile knows its classes.  So a decision
looks at the heads of a few heaps, however many people wait.  Heaps are cleaned lazily.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from heapq import heapify, heappop, heappush
from typing import Any, TypeAlias

from ccengine.acd.record import EntryKey, Requirement
from ccengine.acd.settings import AgentSettings

Skills: TypeAlias = tuple[tuple[str, int], ...]

_SLACK = 64
_NOBODY: frozenset[str] = frozenset()


class EntryClass:
    """Entries of one queue that require the same skills."""

    __slots__ = ("idle", "live", "profiles", "queue", "skills", "waiting")

    def __init__(self, queue: str, skills: Skills) -> None:
        self.queue = queue
        self.skills = skills
        self.waiting: list[tuple[EntryKey, str]] = []
        self.live = 0
        self.idle: list[tuple[float, str]] = []
        self.profiles = 0


class Profile:
    """Agents with the same queues in the same order and the same skills.

    ``tiers`` holds, for each order of queue, the classes that these agents may serve.
    """

    __slots__ = ("queues", "skills", "tiers")

    def __init__(self, agent: AgentSettings) -> None:
        orders = sorted({membership.order for membership in agent.queues})
        self.queues = {item.queue: orders.index(item.order) for item in agent.queues}
        self.skills = dict(agent.skills)
        self.tiers: list[list[EntryClass]] = [[] for _ in orders]

    def satisfies(self, skills: Skills) -> bool:
        """Tell whether these agents know what is required."""
        known = self.skills
        return all(known.get(skill, 0) >= level for skill, level in skills)


class _QueueIndex:
    """The classes of a queue, the profiles and the agents that serve it."""

    __slots__ = ("agents", "classes", "profiles")

    def __init__(self) -> None:
        self.classes: dict[Skills, EntryClass] = {}
        self.profiles: list[Profile] = []
        self.agents: list[str] = []


class MatchIndex:
    """Waiting entries and idle agents, ready for the question who is next."""

    __slots__ = ("_idle", "_profile_of", "_profiles", "_queues", "_waiting")

    def __init__(self, agents: Iterable[AgentSettings]) -> None:
        self._queues: dict[str, _QueueIndex] = {}
        self._profiles: dict[Any, Profile] = {}
        self._profile_of: dict[str, Profile] = {}
        self._waiting: dict[str, EntryClass] = {}
        self._idle: dict[str, float] = {}
        for agent in agents:
            self._enrol(agent)

    def _enrol(self, agent: AgentSettings) -> None:
        identity = (frozenset(agent.queues), frozenset(agent.skills.items()))
        profile = self._profiles.get(identity)
        if profile is None:
            profile = self._profiles[identity] = Profile(agent)
            for queue in profile.queues:
                self._queue(queue).profiles.append(profile)
        self._profile_of[agent.id] = profile
        for queue in profile.queues:
            self._queue(queue).agents.append(agent.id)

    def _queue(self, name: str) -> _QueueIndex:
        index = self._queues.get(name)
        if index is None:
            index = self._queues[name] = _QueueIndex()
        return index

    def queues_of(self, agent_id: str) -> Iterable[str]:
        """Return the queues that an agent serves."""
        profile = self._profile_of.get(agent_id)
        return profile.queues if profile else ()

    def members(self, queue: str) -> int:
        """Return how many agents serve a queue."""
        index = self._queues.get(queue)
        return len(index.agents) if index else 0

    def servable(self, queue: str, requirement: Requirement) -> bool:
        """Tell whether any agent, signed in or not, serves the queue and knows enough."""
        return self._class(queue, requirement.skills).profiles > 0

    # --- waiting entries ---------------------------------------------------------------

    def add_entry(self, entry_id: str, queue: str, skills: Skills, key: EntryKey) -> None:
        """Let an entry wait; one that waits already changes its class."""
        self.remove_entry(entry_id)
        group = self._class(queue, skills)
        group.live += 1
        self._waiting[entry_id] = group
        heappush(group.waiting, (key, entry_id))

    def remove_entry(self, entry_id: str) -> None:
        """Let an entry no longer wait; unknown ones are no matter."""
        group = self._waiting.pop(entry_id, None)
        if group is None:
            return
        group.live -= 1
        if group.waiting and group.waiting[0][1] == entry_id:
            heappop(group.waiting)
        elif len(group.waiting) > 2 * group.live + _SLACK:
            fresh = {item for item in group.waiting if self._waiting.get(item[1]) is group}
            group.waiting = list(fresh)
            heapify(group.waiting)

    def best_entry(self, agent_id: str, barred: Container[str] = _NOBODY) -> str | None:
        """Return the entry that an agent should get: his first queues first, then by key."""
        profile = self._profile_of.get(agent_id)
        if profile is None:
            return None
        for tier in profile.tiers:
            best: tuple[EntryKey, str] | None = None
            for group in tier:
                if group.live:
                    head = self._first_waiting(group, barred)
                    if head is not None and (best is None or head < best):
                        best = head
            if best is not None:
                return best[1]
        return None

    def _first_waiting(
        self, group: EntryClass, barred: Container[str]
    ) -> tuple[EntryKey, str] | None:
        heap, waiting = group.waiting, self._waiting
        aside: list[tuple[EntryKey, str]] = []
        found = None
        while heap:
            head = heap[0]
            if waiting.get(head[1]) is not group:
                heappop(heap)
            elif head[1] in barred:
                aside.append(heappop(heap))
            else:
                found = head
                break
        for item in aside:
            heappush(heap, item)
        return found

    # --- idle agents -------------------------------------------------------------------

    def add_agent(self, agent_id: str, idle_since: float) -> None:
        """Let an agent be idle since ``idle_since``."""
        self._idle[agent_id] = idle_since
        profile = self._profile_of.get(agent_id)
        if profile is None:
            return
        item = (idle_since, agent_id)
        for tier in profile.tiers:
            for group in tier:
                heappush(group.idle, item)
                if len(group.idle) > 2 * len(self._idle) + _SLACK:
                    self._clean_idle(group)

    def remove_agent(self, agent_id: str) -> None:
        """Let an agent no longer be idle."""
        self._idle.pop(agent_id, None)

    def best_agent(self, entry_id: str, barred: Container[str] = _NOBODY) -> str | None:
        """Return the longest idle agent who may serve a waiting entry."""
        group = self._waiting.get(entry_id)
        if group is None:
            return None
        heap, idle = group.idle, self._idle
        aside: list[tuple[float, str]] = []
        found = None
        while heap:
            since, agent_id = heap[0]
            if idle.get(agent_id) != since:
                heappop(heap)
            elif agent_id in barred:
                aside.append(heappop(heap))
            else:
                found = agent_id
                break
        for item in aside:
            heappush(heap, item)
        return found

    def _clean_idle(self, group: EntryClass) -> None:
        group.idle = list({item for item in group.idle if self._idle.get(item[1]) == item[0]})
        heapify(group.idle)

    # --- classes -----------------------------------------------------------------------

    def _class(self, queue: str, skills: Skills) -> EntryClass:
        index = self._queue(queue)
        group = index.classes.get(skills)
        if group is None:
            self._drop_empty(index)
            group = index.classes[skills] = EntryClass(queue, skills)
            for profile in index.profiles:
                if profile.satisfies(skills):
                    profile.tiers[profile.queues[queue]].append(group)
                    group.profiles += 1
            for agent_id in index.agents:
                since = self._idle.get(agent_id)
                if since is not None and self._profile_of[agent_id].satisfies(skills):
                    group.idle.append((since, agent_id))
            heapify(group.idle)
        return group

    def _drop_empty(self, index: _QueueIndex) -> None:
        # Requirements that never come back (one set of skills for each caller) must not pile
        # up; dropping many at once keeps the cost of each small.
        live = sum(1 for group in index.classes.values() if group.live)
        if len(index.classes) <= 2 * live + _SLACK:
            return
        index.classes = {skills: group for skills, group in index.classes.items() if group.live}
        kept = {id(group) for group in index.classes.values()}
        for profile in index.profiles:
            for place, tier in enumerate(profile.tiers):
                profile.tiers[place] = [
                    group
                    for group in tier
                    if self._queues[group.queue] is not index or id(group) in kept
                ]
