"""URIs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.errors import SipParseError
from ccengine.sip.uri import SipUri


def test_all_parts() -> None:
    uri = SipUri.parse("SIPS:al%69ce:s3cret@[2001:DB8::1]:5061;Transport=TCP;lr?Subject=a%20b&To=x")
    assert uri == SipUri(
        "sips",
        "alice",
        "[2001:DB8::1]",
        5061,
        (("transport", "TCP"), ("lr", "")),
        (("Subject", "a b"), ("To", "x")),
        "s3cret",
    )
    assert uri.address == "2001:DB8::1"
    assert uri.transport == "TCP"
    assert uri.param("lr") == ""
    assert uri.param("ttl") is None


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("sip:*88#@pbx", "*88#"),
        ("sip:*88%23@pbx", "*88#"),
        ("sip:%2B8613800138000@pbx", "+8613800138000"),
        ("sip:%E5%BC%A0%E4%BC%9F@pbx", "张伟"),
        ("sip:张伟@pbx", "张伟"),
        ("sip:sips%3Auser%40example.com@example.net", "sips%3Auser%40example.com"),
        ("sip:null-%00-null@example.com", "null-%00-null"),
        ("sip:I%20have%20spaces@example.net", "I have spaces"),
        ("sip:user;par=u%40example.net@example.com", "user;par=u%40example.net"),
        ("sip:%d5%c5@pbx", "%D5%C5"),
        ("sip:%EF%9E%80@pbx", "%EF%9E%80"),
        ("sip:100%@pbx", "100%"),
        ("sip:pbx", ""),
        ("tel:+86-10-1234 5678".replace(" ", "."), "+861012345678"),
        ("isbn:2983792873", "2983792873"),
    ],
)
def test_user(text: str, user: str) -> None:
    assert SipUri.parse(text).user == user


def test_escaped_percent_is_not_unescaped_twice() -> None:
    """RFC 4475 3.1.1.3: name%25%34%31 is the value "%41", not "A"."""
    uri = SipUri.parse("sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31")
    assert uri.user == "caller"
    assert uri.params == (("lr", ""), ("name", "value%2541"))
    assert str(uri) == "sip:caller@host5.example.net;lr;name=value%2541"


@pytest.mark.parametrize(
    "text",
    [
        "sip:a@b;x= y",
        "sip:a b@c",
        "<sip:a@b>",
        "sip:",
        "sip:@",
        "a@b",
        "",
        ":x",
        "sip:a@b:99999",
        "sip:a@b:x",
        "sip:2001:db8::10",
        "sip:a@b@c",
        "sip:a@[::1",
        "sip:a@例.cn",
        "sip:" + "9" * 5000 + "@b:" + "9" * 5000,
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(SipParseError) as caught:
        SipUri.parse(text)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@example.com",
        "sips:alice:pw@[::1]:5061;transport=tcp;lr?Subject=a%20b&X=",
        "sip:*88%23@pbx",
        "sip:a%3Bb@c",
        "tel:+8610;phone-context=+86",
        "nobodyKnows:opaque:x",
        "sip:x@y;alias=1.2.3.4~5060~1;token=YWJj==",
    ],
)
def test_written_as_read(text: str) -> None:
    assert str(SipUri.parse(text)).lower() == text.lower()


_user = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp", "Co"))
)


@given(
    user=_user.filter(lambda text: not set(text) & set(":@%/?;&=$,")), port=st.integers(0, 65535)
)
def test_round_trip(user: str, port: int) -> None:
    uri = SipUri("sip", user, "example.com", port, (("transport", "tcp"),))
    assert SipUri.parse(str(uri)) == uri
    assert str(uri).isascii()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # the pairs of section 19.1.4
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
    ],
)
def test_equivalent(one: str, other: str) -> None:
    assert SipUri.parse(one).matches(SipUri.parse(other))
    assert SipUri.parse(other).matches(SipUri.parse(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com;transport=udp", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@b", "sips:a@b"),
        ("sip:a@b", "sip:a@b;maddr=1.2.3.4"),
        ("sip:a:x@b", "sip:a:y@b"),
        ("sip:a%3Bb@c", "sip:a;b@c"),
    ],
)
def test_not_equivalent(one: str, other: str) -> None:
    assert not SipUri.parse(one).matches(SipUri.parse(other))


def test_aor() -> None:
    assert SipUri.parse("sip:Alice@PBX.example:5070;x").aor == "Alice@pbx.example"
