"""Shared pieces of the grammar."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.errors import SipParseError
from ccengine.sip import grammar


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ["a"]),
        ("a, b ,c", ["a", "b", "c"]),
        ("a,,b,", ["a", "b"]),
        ('"Doe, John" <sip:a@b>, <sip:c,d@e>', ['"Doe, John" <sip:a@b>', "<sip:c,d@e>"]),
        (r'"quote \", comma" <sip:a@b>,c', [r'"quote \", comma" <sip:a@b>', "c"]),
        ('"open, never closed', ['"open, never closed']),
        ("<open, x", ["<open, x"]),
        ('<sip:a"b@c>, d', ['<sip:a"b@c>', "d"]),
    ],
)
def test_split_list(text: str, parts: list[str]) -> None:
    assert grammar.split_list(text) == parts


def test_params_keep_order_and_quotes() -> None:
    params = grammar.parse_params(' ; Tag = a1 ;lr; x="p;q=\\";" ;;=v;tag=second')
    assert params == (("tag", "a1"), ("lr", ""), ("x", '"p;q=\\";"'), ("tag", "second"))
    assert grammar.param_of(params, "tag") == "a1"
    assert grammar.param_of(params, "lr") == ""
    assert grammar.param_of(params, "x") == 'p;q=";'
    assert grammar.param_of(params, "none") is None
    assert grammar.format_params(params[:2]) == ";tag=a1;lr"


@given(st.text(max_size=30).filter(lambda text: "\r" not in text and "\n" not in text))
def test_quoting_round_trip(text: str) -> None:
    quoted = grammar.quote(text)
    assert grammar.unquote(quoted) == text
    assert grammar.closing_quote(quoted + " <sip:a@b>") == len(quoted) - 1


def test_quote_lets_no_line_end_out() -> None:
    assert grammar.quote("a\r\nVia: x") == '"a  Via: x"'


@pytest.mark.parametrize("text", ["", "x", "-1", "1.0", "٣", "+5", "0x5", "9" * 5000, "256"])
def test_scalars_out_of_range(text: str) -> None:
    with pytest.raises(SipParseError):
        grammar.parse_scalar(text, "n", 256)


def test_scalars() -> None:
    assert grammar.parse_scalar(" 0068 ", "n", 256) == 68
    assert grammar.parse_scalar("0" * 5000 + "7", "n", 256) == 7


@pytest.mark.parametrize("host", ["a.b", "192.0.2.1", "[2001:db8::9:1]", "h_1", "[::ffff:1.2.3.4]"])
def test_hosts(host: str) -> None:
    assert grammar.check_host(host) == host


@pytest.mark.parametrize(
    "host", ["", "[", "[]", "a b", "2001:db8::1", "[a", "[abcd]", "例.cn", "a@b"]
)
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(SipParseError):
        grammar.check_host(host)


@pytest.mark.parametrize(
    "text", ['"' * 30000, "<" * 60000, '\\"' * 30000, ",<" * 30000, ';"' * 30000]
)
def test_scanners_are_linear(text: str) -> None:
    """A hostile header field of 60 kB costs milliseconds."""
    start = time.process_time()
    grammar.split_list(text)
    grammar.parse_params(text)
    grammar.closing_quote('"' + text)
    assert time.process_time() - start < 0.5
