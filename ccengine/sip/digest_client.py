"""Answering a digest challenge as a client (:rfc:`3261` section 22, :rfc:`8760`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ccengine.errors import LocalSipError
from ccengine.sip.digest_scheme import (
    STRENGTH,
    Exchange,
    algorithm_name,
    digest_hex,
    make_ha1,
    parse_digest,
)
from ccengine.sip.grammar import quote
from ccengine.sip.model import SipResponse


def challenges_of(response: SipResponse) -> tuple[str, tuple[str, ...]]:
    """Return the header field that answers a 401 or 407, and the challenges in it."""
    if response.status == 407:
        return "Proxy-Authorization", response.header_values("Proxy-Authenticate")
    return "Authorization", response.header_values("WWW-Authenticate")


def authorization(
    challenges: str | Iterable[str],
    method: str,
    uri: str,
    username: str,
    password: str,
    nc: int = 1,
    cnonce: str = "",
    body: bytes = b"",
) -> str | None:
    """Return the credentials for the strongest of the challenges that we can answer.

    ``uri`` is the request-URI; ``nc`` counts the requests sent with this nonce from 1 and
    ``cnonce`` is a fresh identifier.  None when no challenge is a Digest that we compute.
    """
    texts = (challenges,) if isinstance(challenges, str) else challenges
    params = _strongest(texts)
    if params is None:
        return None
    algorithm = algorithm_name(params.get("algorithm", ""))
    qop = _quality(params.get("qop", ""))
    if (qop or algorithm.endswith("-sess")) and not cnonce:
        raise LocalSipError("a digest with qop needs a cnonce")
    exchange = Exchange(
        algorithm,
        params["nonce"],
        uri,
        qop,
        f"{nc:08x}" if qop else "",
        cnonce,
        digest_hex(algorithm, body) if qop == "auth-int" else "",
    )
    ha1 = make_ha1(username, params["realm"], password, algorithm)
    return _format(exchange, username, params, exchange.response(ha1, method))


def _strongest(challenges: Iterable[str]) -> Mapping[str, str] | None:
    best: Mapping[str, str] | None = None
    best_rank = len(STRENGTH)
    for text in challenges:
        params = parse_digest(text)
        if params is None or "nonce" not in params or "realm" not in params:
            continue
        name = algorithm_name(params.get("algorithm", ""))
        usable = name and (not params.get("qop") or _quality(params["qop"]))
        if usable and STRENGTH.index(name) < best_rank:
            best, best_rank = params, STRENGTH.index(name)
    return best


def _quality(offered: str) -> str:
    """Return the quality of protection to use: ``auth`` rather than ``auth-int``."""
    options = {option.strip().lower() for option in offered.split(",")}
    return next((option for option in ("auth", "auth-int") if option in options), "")


def _format(exchange: Exchange, username: str, params: Mapping[str, str], response: str) -> str:
    parts = [
        f"Digest username={quote(username)}",
        f"realm={quote(params['realm'])}",
        f"nonce={quote(exchange.nonce)}",
        f"uri={quote(exchange.uri)}",
        f'response="{response}"',
    ]
    if params.get("algorithm"):
        parts.append(f"algorithm={exchange.algorithm}")
    if exchange.qop:
        parts.append(f"qop={exchange.qop}, nc={exchange.nc}")
    if exchange.cnonce and (exchange.qop or exchange.algorithm.endswith("-sess")):
        parts.append(f"cnonce={quote(exchange.cnonce)}")
    if "opaque" in params:
        parts.append(f"opaque={quote(params['opaque'])}")
    return ", ".join(parts)
