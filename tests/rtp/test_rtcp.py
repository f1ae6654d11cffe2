from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.errors import RtpError
from ccengine.rtp import rtcp
from ccengine.rtp.rtcp import ReportBlock, RtcpReport, SenderInfo

word = st.integers(0, 0xFFFFFFFF)
blocks = st.builds(
    ReportBlock, word, st.integers(0, 255), st.integers(-0x800000, 0x7FFFFF), word, word, word, word
)
reports = st.builds(
    RtcpReport,
    ssrc=word,
    sender=st.none() | st.builds(SenderInfo, st.integers(0, (1 << 64) - 1), word, word, word),
    blocks=st.lists(blocks, max_size=4).map(tuple),
    cname=st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=60),
    bye=st.lists(word, max_size=2).map(tuple),
)


@given(reports)
def test_what_is_built_is_parsed(report):
    data = rtcp.build(report)
    assert len(data) % 4 == 0
    assert rtcp.parse(data) == report


@given(st.binary(max_size=120))
def test_noise_is_refused_or_read_but_never_worse(data):
    try:
        rtcp.parse(data)
    except RtpError:
        return


@given(reports, st.data())
def test_cut_and_broken_compounds_never_do_worse(report, data):
    raw = bytearray(rtcp.build(report))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    try:
        rtcp.parse(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    except RtpError:
        return


def test_a_compound_begins_with_a_report():
    """:rfc:`3550` section 6.1 and appendix A.2."""
    data = rtcp.build(RtcpReport(1, cname="a"))
    assert data[1] == rtcp.RR
    with pytest.raises(RtpError):
        rtcp.parse(data[8:])


def test_fraction_lost_and_round_trip():
    """:rfc:`3550` appendix A.3 and figure 2 of section 6.4.1."""
    assert rtcp.fraction_lost(100, 75) == 64
    assert rtcp.fraction_lost(100, 110) == 0
    assert rtcp.fraction_lost(0, 0) == 0
    block = ReportBlock(1, 0, 0, 0, 0, last_sr=0xB7052000, delay=0x00054000)
    arrival = 0xB7108000 << 16
    assert rtcp.round_trip_s(arrival, block) == pytest.approx(6.125)
    assert rtcp.round_trip_s(arrival, ReportBlock(1, 0, 0, 0, 0)) is None


def test_jitter_follows_the_standard():
    """:rfc:`3550` appendix A.8: J += (|D| - J) / 16."""
    assert rtcp.next_jitter(0.0, -160) == 10.0
    assert rtcp.next_jitter(10.0, 0) == pytest.approx(9.375)
