"""Names of header fields: spellings, compact forms, lists (:rfc:`3261` section 20)."""

from __future__ import annotations

from ccengine.sip.grammar import is_token

# Compact forms as registered with IANA.
_COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}

_LISTS = (
    "Accept",
    "Accept-Contact",
    "Accept-Encoding",
    "Accept-Language",
    "Alert-Info",
    "Allow",
    "Allow-Events",
    "Call-Info",
    "Contact",
    "Content-Encoding",
    "Content-Language",
    "Diversion",
    "Error-Info",
    "History-Info",
    "In-Reply-To",
    "P-Asserted-Identity",
    "P-Associated-URI",
    "P-Preferred-Identity",
    "Path",
    "Proxy-Require",
    "Reason",
    "Record-Route",
    "Recv-Info",
    "Reject-Contact",
    "Require",
    "Route",
    "Security-Client",
    "Security-Server",
    "Security-Verify",
    "Service-Route",
    "Supported",
    "Unsupported",
    "Via",
    "Warning",
)

# No commas here separate values: credentials hold commas, dates and subjects are prose.
_SINGLES = (
    "Authentication-Info",
    "Authorization",
    "CSeq",
    "Call-ID",
    "Content-Disposition",
    "Content-Length",
    "Content-Type",
    "Date",
    "Event",
    "Expires",
    "Flow-Timer",
    "From",
    "Identity",
    "Identity-Info",
    "Info-Package",
    "MIME-Version",
    "Max-Forwards",
    "Min-Expires",
    "Min-SE",
    "Organization",
    "P-Charging-Vector",
    "Priority",
    "Privacy",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "RAck",
    "RSeq",
    "Refer-Sub",
    "Refer-To",
    "Referred-By",
    "Replaces",
    "Reply-To",
    "Request-Disposition",
    "Retry-After",
    "SIP-ETag",
    "SIP-If-Match",
    "Server",
    "Session-Expires",
    "Subject",
    "Subscription-State",
    "Timestamp",
    "To",
    "User-Agent",
    "WWW-Authenticate",
)

LIST_FIELDS = frozenset(name.lower() for name in _LISTS)
"""Keys of header fields whose values are separated by commas."""

UNIQUE_FIELDS = frozenset({"call-id", "content-length", "cseq", "from", "max-forwards", "to"})
"""Keys of header fields that may not come twice with different values."""

_CANONICAL = {name.lower(): name for name in (*_LISTS, *_SINGLES)}

# The spellings that phones use; any other goes the slow way.
_KEYS = {
    spelling: name.lower()
    for name in _CANONICAL.values()
    for spelling in (name, name.lower(), name.upper(), name.title())
} | {
    spelling: name.lower()
    for compact, name in _COMPACT.items()
    for spelling in (compact, compact.upper())
}

known_key = _KEYS.get
"""Return the key of a name in one of its usual spellings, else None."""


def field_key(name: str) -> str:
    """Return the key of a header field: its full name in lower case.

    White space around the name is dropped (``Subject : x``); what is no token gives ``""``.
    """
    key = _KEYS.get(name)
    if key is not None:
        return key
    name = name.strip(" \t")
    key = _KEYS.get(name)
    if key is not None:
        return key
    if not is_token(name):
        return ""
    lower = name.lower()
    return _KEYS.get(lower, lower)


def field_name(key: str) -> str:
    """Return how a header field is written, given its key."""
    return _CANONICAL.get(key) or "-".join(part.capitalize() for part in key.split("-"))
