"""The demo's folder: the sample configuration with ports of its own, flows, customers."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ccengine.config.data import data_folder, sample_config
from ccengine.errors import CommandError
from ccengine.net.settings import ListenerSettings
from ccengine.net.sockets import ListenError, open_listener, source_address

MARK = "# Written by `ccengine demo`, anew each time; your own changes belong into a copy.\n"
CALLERS_HOST = "127.0.77.1"
"""Loopback address of the simulated callers, which the engine trusts like a gateway."""

FIRST_PORT, LAST_PORT = 5060, 5099
_PROBE_BUFFER_BYTES = 4096
_ELSEWHERE = "198.51.100.1"  # for documentation alone (RFC 5737): it stands for any far place
SAMPLE_AGENTS = 5
"""Agents of the sample configuration who have a phone."""

MOST_AGENTS = 100
LONGEST_FOLDER = 80
"""Unix sockets have short paths: 107 bytes, var/run/keeper.sock included."""

CUSTOMERS = """\
number,name,level,note
13800138001,王磊,vip,飞宇快递大客户
13800138002,Anna Smith,gold,speaks English
13800138003,赵敏,,
13800138004,陈浩,silver,
13800138005,刘芳,gold,
"""


@dataclass(frozen=True, slots=True)
class PhoneAccount:
    """A phone that may register, and the agent who owns it."""

    extension: str
    password: str
    agent_id: str = ""


def sample_account(number: int) -> PhoneAccount:
    """Return the account of the ``number``-th agent, from 0."""
    if number < SAMPLE_AGENTS:
        extension = f"{1001 + number}"
        return PhoneAccount(extension, f"demo{extension}", f"{2001 + number}")
    extension = f"{1101 + number - SAMPLE_AGENTS}"
    return PhoneAccount(extension, f"demo{extension}", f"{2101 + number - SAMPLE_AGENTS}")


VISITOR = PhoneAccount("1006", "demo1006")
"""The phone that the demo keeps free for a visitor who wants to call."""


def free_port() -> int:
    """Return the first port on which SIP can be served by UDP and TCP."""
    for port in range(FIRST_PORT, LAST_PORT + 1):
        try:
            for transport in ("UDP", "TCP"):
                listener = ListenerSettings("probe", transport, "0.0.0.0", port)
                open_listener(listener, _PROBE_BUFFER_BYTES).close()
        except ListenError:
            continue
        return port
    raise CommandError(
        f"no SIP port from {FIRST_PORT} to {LAST_PORT} is free", cure="name one with --port"
    )


def machine_address() -> str:
    """Return the address by which other machines reach this one, 127.0.0.1 without a network."""
    return source_address((_ELSEWHERE, 9))


def prepare_folder(folder: Path, port: int, agents: int) -> Path:
    """Write configuration, flows and customers; return the path of the configuration.

    Flows that are there already stay as they are, so that a visitor can change them.
    """
    if len(str(folder.resolve())) > LONGEST_FOLDER:
        raise CommandError(f"{folder} is too deep for unix sockets", cure="choose another --folder")
    path = folder / "ccengine.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.read_text(encoding="utf-8").startswith(MARK):
            raise CommandError(
                f"{path} was not written by the demo", cure="choose another --folder"
            )
        for source in data_folder("dialplans").glob("*.yaml"):
            if source.name != path.name and not (folder / source.name).exists():
                shutil.copyfile(source, folder / source.name)
        path.write_text(MARK + configuration(port, agents), encoding="utf-8")
        customers_file(folder).write_text(CUSTOMERS, encoding="utf-8")
    except OSError as error:
        raise CommandError(
            f"{error.filename or folder}: {error.strerror}", cure="choose another --folder"
        ) from error
    return path


def customers_file(folder: Path) -> Path:
    """Return the path of the demo's customers."""
    return folder / "customers.csv"


def configuration(port: int, agents: int) -> str:
    """Return the sample configuration with the demo's ports, trust and agents."""
    text = sample_config().read_text(encoding="utf-8")
    text = _replaced(text, "port: 5060", f"port: {port}")
    text = _replaced(text, "sip:\n", f"sip:\n  trusted: [{CALLERS_HOST}/32]  # simulated callers\n")
    text = _replaced(text, "run: {folder: var/run}", "run: {folder: var/run, drain_s: 2}")
    more = [sample_account(number) for number in range(SAMPLE_AGENTS, agents)]
    phones = [
        f'  "{one.extension}": {{name: Agent {one.agent_id}, password: {one.password}}}\n'
        for one in more
    ]
    people = [
        f'  "{one.agent_id}": {{name: Agent {one.agent_id}, phone: {one.extension}, '
        "queues: [sales, service]}\n"
        for one in more
    ]
    text = _replaced(text, "\nextensions:\n", "\nextensions:\n" + "".join(phones))
    return _replaced(text, "\nagents:\n", "\nagents:\n" + "".join(people))


def _replaced(text: str, old: str, new: str) -> str:
    assert old in text, f"the sample configuration has no {old!r}"
    return text.replace(old, new)
