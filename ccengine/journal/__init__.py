"""The append-only file of facts: frames, segments, replay, and following its tail."""

from ccengine.journal.coalesce import coalesce
from ccengine.journal.follower import Follower
from ccengine.journal.frame import Frame
from ccengine.journal.journal import Journal
from ccengine.journal.registry import EpochStarted, RawFact, Registry
from ccengine.journal.replay import Replay, replay
from ccengine.journal.scan import Damage
from ccengine.journal.verify import Report, verify

__all__ = [
    "Damage",
    "EpochStarted",
    "Follower",
    "Frame",
    "Journal",
    "RawFact",
    "Registry",
    "Replay",
    "Report",
    "coalesce",
    "replay",
    "verify",
]
