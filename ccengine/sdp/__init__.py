"""Session descriptions and their negotiation (:rfc:`8866`, :rfc:`3264`)."""

from ccengine.sdp.codec import (
    CODECS,
    EVENT,
    G722,
    OPUS,
    PCMA,
    PCMU,
    CodecOffer,
    codecs_by_name,
)
from ccengine.sdp.description import (
    Connection,
    Direction,
    MediaSection,
    Origin,
    SessionDescription,
)
from ccengine.sdp.media import LocalMedia, MediaPlan
from ccengine.sdp.negotiation import Negotiation

__all__ = [
    "CODECS",
    "EVENT",
    "G722",
    "OPUS",
    "PCMA",
    "PCMU",
    "CodecOffer",
    "Connection",
    "Direction",
    "LocalMedia",
    "MediaPlan",
    "MediaSection",
    "Negotiation",
    "Origin",
    "SessionDescription",
    "codecs_by_name",
]
