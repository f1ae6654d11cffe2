from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from ccengine import __version__
from ccengine.cli.main import cli


def test_every_command_is_listed_with_what_it_does(invoke: Any) -> None:
    out = invoke("--help").stdout
    for name, command in cli.commands.items():
        assert f"\n  {name} " in out
        assert command.help, f"{name} tells nothing of itself"


@pytest.mark.parametrize("name", [*cli.commands, "agents sign-in", "journal show"])
def test_every_command_has_help(invoke: Any, name: str) -> None:
    result = invoke(*name.split(), "-h")
    assert result.exit_code == 0
    assert f"Usage: ccengine {name}" in result.stdout


def test_version(invoke: Any) -> None:
    assert __version__ in invoke("--version").stdout


def test_help_and_completion_load_nothing_heavy() -> None:
    """What takes most of a second to import is imported by the commands that need it."""
    program = (
        "import sys, ccengine.cli.main\n"
        "heavy = {'numpy', 'sqlalchemy', 'pydantic', 'cel', 'rich', 'uvloop', 'asyncio'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"imported: {done.stderr}"


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ccengine", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"ccengine, version {__version__}\n"
