"""Answering a digest challenge to a request of ours (:rfc:`3261` section 22.2)."""

from __future__ import annotations

from ccengine.ids import IdMaker
from ccengine.sip.digest_client import authorization, challenges_of
from ccengine.sip.message import SipResponse
from ccengine.sip.output import Credentials


def answer_challenge(
    response: SipResponse,
    credentials: Credentials,
    method: str,
    uri: str,
    body: bytes,
    ids: IdMaker,
) -> str:
    """Return the header line with our credentials, empty when no challenge can be met."""
    name, challenges = challenges_of(response)
    value = authorization(
        challenges,
        method,
        uri,
        credentials.username,
        credentials.password,
        cnonce=ids.make(),
        body=body,
    )
    return f"{name}: {value}\r\n" if value else ""
