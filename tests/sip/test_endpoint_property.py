"""Whatever the network and the owners do, both sides end empty-handed; nothing raises."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ccengine.errors import LocalSipError
from ccengine.sip.dialog import DialogTable
from ccengine.sip.output import (
    Accepted,
    AckMissing,
    InviteReceived,
    ReinviteReceived,
    Rejected,
    RequestReceived,
    SessionEnded,
)
from ccengine.testing.netem import LinkSettings
from ccengine.testing.sip_rig import ANSWER, OFFER, SipNode, SipRig

BAD = LinkSettings(
    delay_s=0.02, jitter_s=0.05, loss=0.2, duplicate=0.05, reorder=0.2, reorder_s=0.3
)


def polite(node: SipNode, output: Any, now: float) -> None:
    """Answer everything that must be answered."""
    endpoint = node.endpoint
    if isinstance(output, InviteReceived):
        endpoint.provisional(output.session, 180, now)
        endpoint.accept(output.session, now, body=ANSWER)
    elif isinstance(output, ReinviteReceived):
        endpoint.accept(output.session, now, body=ANSWER)
    elif isinstance(output, Accepted) and output.needs_ack:
        endpoint.ack(output.session, ANSWER, now)
    elif isinstance(output, AckMissing):
        endpoint.bye(output.session, now)
    elif isinstance(output, RequestReceived):
        endpoint.respond(output.tx, 200, now)


@pytest.mark.parametrize("seed", range(120))
def test_call_completes_on_a_bad_network(seed: int) -> None:
    """20 % loss with reordering: the call comes about, ends on both sides, leaves nothing."""
    rig = SipRig(seed=seed, link=BAD)
    rig.bob.script = rig.alice.script = polite
    rig.invite(body=b"" if seed % 3 == 0 else OFFER)
    rig.run(20)
    assert rig.alice.seen(Accepted), rig.methods()
    if seed % 2:
        rig.alice.endpoint.bye("call", rig.now)
    else:
        rig.bob.endpoint.bye(rig.bob.seen(InviteReceived)[0].session, rig.now)
    rig.finish()
    assert len(rig.alice.seen(SessionEnded)) == len(rig.bob.seen(SessionEnded)) == 1


def ends(node: SipNode, session: str) -> int:
    return sum(
        isinstance(output, (SessionEnded, Rejected))
        and not getattr(output, "is_reinvite", False)
        and output.session == session
        for output in node.outputs
    )


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.1, 0.3]),
    transport=st.sampled_from(["UDP", "TCP"]),
    plan=st.lists(
        st.tuples(
            st.sampled_from(
                ["bye", "cancel", "reinvite", "offerless", "accept", "reject", "ring", "kill"]
            ),
            st.sampled_from(["alice", "bob"]),
            st.floats(0, 6),
        ),
        max_size=8,
    ),
)
def test_any_schedule_ends_clean(
    seed: int, loss: float, transport: str, plan: list[tuple[str, str, float]]
) -> None:
    link = LinkSettings(delay_s=0.02, jitter_s=0.1, loss=loss, duplicate=0.1, reorder=0.1)
    rig = SipRig(seed=seed, link=link, transport=transport)
    choice = random.Random(seed)

    def moody(node: SipNode, output: Any, now: float) -> None:
        if isinstance(output, (InviteReceived, ReinviteReceived)) and choice.random() < 0.5:
            return
        polite(node, output, now)

    rig.alice.script = rig.bob.script = moody
    rig.invite()
    for action, who, wait in plan:
        rig.run(wait)
        node = rig.nodes[who]
        names = {"call"} if who == "alice" else {o.session for o in rig.bob.seen(InviteReceived)}
        for name in sorted(names):
            act(node, action, name, rig.now)
        assert_replay_equals_life(rig)
    rig.run(40)
    rig.alice.endpoint.bye("call", rig.now)
    for output in rig.bob.seen(InviteReceived):
        rig.bob.endpoint.bye(output.session, rig.now)
    rig.finish()
    assert ends(rig.alice, "call") <= 1


def assert_replay_equals_life(rig: SipRig) -> None:
    for node in rig.nodes.values():
        table = DialogTable()
        for fact in node.facts:
            table.apply(fact)
        assert tuple(table) == node.endpoint.dialogs


def act(node: SipNode, action: str, session: str, now: float) -> None:
    endpoint = node.endpoint
    try:
        if action == "bye":
            endpoint.bye(session, now)
        elif action == "cancel":
            endpoint.cancel(session, now)
        elif action in {"reinvite", "offerless"}:
            endpoint.reinvite(session, OFFER if action == "reinvite" else b"", now)
        elif action == "accept":
            endpoint.accept(session, now, body=ANSWER)
        elif action == "reject":
            endpoint.reject(session, 480, now)
        elif action == "ring":
            endpoint.provisional(session, 183, now)
        elif action == "kill":
            node.kill_and_replay(seed=int(now * 1000))
    except LocalSipError:
        pass  # the state does not allow it, which is what it says


def corpus() -> list[bytes]:
    """All kinds of messages, as they stand on the wire."""
    rig = SipRig()
    rig.alice.script = rig.bob.script = polite
    rig.invite()
    rig.run(1)
    rig.alice.endpoint.reinvite("call", OFFER, rig.now)
    rig.request("m", "OPTIONS")
    rig.run(1)
    rig.alice.endpoint.bye("call", rig.now)
    rig.run(1)
    rig.bob.script = None
    rig.invite("second")
    rig.run(1)
    rig.alice.endpoint.cancel("second", rig.now)
    rig.run(1)
    return [packet.data for packet in rig.network.packets]


CORPUS = corpus()


@pytest.mark.parametrize("seed", range(40))
def test_mutated_messages_never_raise(seed: int) -> None:
    """Bytes changed, lines dropped, doubled and mixed: answered, ignored or counted."""
    chooser = random.Random(seed)
    rig = SipRig(seed=seed)
    rig.alice.script = rig.bob.script = polite
    rig.invite()
    for _ in range(60):
        data = mutate(chooser, chooser.choice(CORPUS))
        node, other = chooser.choice([(rig.alice, rig.bob), (rig.bob, rig.alice)])
        node.endpoint.receive(data, rig.flow(node, other), rig.now)
        rig.run(chooser.random())
    rig.run(40)
    for node in (rig.alice, rig.bob):
        for dialog in node.endpoint.dialogs:
            node.endpoint.bye(dialog.session, rig.now)
        for output in node.seen(InviteReceived):
            node.endpoint.bye(output.session, rig.now)
    rig.alice.endpoint.bye("call", rig.now)
    rig.finish()


def mutate(chooser: random.Random, data: bytes) -> bytes:
    for _ in range(chooser.randint(1, 3)):
        kind = chooser.randrange(5)
        lines = data.split(b"\r\n")
        at = chooser.randrange(len(lines))
        if kind == 0 and data:
            where = chooser.randrange(len(data))
            data = data[:where] + bytes([chooser.randrange(256)]) + data[where + 1 :]
        elif kind == 1:
            del lines[at]
            data = b"\r\n".join(lines)
        elif kind == 2:
            other = chooser.choice(CORPUS).split(b"\r\n")
            lines[at] = chooser.choice(other)
            data = b"\r\n".join(lines)
        elif kind == 3:
            lines.insert(at, chooser.choice(lines))
            data = b"\r\n".join(lines)
        else:
            data = data[: chooser.randrange(len(data) + 1)]
    return data
