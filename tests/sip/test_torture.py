"""Torture messages: each is understood, refused with the right status, or dropped.

Messages of our own are always here.  Those of :rfc:`4475` and :rfc:`5118` are read from
``../shared/torture`` beside the repository when that folder exists.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ccengine.errors import SipError
from ccengine.sip.message import (
    BadRequestError,
    SipRequest,
    is_answerable,
    parse_message,
    response_to,
    validate_request,
    validate_response,
)

FOLDER = Path(__file__).parents[3] / "shared" / "torture"

# A status: refused with it · ok: accepted · dropped: nobody is told · counted: refused with
# 400, but not answerable.  Where the RFC leaves the choice, ours is said beside it.
RFC4475 = {
    # 3.1.1 valid messages
    "wsinv": "ok",
    "intmeth": "ok",
    "esc01": "ok",
    "escnull": "ok",
    "esc02": "ok",
    "lwsdisp": "ok",
    "longreq": "ok",
    "dblreq": "ok",
    "semiuri": "ok",
    "transports": "ok",
    "mpart01": "ok",
    "unreason": "ok",
    "noreason": "ok",
    # 3.1.2 invalid messages
    "badinv01": "400",
    "clerr": "400",
    "ncl": "400",
    "scalar02": "400",
    "scalarlg": "dropped",
    "quotbal": "400",
    "ltgtruri": "400",
    "lwsruri": "400",
    "lwsstart": "ok",  # liberal: extra blanks are ignored
    "trws": "ok",  # liberal: extra blanks are ignored
    "escruri": "ok",  # liberal: header fields in the request-URI are ignored
    "baddate": "ok",  # liberal: Date is not needed
    "regbadct": "400",
    "badaspec": "ok",  # liberal: blanks inside the brackets are ignored
    "baddn": "ok",  # liberal: the display name is read up to the bracket
    "badvers": "505",
    "mismatch01": "400",
    "mismatch02": "400",  # 501 for the unknown method would do as well
    "bigcode": "dropped",
    # 3.2 transactions, 3.3 application, 3.4 compatibility
    "badbranch": "ok",
    "insuf": "counted",
    "unkscm": "416",
    "novelsc": "416",
    "unksm2": "ok",  # the registrar refuses the address-of-record
    "bext01": "ok",  # the endpoint answers 420
    "invut": "ok",  # the call answers 415
    "regaut01": "ok",  # the registrar challenges
    "multi01": "400",
    "mcl01": "400",
    "bcast": "ok",
    "zeromf": "ok",
    "cparam01": "ok",
    "cparam02": "ok",
    "regescrt": "ok",
    "sdp01": "ok",  # the session answers 488
    "inv2543": "ok",
}
RFC5118 = {
    "ipv6-good": "ok",
    "ipv6-bad": "400",
    "port-ambiguous": "ok",
    "port-unambiguous": "ok",
    "via-received-param-with-delim": "ok",
    "via-received-param-no-delim": "ok",
    "ipv6-in-sdp": "ok",
    "mult-ip-in-header": "ok",
    "mult-ip-in-sdp": "ok",
    "ipv4-mapped-ipv6": "ok",
    "ipv6-bug-abnf-3-colons": "ok",
    "ipv6-correct-abnf-2-colons": "ok",
}

_HEAD = """Via: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bKx
From: <sip:a@example.org>;tag=1
To: <sip:b@example.org>
Call-ID: own
CSeq: 1 OPTIONS
"""
OWN = {
    "plain": ("OPTIONS sip:b@example.org SIP/2.0\n" + _HEAD, "ok"),
    "lower-case-everything": (
        "OPTIONS sip:b@example.org sip/2.0\n" + _HEAD.lower().replace("options", "OPTIONS"),
        "ok",
    ),
    "feature-code-unescaped": ("OPTIONS sip:*88#@example.org SIP/2.0\n" + _HEAD, "ok"),
    "tel-uri": ("OPTIONS tel:+8610123;phone-context=+86 SIP/2.0\n" + _HEAD, "ok"),
    "mandarin-display-name": (
        "OPTIONS sip:b@example.org SIP/2.0\n" + _HEAD.replace("From: <", "From: 张伟 <"),
        "ok",
    ),
    "folded-in-the-middle": (
        "OPTIONS sip:b@example.org SIP/2.0\n" + _HEAD.replace(";tag", "\n ;\n\ttag"),
        "ok",
    ),
    "unknown-version": ("OPTIONS sip:b@example.org SIP/3.0\n" + _HEAD, "505"),
    "unknown-scheme": ("OPTIONS gopher://example.org SIP/2.0\n" + _HEAD, "416"),
    "no-request-uri": ("OPTIONS SIP/2.0\n" + _HEAD, "400"),
    "cseq-of-another-method": ("BYE sip:b@example.org SIP/2.0\n" + _HEAD, "400"),
    "cseq-at-the-limit": (
        "OPTIONS sip:b@example.org SIP/2.0\n" + _HEAD.replace("1 OPTIONS", "2147483648 OPTIONS"),
        "400",
    ),
    "two-call-ids": ("OPTIONS sip:b@example.org SIP/2.0\n" + _HEAD + "i: other\n", "400"),
    "bracket-never-closed": (
        "OPTIONS sip:b@example.org SIP/2.0\n" + _HEAD.replace("org>;tag", "org;tag"),
        "400",
    ),
    "no-via": ("OPTIONS sip:b@example.org SIP/2.0\n" + _HEAD.partition("\n")[2], "counted"),
    "via-of-nobody": (
        "OPTIONS sip:b@example.org SIP/2.0\n" + _HEAD.replace("192.0.2.8", "[::1"),
        "counted",
    ),
    "http": ("GET / HTTP/1.1\nHost: example.org\n", "counted"),
    "huge-status": ("SIP/2.0 20000 OK\n" + _HEAD, "dropped"),
    "response": ("SIP/2.0 200 \n" + _HEAD, "ok"),
    "response-without-cseq": ("SIP/2.0 200 OK\n" + _HEAD.replace("CSeq", "CSequence"), "dropped"),
    "empty": ("\n\n\n", "dropped"),
}


def _outcome(data: bytes) -> str:
    request: SipRequest | None = None
    try:
        message = parse_message(data)
        if not isinstance(message, SipRequest):
            validate_response(message)
            return "ok"
        request = message
        validate_request(request)
        _use(request)
    except BadRequestError as error:
        request, status = error.request, error.status
    except SipError as error:
        status = error.status
    else:
        return "ok"
    if request is None:
        return "dropped"
    if not is_answerable(request):
        return "counted"
    response = response_to(request, status, to_tag="t", source=("192.0.2.1", 5060))
    assert parse_message(response.to_bytes()).status == status  # type: ignore[union-attr]
    return str(status)


def _use(request: SipRequest) -> None:
    """Read everything: what was accepted must not fail later."""
    _ = request.via, request.vias, request.from_, request.to, request.call_id, request.cseq
    _ = request.contacts, request.max_forwards, request.expires, request.content_type
    _ = request.routes, request.record_routes, request.request_uri
    assert parse_message(request.to_bytes()).headers == request.headers
    response_to(request, 200, to_tag="t", source=("192.0.2.1", 5060)).to_bytes()


def _files() -> list[tuple[str, bytes, str]]:
    cases = [
        (f"own-{name}", text.replace("\n", "\r\n").encode() + b"\r\n", want)
        for name, (text, want) in OWN.items()
    ]
    for folder, table in (("rfc4475", RFC4475), ("rfc5118", RFC5118)):
        for path in sorted((FOLDER / folder).glob("*.dat")):
            cases.append((f"{folder}-{path.stem}", path.read_bytes(), table[path.stem]))
    return cases


CASES = _files()


@pytest.mark.parametrize(
    ("data", "want"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_torture(data: bytes, want: str) -> None:
    assert _outcome(data) == want


@pytest.mark.parametrize(
    "folder",
    [FOLDER],
    ids=["folder-present" if FOLDER.is_dir() else "folder-ABSENT-only-own-messages-were-run"],
)
def test_which_messages_were_run(folder: Path) -> None:
    """Say in the name of the test whether the messages of the RFCs were there; all or none."""
    run = {case[0] for case in CASES}
    assert {f"own-{name}" for name in OWN} <= run
    if folder.is_dir():
        assert {f"rfc4475-{name}" for name in RFC4475} <= run
        assert {f"rfc5118-{name}" for name in RFC5118} <= run
        assert (len(RFC4475), len(RFC5118)) == (49, 12)


def _read(name: str) -> SipRequest | None:
    data = next((data for case, data, _ in CASES if case == name), None)
    return None if data is None else parse_message(data)  # type: ignore[return-value]


@pytest.mark.parametrize(
    "request_", [_read("rfc4475-wsinv")] if FOLDER.is_dir() else [parse_message(CASES[0][1])]
)
def test_short_tortuous_invite_means_what_it_says(request_: SipRequest) -> None:
    """RFC 4475 3.1.1.1, when the folder is there; else the plain message of our own."""
    if request_.method == "OPTIONS":
        assert request_.call_id == "own"
        return
    assert request_.to.tag == "1918181833n"
    assert request_.from_.display_name == 'J Rosenberg \\"'
    assert request_.from_.tag == "98asjd8"
    assert request_.max_forwards == 68
    assert request_.cseq.number == 9
    assert [via.branch for via in request_.vias] == ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]
    assert request_.header("NewFangledHeader") == "newfangled value continued newfangled value"
    assert request_.header("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    assert request_.contacts[0].display_name == 'Quoted string ""'
    assert request_.contacts[0].param("q") == "0.33"
    assert request_.routes[0].uri.param("unknown-no-value") == ""
