"""Sockets for SIP: UDP and TCP listeners behind one layer of flows."""

from ccengine.net.counters import NetCounters
from ccengine.net.layer import NetLayer
from ccengine.net.settings import ListenerSettings, NetSettings
from ccengine.net.sockets import ListenError, source_address

__all__ = [
    "ListenError",
    "ListenerSettings",
    "NetCounters",
    "NetLayer",
    "NetSettings",
    "source_address",
]
