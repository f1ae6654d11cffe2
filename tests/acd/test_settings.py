from __future__ import annotations

import pytest

from ccengine.acd.settings import AcdSettings, AgentSettings, Membership, QueueSettings
from ccengine.errors import AcdError


def test_every_contradiction_is_named_at_once() -> None:
    settings = AcdSettings(
        queues=(QueueSettings("a", ring_timeout_s=0, wrapup_s=-1), QueueSettings("a")),
        agents=(
            AgentSettings("x", queues=(Membership("b"), Membership("b")), skills={"zh": 0}),
            AgentSettings("x"),
        ),
        cooldown_s=0,
    )
    with pytest.raises(AcdError) as caught:
        settings.check()
    for part in (
        "queue 'a' is defined twice",
        "agent 'x' is defined twice",
        "queue 'a': ring_timeout_s must be above 0",
        "queue 'a': wrapup_s must not be negative",
        "agent 'x': queue 'b' is defined twice",
        "agent 'x': there is no queue 'b'",
        "level of skill 'zh' must be 1 or more",
        "cooldown_s must be above 0",
    ):
        assert part in str(caught.value)


def test_a_rona_reason_is_needed() -> None:
    with pytest.raises(AcdError, match="rona_reason"):
        AcdSettings(queues=(QueueSettings("a", rona_reason=""),)).check()


def test_defaults_pass() -> None:
    AcdSettings(queues=(QueueSettings("a"),), agents=(AgentSettings("x"),)).check()
