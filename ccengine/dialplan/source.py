"""YAML files with positions: every value knows the line and column where it stands.

The traps of YAML 1.1 are taken out: ``no`` is the text ``no``, ``010`` stays ``010``,
``12:30:00`` and ``2026-01-05`` stay text.  ``true``/``false``, ``null``/``~``, decimal
integers and decimal fractions are what they look like; keys are always text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from ccengine.errors import DocumentError, Problem

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where a value stands in its document: keys of mappings and indexes of lists."""

MAX_NODES = 200_000
"""More values than this in one file are taken for a bomb of aliases, not for a document."""

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Document:
    """A file read: plain data, and the (line, column) of every value, counted from 1.

    ``keys`` holds the place of each mapping key, ``marks`` the place of each value;
    ``quoted`` names the values that were written in quotes.  ``problems`` are mistakes of
    notation beside which the rest can be read, such as a key that stands twice.
    """

    file: str
    data: Any
    marks: Mapping[KeyPath, tuple[int, int]] = field(default_factory=dict)
    keys: Mapping[KeyPath, tuple[int, int]] = field(default_factory=dict)
    quoted: frozenset[KeyPath] = frozenset()
    problems: tuple[Problem, ...] = ()

    def find(self, path: KeyPath) -> KeyPath:
        """Return the part of ``path`` that exists in this document.

        Components that the document does not have, such as a field that was written in
        its short form, are left out on the way.
        """
        found: KeyPath = ()
        for component in path:
            if (*found, component) in self.marks:
                found = (*found, component)
        return found

    def position(self, path: KeyPath, *, key: bool = False) -> tuple[int, int]:
        """Return line and column of the value at ``path``, or of its key when ``key``."""
        found = self.find(path)
        if key and found in self.keys:
            return self.keys[found]
        return self.marks.get(found, (1, 1))

    def problem(
        self, path: KeyPath, message: str, cure: str = "", *, key: bool = False, offset: int = 0
    ) -> Problem:
        """Return a problem with the value (or key) at ``path``.

        ``offset`` counts characters into a value that is written on one line.
        """
        line, column = self.position(path, key=key)
        if offset:
            column += offset + (1 if self.find(path) in self.quoted else 0)
        return Problem(self.file, line, column, message, cure)


class _Loader(yaml.CSafeLoader):
    """The C loader with resolvers of our own instead of those of YAML 1.1."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _kind, _pattern, _first in (
    ("bool", r"^(?:true|false|True|False)$", "tfTF"),
    ("null", r"^(?:~|null|)$", ["~", "n", ""]),
    ("int", r"^-?(?:0|[1-9][0-9]{0,17})$", "-0123456789"),
    ("float", r"^-?(?:0|[1-9][0-9]*)\.[0-9]+$", "-0123456789"),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(_pattern), list(_first))


@dataclass(slots=True)
class _Builder:
    """Turns composed nodes into plain data and collects positions on the way."""

    file: str
    marks: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    keys: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    quoted: set[KeyPath] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    open_nodes: set[int] = field(default_factory=set)

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        mark = node.start_mark
        self.marks[path] = (mark.line + 1, mark.column + 1)
        if len(self.marks) > MAX_NODES or id(node) in self.open_nodes:
            raise DocumentError([self._problem(node, "aliases that grow without end", "")])
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag.removeprefix(_TAG) not in {"seq", "map"}:
            self._refuse_tag(node)
        self.open_nodes.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
            assert isinstance(node, yaml.MappingNode)
            return self._mapping(node, path)
        finally:
            self.open_nodes.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                cure = "write plain text before the colon"
                self.problems.append(self._problem(key_node, "a key must be text", cure))
                continue
            key = key_node.value
            here = (*path, key)
            if key == "<<" and not key_node.style:
                cure = "write the keys out"
                self.problems.append(self._problem(key_node, "merge keys are not known", cure))
                continue
            if key in data:
                line, _ = self.keys[here]
                message = f"key {key!r} stands here twice, first in line {line}"
                self.problems.append(self._problem(key_node, message, "remove one of them"))
                continue
            self.keys[here] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            data[key] = self.build(value_node, here)
        return data

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text: str = node.value
        if node.style:
            self.quoted.add(path)
        kind = node.tag.removeprefix(_TAG)
        if kind == "str":
            return text
        if kind == "null":
            return None
        try:
            if kind == "int":
                return int(text)
            if kind == "float":
                return float(text)
        except ValueError:
            self.problems.append(self._problem(node, f"{text!r} is not of type {kind}", ""))
            return text
        if kind == "bool":
            return text.lower() == "true"
        self._refuse_tag(node)
        return text

    def _refuse_tag(self, node: yaml.Node) -> None:
        self.problems.append(
            self._problem(node, f"tag {node.tag!r} is not known here", "write plain values")
        )

    def _problem(self, node: yaml.Node, message: str, cure: str) -> Problem:
        mark = node.start_mark
        return Problem(self.file, mark.line + 1, mark.column + 1, message, cure)


def _syntax_problem(file: str, error: yaml.YAMLError) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = " ".join(part for part in (error.context, error.problem) if part)
        cure = "check indentation, colons and quotes near here; texts with : # * & { need quotes"
        return Problem(file, line, column, f"this is no YAML: {what}", cure)
    return Problem(file, 1, 1, f"this is no YAML: {error}", "save the file as plain UTF-8 text")


def parse_document(text: str, file: str) -> Document:
    """Read YAML text that came from ``file``.

    Raises :class:`DocumentError` when it cannot be read at all.
    """
    loader = _Loader(text.removeprefix("\ufeff"))
    try:
        node = loader.get_single_node()
    except yaml.YAMLError as error:
        raise DocumentError([_syntax_problem(file, error)]) from error
    finally:
        loader.dispose()
    if node is None:
        return Document(file, None)
    builder = _Builder(file)
    data = builder.build(node, ())
    quoted, problems = frozenset(builder.quoted), tuple(builder.problems)
    return Document(file, data, builder.marks, builder.keys, quoted, problems)


def read_text(path: Path) -> str:
    """Return the text of a file; raises :class:`DocumentError` when it cannot be read."""
    file = str(path)
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or "cannot be read"
        cure = "check the name and its permissions"
        raise DocumentError([Problem(file, 0, 0, reason, cure)]) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problem = Problem(file, line, 1, "this is not UTF-8", "save the file as UTF-8")
        raise DocumentError([problem]) from error


def read_document(path: Path) -> Document:
    """Read a YAML file; raises :class:`DocumentError` when it cannot be read."""
    return parse_document(read_text(path), str(path))


DocumentReader: TypeAlias = Callable[[Path], Document]
"""Where documents come from: the disk, or texts that were kept."""
