"""Which transaction a message belongs to (:rfc:`3261` sections 17.1.3, 17.2.3 and 8.2.2.2)."""

from __future__ import annotations

from ccengine.sip.message import SipRequest, SipResponse

MAGIC_COOKIE = "z9hG4bK"
_COOKIE_LENGTH = len(MAGIC_COOKIE)
_COOKIE_FOLDED = MAGIC_COOKIE.lower()


def response_key(response: SipResponse) -> str:
    """Return the key of the client transaction that a response answers (17.1.3)."""
    return f"{response.via.branch} {response.cseq.method}"


def has_magic_cookie(branch: str) -> bool:
    """Whether a branch was made by the rules of :rfc:`3261` and is unique by itself."""
    return len(branch) > _COOKIE_LENGTH and branch[:_COOKIE_LENGTH].lower() == _COOKIE_FOLDED


def server_key(request: SipRequest, method: str) -> str:
    """Return the key of the server transaction of a request (17.2.3).

    ``method`` is that of the transaction: INVITE for an ACK or a CANCEL that looks for the
    INVITE it belongs to.
    """
    via = request.via
    branch = via.branch
    if has_magic_cookie(branch):
        return f"{branch} {via.host.lower()}:{via.port} {method}"
    top = request.header_values("Via")[0]
    cseq = request.cseq
    return f"2543 {request.uri} {request.from_.tag} {request.call_id} {cseq.number} {top} {method}"


def ack_fits(ack: SipRequest, local_tag: str) -> bool:
    """Whether an ACK answers a response of ours that carried ``local_tag``.

    A branch with the magic cookie says enough; :rfc:`2543` peers are told apart by the tag.
    """
    return has_magic_cookie(ack.via.branch) or ack.to.tag == local_tag


def merge_key(request: SipRequest) -> str:
    """Return what two copies of one request share that came on different paths (8.2.2.2)."""
    cseq = request.cseq
    return f"{request.call_id} {request.from_.tag} {cseq.number} {cseq.method}"
