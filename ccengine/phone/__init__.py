"""A small SIP/RTP user agent: the callers and agents of demo, benchmarks and tests."""

from ccengine.phone.call import PhoneCall
from ccengine.phone.farm import PhoneFarm
from ccengine.phone.hearing import HeardPacket, HeardStats
from ccengine.phone.phone import Phone
from ccengine.phone.settings import (
    Answer,
    Behaviour,
    FarmSettings,
    Manual,
    Reject,
    Ring,
    Vanish,
)
from ccengine.phone.sound import Sound

__all__ = [
    "Answer",
    "Behaviour",
    "FarmSettings",
    "HeardPacket",
    "HeardStats",
    "Manual",
    "Phone",
    "PhoneCall",
    "PhoneFarm",
    "Reject",
    "Ring",
    "Sound",
    "Vanish",
]
