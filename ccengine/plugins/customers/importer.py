"""Customers from a CSV file, with every mistake named by file, line and column."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from ccengine.plugin import DocumentError, Problem
from ccengine.plugins.customers.number import normalise
from ccengine.plugins.customers.store import CustomerRow

COLUMNS = ("number", "name", "level", "note")
_LENGTHS = {"name": 200, "level": 40, "note": 2000}
_MAX_PROBLEMS = 100
_LONGEST_NUMBER = 32


def read_csv(path: Path, area_code: str = "") -> list[CustomerRow]:
    """Return the customers of a CSV file whose first line names the columns.

    ``number`` and ``name`` are needed, ``level`` and ``note`` may be missing.  UTF-8, with or
    without byte order mark, and GB18030 are understood.  Raises :class:`DocumentError` with
    every problem (the first hundred) and takes nothing from a file that has one.
    """
    return _Reading(str(path), _text_of(path), area_code).rows()


def _text_of(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DocumentError([Problem(str(path), 0, 0, f"cannot be read: {error}")]) from error
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DocumentError(
        [Problem(str(path), 0, 0, "is neither UTF-8 nor GB18030", "save it as CSV UTF-8")]
    )


class _Reading:
    """One pass over one file."""

    def __init__(self, file: str, text: str, area_code: str) -> None:
        self._file = file
        self._text = text
        self._lines = text.split("\n")
        self._area_code = area_code
        self._problems: list[Problem] = []
        self._seen: dict[str, int] = {}

    def rows(self) -> list[CustomerRow]:
        reader = csv.reader(io.StringIO(self._text, newline=""), strict=True)
        rows: list[CustomerRow] = []
        header: list[str] = []
        line = 1
        try:
            header = [name.strip().lower() for name in next(reader, [])]
            self._check_header(header)
            line = reader.line_num + 1
            for fields in reader:
                if any(field.strip() for field in fields) and not self._full():
                    row = self._row(line, header, fields)
                    rows += [row] if row else []
                line = reader.line_num + 1
        except csv.Error as error:
            self._problem(line, 1, f"cannot be read: {error}", "check the quotes")
        if self._problems:
            raise DocumentError(self._problems[:_MAX_PROBLEMS])
        return rows

    def _full(self) -> bool:
        return len(self._problems) >= _MAX_PROBLEMS

    def _problem(self, line: int, column: int, message: str, cure: str = "") -> None:
        self._problems.append(Problem(self._file, line, column, message, cure))

    def _check_header(self, header: list[str]) -> None:
        for place, name in enumerate(header):
            column = self._column(1, place)
            if name not in COLUMNS:
                near = get_close_matches(name, COLUMNS, n=1)
                cure = f"write {near[0]!r}" if near else f"there are {', '.join(COLUMNS)}"
                self._problem(1, column, f"unknown column {name!r}", cure)
            elif name in header[:place]:
                self._problem(1, column, f"column {name!r} stands twice", "remove one")
        for name in COLUMNS[:2]:
            if name not in header:
                cure = f"begin with {','.join(COLUMNS)}"
                self._problem(1, 1, f"there is no column {name!r}", cure)
        if self._problems:
            raise DocumentError(self._problems)

    def _row(self, line: int, header: list[str], fields: list[str]) -> CustomerRow | None:
        before = len(self._problems)
        if len(fields) > len(header):
            column = self._column(line, len(header))
            cure = "put text with commas into double quotes"
            self._problem(line, column, f"{len(fields)} fields, not {len(header)}", cure)
            return None
        values = dict.fromkeys(COLUMNS, "")
        values |= {name: text.strip() for name, text in zip(header, fields, strict=False)}
        columns = {name: self._column(line, place) for place, name in enumerate(header)}
        number = self._number(line, columns["number"], values["number"])
        self._check_text(line, columns, values)
        if len(self._problems) > before:
            return None
        return CustomerRow(number, values["name"], values["level"], values["note"])

    def _number(self, line: int, column: int, text: str) -> str:
        number = normalise(text, self._area_code)
        if not number or len(number) > _LONGEST_NUMBER:
            self._problem(line, column, f"{text!r} is no telephone number", "write digits")
        elif number in self._seen:
            first = self._seen[number]
            self._problem(line, column, f"{text!r} stands in line {first} already", "keep one")
        else:
            self._seen[number] = line
        return number

    def _check_text(self, line: int, columns: Mapping[str, int], values: Mapping[str, str]) -> None:
        if not values["name"]:
            self._problem(line, columns["name"], "the name is empty", "write a name")
        for name, longest in _LENGTHS.items():
            if len(values[name]) > longest:
                message = f"{name} has {len(values[name])} characters, at most {longest}"
                self._problem(line, columns.get(name, 1), message, "shorten it")

    def _column(self, line: int, place: int) -> int:
        """Return where field ``place`` of a line begins, from 1; commas in quotes are text."""
        if line > len(self._lines):
            return 1
        quoted, passed = False, 0
        for position, character in enumerate(self._lines[line - 1]):
            if passed == place:
                return position + 1
            if character == '"':
                quoted = not quoted
            elif character == "," and not quoted:
                passed += 1
        return len(self._lines[line - 1]) + 1
