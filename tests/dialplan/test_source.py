from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.dialplan.source import parse_document, read_document
from ccengine.errors import DocumentError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("off", "off"),
        ("010", "010"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("1e3", "1e3"),
        ("12:30:00", "12:30:00"),
        ("2026-01-05", "2026-01-05"),
        ("+8613800138000", "+8613800138000"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("5", 5),
        ("-5", -5),
        ("0.5", 0.5),
        ("95588", 95588),
        ("'5'", "5"),
        (".5", ".5"),
    ],
)
def test_values_are_what_they_look_like(text: str, value: object) -> None:
    found = parse_document(f"key: {text}\n", "f").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_always_text() -> None:
    assert parse_document("{1: a, no: b, 010: c}", "f").data == {"1": "a", "no": "b", "010": "c"}


def test_every_value_and_key_has_a_place() -> None:
    document = parse_document("a:\n  - b\n  - c: 'd'\n", "f")
    assert document.position(("a", 0)) == (2, 5)
    assert document.position(("a", 1, "c")) == (3, 8)
    assert document.position(("a", 1, "c"), key=True) == (3, 5)
    assert document.quoted == {("a", 1, "c")}
    # what the document does not have is left out on the way
    assert document.position(("a", "short", 1, "c", "x")) == (3, 8)


def test_an_offset_counts_behind_the_quote() -> None:
    document = parse_document("a: 'bcd'\nb: bcd\n", "f")
    assert document.problem(("a",), "m", offset=1).column == 6
    assert document.problem(("b",), "m", offset=1).column == 5


def test_a_key_that_stands_twice_is_a_problem_and_the_rest_is_read() -> None:
    document = parse_document("a: 1\nb: 2\na: 3\n", "f")
    assert document.data == {"a": 1, "b": 2}
    assert [str(problem) for problem in document.problems] == [
        "f:3:1: key 'a' stands here twice, first in line 1; remove one of them"
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: [1, 2\nb: 3\n", 2, "this is no YAML"),
        ("a:\n\tb: 1\n", 2, "this is no YAML"),
        ("a: b: c\n", 1, "this is no YAML"),
        ("a: &x [*x]\n", 1, "aliases"),
        ("a: \x01\n", 1, "this is no YAML"),
    ],
)
def test_broken_notation_has_a_place(text: str, line: int, words: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_document(text, "f")
    assert words in caught.value.problems[0].message
    assert caught.value.problems[0].line == line


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object:os.system x\n",
        "a: !include other.yaml\n",
        "a: !!python/object:x {}\n",
        "a: !mine [1]\n",
    ],
)
def test_tags_are_refused(text: str) -> None:
    problems = parse_document(text, "f").problems
    assert "tag" in problems[0].message


def test_merge_keys_and_keys_that_are_no_text_are_refused() -> None:
    problems = parse_document("a: {<<: {b: 1}, [x]: 2, '<<': 3}\n", "f").problems
    assert [problem.message for problem in problems] == [
        "merge keys are not known",
        "a key must be text",
    ]


def test_a_bomb_of_aliases_does_not_explode() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(DocumentError, match="aliases that grow"):
        parse_document("\n".join(lines), "f")


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="No such file"):
        read_document(tmp_path / "missing.yaml")
    bad = tmp_path / "gbk.yaml"
    bad.write_bytes("a: 1\nb: 您好\n".encode("gbk"))
    with pytest.raises(DocumentError, match=r":2:1: this is not UTF-8; save the file as UTF-8"):
        read_document(bad)


def test_a_byte_order_mark_and_an_empty_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_document(path).data == {"a": 1}
    assert parse_document("# nothing\n", "f").data is None


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_document(text, "f").file
    except DocumentError as error:
        found = error.problems[0].file
    assert found == "f"
