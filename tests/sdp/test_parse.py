"""Reading session descriptions leniently (RFC 8866, RFC 5118)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.errors import SdpError
from ccengine.sdp import Connection, MediaSection, Origin, SessionDescription
from ccengine.sdp.parse import MAX_BYTES, MAX_MEDIA

RFC8866_EXAMPLE = b"""v=0
o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1
s=Call to John Smith
i=SDP Offer #1
u=http://www.jdoe.example.com/home.html
e=Jane Doe <jane@jdoe.example.com>
p=+1 617 555-6011
c=IN IP4 198.51.100.1
t=0 0
m=audio 49170 RTP/AVP 0
m=audio 49180 RTP/AVP 0
m=video 51372 RTP/AVP 99
c=IN IP6 2001:db8::2
a=rtpmap:99 h263-1998/90000
"""


def parse(text: str) -> SessionDescription:
    return SessionDescription.parse(text.encode())


def audio(*lines: str) -> MediaSection:
    text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    return parse(text + "\r\n".join(lines) + "\r\n").media[0]


def test_rfc8866_section_5_example() -> None:
    description = SessionDescription.parse(RFC8866_EXAMPLE)
    assert description.origin == Origin("jdoe", 3724394400, 3724394405, "198.51.100.1")
    assert description.name == "Call to John Smith"
    assert [section.port for section in description.media] == [49170, 49180, 51372]
    assert description.connection_of(description.media[0]) == Connection("198.51.100.1")
    assert description.connection_of(description.media[2]) == Connection("2001:db8::2")
    assert ("e", "Jane Doe <jane@jdoe.example.com>") in description.lines


def test_what_was_read_is_written_in_the_order_of_the_grammar() -> None:
    """RFC 8866 section 9: the order of lines is fixed."""
    assert SessionDescription.parse(RFC8866_EXAMPLE).encode() == RFC8866_EXAMPLE.replace(
        b"\n", b"\r\n"
    )


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_any_line_end_is_read(end: str) -> None:
    """RFC 8866 section 5: parsers SHOULD accept records ended by a single newline."""
    text = end.join(("v=0", "o=- 1 2 IN IP4 h", "s=-", "t=0 0", "m=audio 4 RTP/AVP 0", "a=x", ""))
    description = parse(text)
    assert description.origin.version == 2
    assert description.media[0].attributes == (("x", None),)


def test_missing_lines_are_forgiven() -> None:
    description = parse("c=IN IP4 192.0.2.7\nm=audio 4000 RTP/AVP 8")
    assert description.media[0].codecs()[0].name == "PCMA"
    assert description.timing == "0 0"


def test_a_crippled_origin_is_forgiven() -> None:
    assert parse("v=0\no=alice\ns=-").origin == Origin("alice")
    assert parse("v=0\no=alice x y IN IP4\ns=-").origin == Origin("alice")


def test_codecs_with_and_without_rtpmap() -> None:
    section = audio(
        "m=audio 4000 RTP/AVP 0 8 9 18 96 101 97 3",
        "a=rtpmap:96 opus/48000/2",
        "a=fmtp:96 useinbandfec=1",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=rtpmap:3 GSM/8000",
        "a=fmtp:18 annexb=no",
    )
    found = [(codec.name, codec.payload_type, codec.clock_rate) for codec in section.codecs()]
    assert found == [
        ("PCMU", 0, 8000),
        ("PCMA", 8, 8000),
        ("G722", 9, 8000),
        ("G729", 18, 8000),
        ("opus", 96, 48000),
        ("telephone-event", 101, 8000),
        ("GSM", 3, 8000),
    ]  # 97 says nothing and is left out
    assert section.codecs()[4].channels == 2
    assert section.codecs()[4].fmtp == "useinbandfec=1"
    assert section.codecs()[3].fmtp == "annexb=no"


@pytest.mark.parametrize("rtpmap", ["96", "96 /8000", "96 x/0", "96 x/8000/0", "96 x/eight", "x"])
def test_a_broken_rtpmap_leaves_its_format_out(rtpmap: str) -> None:
    section = audio("m=audio 4000 RTP/AVP 96 0", f"a=rtpmap:{rtpmap}")
    assert [codec.name for codec in section.codecs()] == ["PCMU"]


def test_typed_attributes() -> None:
    section = audio(
        "m=audio 4000 RTP/SAVP 0",
        "a=ptime:30",
        "a=maxptime:60.5",
        "a=rtcp:4005 IN IP4 192.0.2.9",
        "a=rtcp-mux",
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc",
        "a=whatever:kept as it is",
    )
    assert (section.ptime_ms, section.maxptime_ms) == (30, 60)
    assert section.rtcp == (4005, "192.0.2.9")
    assert section.has_rtcp_mux
    assert section.crypto == ("1 AES_CM_128_HMAC_SHA1_80 inline:abc",)
    assert section.attribute("whatever") == "kept as it is"
    assert section.attribute("absent") is None


@pytest.mark.parametrize("value", ["x", "0", "-20", "999999", "", "²"])
def test_senseless_ptime_counts_as_absent(value: str) -> None:
    assert audio("m=audio 4000 RTP/AVP 0", f"a=ptime:{value}").ptime_ms is None


@pytest.mark.parametrize("value", ["x", "70000", ""])
def test_senseless_rtcp_counts_as_absent(value: str) -> None:
    assert audio("m=audio 4000 RTP/AVP 0", f"a=rtcp:{value}").rtcp is None


def test_direction_of_the_section_wins_over_the_session() -> None:
    """RFC 8866 section 6.7: session level is the default, sendrecv the default of all."""
    description = parse(
        "v=0\na=recvonly\nm=audio 1 RTP/AVP 0\nm=audio 2 RTP/AVP 0\na=sendonly\nm=audio 3 RTP/AVP 0"
    )
    directions = [description.direction_of(section) for section in description.media]
    assert directions == ["recvonly", "sendonly", "recvonly"]
    bare = parse("m=audio 1 RTP/AVP 0")
    assert bare.direction_of(bare.media[0]) == "sendrecv"


def test_mixed_address_families() -> None:
    """RFC 5118 section 4.9: media streams of one session may use different IP versions."""
    description = parse(
        "v=0\no=bob 280744730 28977631 IN IP4 host.example.com\ns=\nt=0 0\n"
        "m=audio 22334 RTP/AVP 0\nc=IN IP4 192.0.2.1\n"
        "m=video 6024 RTP/AVP 107\nc=IN IP6 2001:db8::1\na=rtpmap:107 H263-1998/90000\n"
    )
    hosts = [section.connection.host for section in description.media if section.connection]
    assert hosts == ["192.0.2.1", "2001:db8::1"]
    assert b"c=IN IP6 2001:db8::1\r\n" in description.encode()


def test_port_count_and_multicast_suffix_survive() -> None:
    description = parse("c=IN IP4 233.252.0.1/127/3\nm=video 49170/2 RTP/AVP 31\n")
    assert description.connection == Connection("233.252.0.1", "/127/3")
    assert description.media[0].port_count == 2
    assert b"c=IN IP4 233.252.0.1/127/3\r\n" in description.encode()
    assert b"m=video 49170/2 RTP/AVP 31\r\n" in description.encode()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        ("\r\n\r\n", "empty"),
        ("hello", "line 1"),
        ("v=0\nnonsense", "line 2"),
        ("v=1", "version"),
        ("m=audio", "lacks port"),
        ("m=audio x RTP/AVP 0", "no port"),
        ("m=audio 65536 RTP/AVP 0", "no port"),
        ("m=audio -1 RTP/AVP 0", "no port"),
        ("m=audio 1/x RTP/AVP 0", "no port"),
        ("c=IN IP4", "IN IP4"),
        ("c=IN IP4 a;b", "no address"),
        ("c=ATM IP4 192.0.2.1", "IN IP4"),
        ("\n".join(["m=audio 1 RTP/AVP 0"] * (MAX_MEDIA + 1)), "media lines"),
        ("a=x\n" * 3000, "lines"),
        ("a=" + "x" * MAX_BYTES, "bytes"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, word: str) -> None:
    with pytest.raises(SdpError, match=word):
        parse(text)


def test_bytes_that_are_no_text_survive() -> None:
    description = SessionDescription.parse(b"v=0\r\ns=caf\xe9\r\nt=0 0\r\n")
    assert b"s=caf\xe9\r\n" in description.encode()


@given(st.binary(max_size=400))
def test_garbage_is_read_or_refused(data: bytes) -> None:
    try:
        description = SessionDescription.parse(data)
    except SdpError:
        return
    for section in description.media:
        section.codecs()
        assert 0 <= section.port <= 65535


LINES = st.lists(
    st.sampled_from(
        [
            "v=0",
            "o=- 1 1 IN IP4 192.0.2.1",
            "s=-",
            "i=x",
            "b=AS:64",
            "c=IN IP4 0.0.0.0",
            "c=IN IP6 ::1",
            "t=0 0",
            "t=1 2",
            "r=7d",
            "k=clear:x",
            "a=sendonly",
            "a=rtpmap:96 opus/48000/2",
            "a=:",
            "a=",
            "z=0",
            "m=audio 0 RTP/AVP 0 8",
            "m=image 4000 udptl t38",
            "m=video 4000/2 RTP/AVP",
        ]
    ),
    min_size=1,
    max_size=30,
)


@given(LINES, st.sampled_from(["\r\n", "\n"]))
def test_writing_and_reading_again_changes_nothing(lines: list[str], end: str) -> None:
    first = parse(end.join(lines))
    again = SessionDescription.parse(first.encode())
    assert again.encode() == first.encode()
    assert again.connection == first.connection
    assert again.attributes == first.attributes
    for one, other in zip(again.media, first.media, strict=True):
        assert replace(one, lines=()) == replace(other, lines=())
        assert sorted(one.lines) == sorted(other.lines)
