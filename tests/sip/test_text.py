"""Octets to text and back."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ccengine.errors import LocalSipError
from ccengine.sip.text import decode_text, encode_text, readable


@given(st.binary(max_size=64))
@example("\uf780\uf7ff".encode())
@example(b"\xef\x9e\x80\xff\xef\x9f")
@example(b"\xff\xef\x9e\x80\x9e")
def test_any_octets_survive(data: bytes) -> None:
    assert encode_text(decode_text(data)) == data


@given(st.binary(max_size=64))
def test_what_is_decoded_can_stand_in_a_journal(data: bytes) -> None:
    text = decode_text(data)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(text)) == text


@given(st.text(max_size=40))
def test_utf8_is_read_as_utf8(text: str) -> None:
    if not any("\uf780" <= char <= "\uf7ff" for char in text):
        assert decode_text(text.encode()) == text


def test_gbk_is_readable() -> None:
    assert readable(decode_text("张伟".encode("gbk"))) == "张伟"
    assert readable("张伟") == "张伟"
    assert readable(decode_text(b"Ren\xe9")) == "René"


def test_lone_surrogate_of_our_own_is_refused() -> None:
    with pytest.raises(LocalSipError, match="lone surrogate"):
        encode_text("a\ud800")
