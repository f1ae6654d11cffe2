"""Name-addr values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.errors import SipParseError
from ccengine.sip.address import Address
from ccengine.sip.uri import SipUri

URI = SipUri("sip", "a", "b")


@pytest.mark.parametrize(
    ("text", "name", "tag"),
    [
        ("<sip:a@b>", "", ""),
        ("sip:a@b;tag=1", "", "1"),
        ("caller<sip:a@b>;tag=323", "caller", "323"),
        ("A. Bell <sip:a@b>;tag=x", "A. Bell", "x"),
        ('"Bell, Alexander" < sip:a@b > ; Tag = 433423', "Bell, Alexander", "433423"),
        ("张伟 <sip:a@b>", "张伟", ""),
        ('"张\\"伟" <sip:a@b>', '张"伟', ""),
        ('"J Rosenberg \\\\\\""       <sip:a@b>  ;  tag = 98asjd8', 'J Rosenberg \\"', "98asjd8"),
        ('"<sip:x@y>"<sip:a@b>', "<sip:x@y>", ""),
        ("Bell, Alexander <sip:a@b>;tag=43", "Bell, Alexander", "43"),
        ("<sip:a@b>;;;;tag=q", "", "q"),
        ('"" <sip:a@b>', "", ""),
    ],
)
def test_read(text: str, name: str, tag: str) -> None:
    address = Address.parse(text)
    assert (address.uri, address.display_name, address.tag) == (URI, name, tag)


def test_parameters_outside_brackets_belong_to_the_header() -> None:
    """Section 20: without brackets all parameters are header parameters (cparam01, 02)."""
    bare = Address.parse("sip:a@b;unknownparam")
    assert (bare.uri.params, bare.params) == ((), (("unknownparam", ""),))
    inside = Address.parse("<sip:a@b;unknownparam>;x=1")
    assert (inside.uri.params, inside.params) == ((("unknownparam", ""),), (("x", "1"),))


def test_quoted_parameters() -> None:
    text = '<sip:a@b>;+sip.instance="<urn:uuid:00;1>";reg-id=1'
    address = Address.parse(text)
    assert address.param("+sip.instance") == "<urn:uuid:00;1>"
    assert address.param("reg-id") == "1"
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        '"Mr. J. User <sip:j.user@example.com>',
        '"a" sip:a@b',
        "<sip:a@b",
        "<sip:a@b>tag=1",
        "",
        "<>",
        "sip:user@example.com?Route=%3Csip:sip.example.com%3E",
        "sip:a,b@c",
        "name only",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        Address.parse(text)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20))
def test_round_trip(name: str) -> None:
    address = Address(URI, name, (("tag", "t1"),))
    assert Address.parse(str(address)) == address


def test_with_param() -> None:
    address = Address(URI)
    assert str(address.with_param("tag", "1").with_param("tag", "2")) == "<sip:a@b>;tag=2"
    assert str(Address(URI, "Alice Zhang")) == "Alice Zhang <sip:a@b>"
    assert str(Address(URI, "张伟")) == '"张伟" <sip:a@b>'
