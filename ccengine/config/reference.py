"""Whether what the configuration names exists and fits together."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from ccengine.config.number import pattern_mistake
from ccengine.config.schema import Settings
from ccengine.dialplan.source import Document, KeyPath
from ccengine.dialplan.validation import nearest
from ccengine.errors import Problem

EPHEMERAL = range(32768, 61000)
"""Ports that Linux gives to outgoing connections by default."""


def named(document: Document, section: str) -> frozenset[str]:
    """Return the names in a section, those with mistakes of their own included."""
    data = document.data.get(section) if isinstance(document.data, dict) else None
    return frozenset(data) if isinstance(data, dict) else frozenset()


def references(document: Document, settings: Settings, flows: Collection[str]) -> list[Problem]:
    """Return every reference that leads nowhere and every contradiction."""
    return [
        *_agents(document, settings),
        *_queues(document, settings, flows),
        *_numbers(document, settings, flows),
        *_listeners(document, settings),
        *_ports(document, settings),
    ]


def warnings(document: Document, settings: Settings) -> list[Problem]:
    """Return what works and should be looked at all the same."""
    ports = settings.media.ports
    if ports.last < EPHEMERAL.start or ports.first >= EPHEMERAL.stop:
        return []
    message = "the RTP ports overlap those of outgoing connections, 32768-60999"
    return [document.problem(("media", "ports"), message, "end below 32768")]


def _agents(document: Document, settings: Settings) -> Iterator[Problem]:
    extensions, queues = named(document, "extensions"), named(document, "queues")
    owners: dict[str, str] = {}
    for number, agent in settings.agents.items():
        path: KeyPath = ("agents", number)
        if agent.phone:
            where = (*path, "phone")
            if agent.phone not in extensions:
                cure = nearest(agent.phone, extensions)
                yield document.problem(where, f"there is no extension {agent.phone!r}", cure)
            elif agent.phone in owners:
                message = f"phone {agent.phone!r} belongs to agent {owners[agent.phone]} already"
                yield document.problem(where, message, "leave one of them without a phone")
            owners.setdefault(agent.phone, number)
        seen: set[str] = set()
        for index, membership in enumerate(agent.queues):
            name = membership.queue
            where = (*path, "queues", index, "queue")
            if name not in queues:
                cure = nearest(name, queues)
                yield document.problem(where, f"there is no queue {name!r}", cure)
            elif name in seen:
                yield document.problem(where, f"queue {name!r} stands here twice", "remove one")
            seen.add(name)


def _queues(document: Document, settings: Settings, flows: Collection[str]) -> Iterator[Problem]:
    for name, queue in settings.queues.items():
        if queue.wait_flow and queue.wait_flow not in flows:
            cure = nearest(queue.wait_flow, flows)
            path = ("queues", name, "wait_flow")
            yield document.problem(path, f"there is no flow {queue.wait_flow!r}", cure)


def _numbers(document: Document, settings: Settings, flows: Collection[str]) -> Iterator[Problem]:
    extensions, queues = named(document, "extensions"), named(document, "queues")
    for pattern, target in settings.numbers.items():
        path: KeyPath = ("numbers", pattern)
        mistake = pattern_mistake(pattern)
        if mistake:
            cure = "use digits, x, z, n and a dot at the end"
            yield document.problem(path, mistake, cure, key=True)
        if target.flow and target.flow not in flows:
            cure = nearest(target.flow, flows)
            message = f"there is no flow {target.flow!r}"
            yield document.problem((*path, "flow"), message, cure)
        if target.queue and target.queue not in queues:
            cure = nearest(target.queue, queues)
            message = f"there is no queue {target.queue!r}"
            yield document.problem((*path, "queue"), message, cure)
        plain = pattern.isdecimal()
        if target.extension and plain and pattern not in extensions:
            cure = nearest(pattern, extensions)
            yield document.problem(path, f"there is no extension {pattern!r}", cure, key=True)


def _listeners(document: Document, settings: Settings) -> Iterator[Problem]:
    names: set[str] = set()
    places: set[tuple[str, str, int]] = set()
    for index, listener in enumerate(settings.sip.listeners):
        path: KeyPath = ("sip", "listeners", index)
        if listener.name in names:
            message = f"listener {listener.name!r} exists already"
            yield document.problem((*path, "name"), message, "give it another name")
        place = (listener.transport, listener.host, listener.port)
        if listener.port and place in places:
            message = f"{listener.transport} {listener.host}:{listener.port} is listened on already"
            yield document.problem(path, message, "use another port or address")
        names.add(listener.name)
        places.add(place)


def _ports(document: Document, settings: Settings) -> Iterator[Problem]:
    ports = settings.media.ports
    for index, listener in enumerate(settings.sip.listeners):
        if listener.transport == "udp" and ports.first <= listener.port <= ports.last:
            message = (
                f"SIP port {listener.port} lies among the RTP ports {ports.first}-{ports.last}"
            )
            path = ("sip", "listeners", index, "port")
            yield document.problem(path, message, "move one of them")
    if ports.pairs < settings.media.workers:
        message = (
            f"{ports.pairs} pairs of RTP ports are too few for {settings.media.workers} workers"
        )
        yield document.problem(("media", "ports"), message, "widen the range")


def folders(document: Document, settings: Settings) -> Iterator[Problem]:
    """Yield what is wrong with the folders that are named."""
    written: list[tuple[KeyPath, Path]] = [
        (("journal", "folder"), settings.journal.folder),
        (("run", "folder"), settings.run.folder),
        (("store", "url"), Path(settings.store.url.removeprefix("sqlite:///")).parent),
    ]
    if settings.recording.mode != "off":
        written.append((("recording", "folder"), settings.recording.folder))
    for path, folder in written:
        mistake = unwritable(folder)
        if mistake:
            cure = "choose another folder, or give the user of the engine the right to write"
            yield document.problem(path, mistake, cure)
    for index, folder in enumerate(settings.prompts.folders):
        if not folder.is_dir():
            place = ("prompts", "folders", index)
            message = f"there is no folder {folder}"
            yield document.problem(place, message, "create it or correct the name")


def unwritable(folder: Path) -> str:
    """Return why nothing can be written to ``folder``, which need not exist; else empty."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        return f"{existing} is no folder"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"folder {existing} cannot be written"
    return ""
