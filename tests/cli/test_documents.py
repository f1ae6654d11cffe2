"""What README and tutorial tell people to type and to write is true."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from ccengine.cli.main import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "tutorial" / "first-call.md")
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(ccengine [^`]+)`")


def commands_of(path: Path) -> list[str]:
    """Return every command line that the document shows, without prompt and comment."""
    text = path.read_text(encoding="utf-8")
    lines = [line for _, block in _BLOCK.findall(text) for line in block.splitlines()]
    lines = [line.removeprefix("$ ") for line in lines]
    shown = [line.partition("  #")[0] for line in lines if line.startswith("ccengine ")]
    return [*shown, *_INLINE.findall(_BLOCK.sub("", text))]


SHOWN = sorted({(path.name, line.strip()) for path in DOCUMENTS for line in commands_of(path)})


def parse(words: list[str]) -> None:
    """Read a command line as the command would, without doing anything."""
    command: click.Command = cli
    context = click.Context(cli, info_name="ccengine", **cli.context_settings)
    while isinstance(command, click.Group):
        name, *rest = words
        found = command.get_command(context, name)
        assert found is not None, f"there is no command {name!r}"
        if isinstance(found, click.Group) and found.invoke_without_command and not rest:
            return
        command, words = found, rest
    command.make_context(command.name, words, parent=context)


@pytest.mark.parametrize(("document", "line"), SHOWN)
def test_every_command_that_is_shown_exists(
    document: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    # A name in capitals stands for what the reader puts there.
    words = [word for word in shlex.split(line)[1:] if word != "…"]
    parse(words)


def test_commands_were_found() -> None:
    assert len(SHOWN) > 25


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (path.parent / target).exists(), target


def test_the_output_of_check_is_what_the_readme_shows(
    invoke: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    shown = (ROOT / "README.md").read_text(encoding="utf-8")
    out = invoke("check", "-c", "dialplans/ccengine.yaml").stdout
    assert out.splitlines()[0] in shown


def test_the_tutorials_files_fit_together(invoke: Any, tmp_path: Path) -> None:
    text = DOCUMENTS[1].read_text(encoding="utf-8")
    for kind, block in _BLOCK.findall(text):
        if kind == "yaml":
            name = block.splitlines()[0].removeprefix("# ")
            (tmp_path / name).write_text(block, encoding="utf-8")
    checked = invoke("check")
    assert (checked.exit_code, checked.stderr) == (0, "")
    assert "2 extensions, 1 agent, 1 queue" in checked.stdout
    tested = invoke("test")
    assert tested.exit_code == 0, tested.stderr
    assert tested.stdout.startswith("2 passed")


def test_the_readmes_flow_is_right(invoke: Any, tmp_path: Path) -> None:
    (block,) = [
        block
        for kind, block in _BLOCK.findall(DOCUMENTS[0].read_text(encoding="utf-8"))
        if kind == "yaml"
    ]
    (tmp_path / "main.yaml").write_text(block, encoding="utf-8")
    (tmp_path / "ccengine.yaml").write_text(
        'extensions: {"1001": {password: a}}\nqueues: {sales: {}}\n'
        'dialplan: main.yaml\nnumbers: {"4001": main}\n'
    )
    checked = invoke("check")
    assert (checked.exit_code, checked.stderr) == (0, "")
