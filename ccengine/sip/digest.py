"""Digest authentication (:rfc:`7616`, :rfc:`8760`, :rfc:`3261` section 22): the server's side.

A nonce is a time and a number under a MAC, so it needs no memory, and a process that takes
over with the same secret accepts the nonces of its predecessor.  Only the use of a nonce is
remembered, against replay, in bounded memory.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ccengine.errors import LocalSipError
from ccengine.sip.digest_client import authorization, challenges_of
from ccengine.sip.digest_scheme import (
    Exchange,
    algorithm_name,
    digest_hex,
    make_ha1,
    parse_digest,
)
from ccengine.sip.grammar import quote
from ccengine.sip.model import SipRequest
from ccengine.sip.text import encode_text

__all__ = [
    "CredentialStore",
    "DigestAuthenticator",
    "Verdict",
    "authorization",
    "challenges_of",
    "make_ha1",
]

_NC = re.compile(r"[0-9A-Fa-f]{8}")
_TIME_BYTES = 6  # milliseconds
_SERIAL_BYTES = 2
_CALL_BYTES = 4
_STAMP_BYTES = _TIME_BYTES + _SERIAL_BYTES + _CALL_BYTES
_MAC_BYTES = 12
_WINDOW = 64  # requests that may overtake each other
_MAX_REMEMBERED = 20_000


class CredentialStore(Protocol):
    """Knows the users of a realm."""

    def ha1(self, username: str, realm: str, algorithm: str) -> str | None:
        """Return H(username:realm:password) by MD5, SHA-256…, None for an unknown user."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the credentials of a request are worth.

    ``missing``: there are none for this realm that we can check · ``stale``: they are right,
    but the nonce is too old or was used already, so challenge with ``stale=True`` · ``wrong``:
    unknown user or wrong password.  ``username`` is what the request claims.
    """

    outcome: Literal["ok", "missing", "stale", "wrong"]
    username: str = ""

    @property
    def is_ok(self) -> bool:
        """Whether the user is who they claim to be."""
        return self.outcome == "ok"

    @property
    def is_stale(self) -> bool:
        """Whether a fresh nonce is all that is missing."""
        return self.outcome == "stale"

    @property
    def is_wrong(self) -> bool:
        """Whether the user is unknown or the password wrong."""
        return self.outcome == "wrong"


class DigestAuthenticator:
    """Challenges requests and checks the answers for one realm.

    ``secret`` must be the same after a takeover and another after a reboot, because nonces
    hold monotonic time.  ``algorithms`` are offered in this order; ``now`` is monotonic
    seconds.
    """

    def __init__(
        self,
        realm: str,
        *,
        secret: bytes,
        algorithms: Sequence[str] = ("MD5",),
        nonce_lifetime_s: float = 300.0,
    ) -> None:
        names = [algorithm_name(name) for name in algorithms]
        if not names or "" in names:
            raise LocalSipError(
                f"digest algorithms {list(algorithms)} are not all known",
                cure="use MD5, SHA-256 or SHA-512-256",
            )
        if len(secret) < 16:
            raise LocalSipError("the secret of nonces has fewer than 16 octets")
        self.realm = realm
        self.algorithms = tuple(names)
        self._secret = secret
        self._lifetime_ms = int(nonce_lifetime_s * 1000)
        self._serial = 0
        self._uses = _NonceUses(_MAX_REMEMBERED)

    def challenge(
        self, request: SipRequest, now: float, *, proxy: bool = False, stale: bool = False
    ) -> tuple[tuple[str, str], ...]:
        """Return the header fields of a 401, of a 407 for ``proxy``; one for each algorithm.

        They are the same for every user, known or not.
        """
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        nonce = self._make_nonce(request.header("call-id") or "", now)
        tail = ", stale=true" if stale else ""
        return tuple(
            (
                name,
                f'Digest realm={quote(self.realm)}, nonce="{nonce}", '
                f'algorithm={algorithm}, qop="auth"{tail}',
            )
            for algorithm in self.algorithms
        )

    def verify(
        self, request: SipRequest, store: CredentialStore, now: float, *, proxy: bool = False
    ) -> Verdict:
        """Return what the request's credentials are worth at ``now``."""
        params = self._credentials(request, "Proxy-Authorization" if proxy else "Authorization")
        if params is None:
            return Verdict("missing")
        username = params["username"]
        exchange = _exchange_of(params)
        if exchange is None:
            return Verdict("wrong", username)
        plain = exchange.algorithm.removesuffix("-sess")
        known = store.ha1(username, self.realm, plain)
        # An unknown user costs as much time as a known one, and is as wrong.
        ha1 = known or digest_hex(plain, f"{username}:{self.realm}:")
        expected = exchange.response(ha1, request.method)
        given = params["response"].lower().encode()
        if not hmac.compare_digest(expected.encode(), given) or known is None:
            return Verdict("wrong", username)
        issued = self._issued_ms(exchange.nonce)
        now_ms = int(now * 1000)
        if issued is None or not issued <= now_ms <= issued + self._lifetime_ms:
            return Verdict("stale", username)
        # Without qop there is no counter, so such a nonce is good for one request.
        count = int(exchange.nc, 16) if exchange.qop else 1
        if not self._uses.take(exchange.nonce, issued, count, now_ms - self._lifetime_ms):
            return Verdict("stale", username)
        return Verdict("ok", username)

    def _credentials(self, request: SipRequest, name: str) -> Mapping[str, str] | None:
        for text in request.header_values(name):
            params = parse_digest(text)
            if params is None or params.get("realm") != self.realm:
                continue
            algorithm = algorithm_name(params.get("algorithm", ""))
            if algorithm not in self.algorithms:
                continue
            if all(params.get(key) for key in ("username", "nonce", "uri", "response")):
                return params
        return None

    def _make_nonce(self, call_id: str, now: float) -> str:
        self._serial = (self._serial + 1) % (1 << 8 * _SERIAL_BYTES)
        # Processes with the same secret may count alike in the same millisecond: the call
        # keeps their nonces apart.
        stamp = (
            int(now * 1000).to_bytes(_TIME_BYTES)
            + self._serial.to_bytes(_SERIAL_BYTES)
            + zlib.crc32(encode_text(call_id)).to_bytes(_CALL_BYTES)
        )
        return base64.urlsafe_b64encode(stamp + self._mac(stamp)).decode()

    def _mac(self, stamp: bytes) -> bytes:
        text = stamp + self.realm.encode()
        return hmac.digest(self._secret, text, "sha256")[:_MAC_BYTES]

    def _issued_ms(self, nonce: str) -> int | None:
        """Return when we made a nonce, None when it is none of ours."""
        try:
            data = base64.b64decode(nonce.encode(), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        stamp, mac = data[:_STAMP_BYTES], data[_STAMP_BYTES:]
        if not hmac.compare_digest(mac, self._mac(stamp)):
            return None
        return int.from_bytes(stamp[:_TIME_BYTES])


def _exchange_of(params: Mapping[str, str]) -> Exchange | None:
    """Return what the client hashed; None when its parameters do not fit together."""
    algorithm = algorithm_name(params.get("algorithm", ""))
    qop = params.get("qop", "").lower()
    nc = params.get("nc", "")
    cnonce = params.get("cnonce", "")
    if qop:
        if qop != "auth" or not cnonce or _NC.fullmatch(nc) is None:
            return None
    elif algorithm.endswith("-sess") and not cnonce:
        return None
    return Exchange(algorithm, params["nonce"], params["uri"], qop, nc, cnonce)


class _NonceUses:
    """Which counts of which nonces were used: a window of recent counts for each nonce."""

    __slots__ = ("_floor_ms", "_limit", "_seen")

    def __init__(self, limit: int) -> None:
        self._seen: dict[str, tuple[int, int, int]] = {}
        self._limit = limit
        self._floor_ms = -1

    def take(self, nonce: str, issued_ms: int, count: int, dead_ms: int) -> bool:
        """Use a count; False when it was used before or that can no longer be known.

        Nonces issued before ``dead_ms`` have expired and are forgotten.
        """
        entry = self._seen.get(nonce)
        if entry is None:
            if issued_ms <= self._floor_ms:
                return False
            self._seen[nonce] = (issued_ms, count, 1)
            self._shrink(dead_ms)
            return True
        _, highest, mask = entry
        ahead = count - highest
        if ahead > 0:
            mask = ((mask << ahead) | 1) & ((1 << _WINDOW) - 1) if ahead < _WINDOW else 1
            self._seen[nonce] = (issued_ms, count, mask)
            return True
        if -ahead >= _WINDOW or mask >> -ahead & 1:
            return False
        self._seen[nonce] = (issued_ms, highest, mask | 1 << -ahead)
        return True

    def _shrink(self, dead_ms: int) -> None:
        if len(self._seen) <= self._limit:
            return
        self._seen = {nonce: entry for nonce, entry in self._seen.items() if entry[0] >= dead_ms}
        surplus = len(self._seen) - self._limit * 3 // 4
        if surplus > 0:
            # Forget the oldest; whatever is as old counts as used from now on.
            oldest = sorted(self._seen, key=lambda nonce: self._seen[nonce][0])[:surplus]
            for nonce in oldest:
                self._floor_ms = max(self._floor_ms, self._seen.pop(nonce)[0])
