"""What sipmessage accepts we accept, and we read the same out of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import sipmessage
from hypothesis import given
from hypothesis import strategies as st

from ccengine.errors import SipError
from ccengine.sip.address import Address
from ccengine.sip.grammar import format_params
from ccengine.sip.message import SipRequest, parse_message
from ccengine.sip.uri import SipUri
from ccengine.sip.via import Via

FOLDER = Path(__file__).parents[3] / "shared" / "torture"

_word = st.text("abcXYZ019-_.!~*'", min_size=1, max_size=8)
_host = st.sampled_from(["example.com", "192.0.2.1", "[2001:db8::1]", "pbx-1.example"])
_params = st.lists(
    st.tuples(_word.map(str.lower), _word | st.just("")), max_size=3, unique_by=lambda pair: pair[0]
)


@st.composite
def _uris(draw: st.DrawFn) -> str:
    port = draw(st.sampled_from(["", ":5070"]))
    scheme = draw(st.sampled_from(["sip", "sips"]))
    return f"{scheme}:{draw(_word)}@{draw(_host)}{port}{format_params(tuple(draw(_params)))}"


@given(_uris())
def test_uris(text: str) -> None:
    _same_uri(SipUri.parse(text), sipmessage.URI.parse(text))


def _same_uri(uri: SipUri, oracle: sipmessage.URI) -> None:
    # Not the text: sipmessage escapes more than the grammar asks for.
    # Reserved characters stay escaped with us (19.1.4), with sipmessage they do not.
    assert (uri.scheme, unquote(uri.user)) == (oracle.scheme, oracle.user or "")
    assert uri.host == oracle.host.replace(":::", "::")  # RFC 5118 4.10
    assert uri.port == (oracle.port or 0)
    assert {name: value or None for name, value in uri.params} == dict(oracle.parameters)


@given(_uris(), st.sampled_from(["", "Alice", "Alice B", '"张 \\"x\\" 伟"', '"a, b"']), _params)
def test_addresses(uri: str, name: str, params: list[tuple[str, str]]) -> None:
    text = f"{name} <{uri}>{format_params(tuple(params))}".strip()
    oracle = sipmessage.Address.parse(text)
    address = Address.parse(text)
    assert address.display_name == oracle.name
    _same_uri(address.uri, oracle.uri)
    assert {key: value or None for key, value in address.params} == dict(oracle.parameters)


@given(st.sampled_from(["UDP", "TCP", "WSS"]), _host, st.sampled_from(["", ":5061"]), _params)
def test_vias(transport: str, host: str, port: str, params: list[tuple[str, str]]) -> None:
    text = f"SIP/2.0/{transport} {host}{port}{format_params(tuple(params))}"
    oracle = sipmessage.Via.parse(text)
    via = Via.parse(text)
    assert (via.transport, via.host, via.port) == (oracle.transport, oracle.host, oracle.port or 0)
    assert {key: value or None for key, value in via.params} == dict(oracle.parameters)


INVITE = (
    b"INVITE sip:bob@biloxi.example SIP/2.0\r\n"
    b"v: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\nVia: SIP/2.0/TCP b.example;branch=z9hG4bK2\r\n"
    b'From: "Alice" <sip:alice@atlanta.example>;tag=9fxced76sl\r\nt: <sip:bob@biloxi.example>\r\n'
    b"Call-ID: 3848276298220188511\r\nCSeq: 2 INVITE\r\nContact: <sip:alice@a.example>;q=1\r\n"
    b"Max-Forwards: 70\r\nExpires: 60\r\nSubject: x\r\nContent-Length: 4\r\n\r\nbody"
)
MESSAGES = [INVITE, *(path.read_bytes() for path in sorted(FOLDER.glob("*/*.dat")))]


def _oracle(data: bytes) -> sipmessage.Message | None:
    try:
        return sipmessage.Message.parse(data)
    except ValueError:
        return None


@pytest.mark.parametrize("data", [data for data in MESSAGES if _oracle(data) is not None])
def test_messages(data: bytes) -> None:
    oracle = _oracle(data)
    assert oracle is not None
    try:
        message = parse_message(data)
        _ = message.from_, message.to, message.cseq, message.vias, message.contacts
    except SipError:
        # Ours is stricter with lengths, versions and ranges; test_torture says where.
        return
    assert oracle.body.startswith(message.body)
    assert message.call_id == oracle.call_id
    if isinstance(message, SipRequest):
        assert isinstance(oracle, sipmessage.Request)
        assert message.method == oracle.method
        if message.request_uri.is_sip and not message.request_uri.headers:
            _same_uri(message.request_uri, oracle.uri)
    for name, ours in (("from_address", message.from_), ("to_address", message.to)):
        theirs = _value(oracle, name)
        if theirs is not None:
            # quoted-pair = "\\" (%x00-09 / …): sipmessage leaves it before control characters.
            assert ours.display_name == re.sub(r"\\([\x00-\x1f\x7f])", r"\1", theirs.name)
            assert ours.tag == (theirs.parameters.get("tag") or "")
    cseq = _value(oracle, "cseq")
    assert cseq is None or str(message.cseq) == str(cseq)


def _value(oracle: sipmessage.Message, name: str) -> Any:
    try:
        return getattr(oracle, name)
    except ValueError:
        return None
