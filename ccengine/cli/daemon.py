"""Commands about a configuration: run it, check it, test its flows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccengine.cli.option import config_option, config_path, json_option
from ccengine.cli.output import print_json
from ccengine.errors import CommandError

if TYPE_CHECKING:
    from ccengine.config.loader import Config
    from ccengine.dialplan.testing import TestReport
    from ccengine.errors import Problem

RESERVED_FILES = 64
"""Open files that a process needs beside those of its legs."""


@click.command()
@config_option
def run() -> None:
    """Run the engine in the foreground; SIGTERM or Ctrl-C drains and stops it."""
    from ccengine.config.loader import load_config
    from ccengine.engine import daemon

    config = load_config(config_path())
    for problem in [*config.warnings, *prompt_warnings(config)]:
        click.echo(f"warning: {problem}", err=True)
    daemon.run(config)


@click.command()
@config_option
@json_option
def check(as_json: bool) -> None:
    """Check a configuration and its flows; tell every mistake at once."""
    from ccengine.config.loader import load_config
    from ccengine.errors import ConfigError

    try:
        config = load_config(config_path())
    except ConfigError as error:
        if not as_json:
            raise
        print_json({"ok": False, "problems": [_plain(one) for one in error.problems]})
        raise click.exceptions.Exit(1) from error
    warnings = [*config.warnings, *prompt_warnings(config)]
    if as_json:
        answer = {"ok": True, "warnings": [_plain(one) for one in warnings]}
        print_json({**answer, **counts(config), "legs": leg_limits(config)})
        return
    for problem in warnings:
        click.echo(f"warning: {problem}", err=True)
    parts = ", ".join(_count(number, name) for name, number in counts(config).items())
    click.echo(f"ok: {parts}")
    limits = leg_limits(config)
    click.echo(
        f"legs: {limits['possible']}; RTP ports allow {limits['by_ports']}, "
        f"the limit of {limits['open_files']} open files allows {limits['by_open_files']}"
    )


def _plain(problem: Problem) -> dict[str, Any]:
    names = ("file", "line", "column", "message", "cure")
    return {name: getattr(problem, name) for name in names}


def _count(number: int, name: str) -> str:
    return f"{number} {name if number != 1 else name.removesuffix('s')}"


def counts(config: Config) -> dict[str, int]:
    """Return how many of each thing a configuration has."""
    settings = config.settings
    return {
        "extensions": len(settings.extensions),
        "agents": len(settings.agents),
        "queues": len(settings.queues),
        "numbers": len(settings.numbers),
        "flows": len(config.dialplan.flows),
        "plugins": len(settings.plugins),
    }


def leg_limits(config: Config) -> dict[str, int]:
    """Return how many legs RTP ports and open files allow, and both together.

    Every worker and the keeper, who has a duplicate of each socket, is held to the limit.
    """
    from ccengine.engine.daemon import FILES_PER_LEG, raise_file_limit

    open_files = raise_file_limit()
    by_ports = config.settings.media.ports.pairs
    by_open_files = max(0, open_files - RESERVED_FILES) // FILES_PER_LEG
    return {
        "possible": min(by_ports, by_open_files),
        "by_ports": by_ports,
        "by_open_files": by_open_files,
        "open_files": open_files,
    }


def prompt_warnings(config: Config) -> list[Problem]:
    """Return the prompts that flows play and nobody has recorded."""
    from ccengine.center.prompts import PromptCatalogue
    from ccengine.config.data import data_folder
    from ccengine.dialplan.plan import dialplan_languages, prompt_keys
    from ccengine.errors import Problem

    settings = config.settings
    folders = (*settings.prompts.folders, data_folder("prompts"))
    languages = {settings.prompts.language, *dialplan_languages(config.dialplan)}
    keys = {*prompt_keys(config.dialplan), *(queue.music for queue in settings.queues.values())}
    lacking = PromptCatalogue(folders, ()).lacks(keys, languages)
    return [
        Problem(
            str(config.path), 0, 0, f"prompt {key!r} is not recorded in {language}", "record it"
        )
        for key, language in lacking
    ]


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("-v", "--verbose", is_flag=True, help="Name every case.")
@config_option
@json_option
def test(paths: tuple[Path, ...], verbose: bool, as_json: bool) -> None:
    """Run dialplan tests (*.test.yaml) in virtual time.

    PATHS are files or folders; without them the folders of the configuration's dialplans.
    """
    from ccengine.dialplan.testing import run_tests

    chosen = paths or _test_folders()
    report = run_tests(chosen)
    if as_json:
        print_json(_report(report))
    else:
        _print_report(report, verbose, chosen)
    if not report.ok:
        raise click.exceptions.Exit(1)


def _test_folders() -> tuple[Path, ...]:
    from ccengine.config.loader import load_config

    config = load_config(config_path())
    folders = dict.fromkeys(file.parent for file in config.settings.dialplan.files)
    if not folders:
        raise CommandError(f"{config.path} names no dialplan", cure="name test files or folders")
    return tuple(folders)


def _report(report: TestReport) -> dict[str, Any]:
    return {
        "ok": report.ok,
        "passed": report.passed,
        "failures": [_plain(one) for one in report.failures],
        "cases": [
            {
                "file": one.file,
                "line": one.line,
                "name": one.name,
                "passed": one.passed,
                "virtual_s": round(one.virtual_s, 3),
            }
            for one in report.results
        ],
    }


def _print_report(report: TestReport, verbose: bool, paths: Sequence[Path]) -> None:
    if verbose:
        for one in report.results:
            word = "passed" if one.passed else "FAILED"
            click.echo(f"{word}  {one.file}:{one.line}: {one.name}")
    for problem in report.failures:
        click.echo(str(problem), err=True)
    if not report.results and not report.problems:
        places = ", ".join(map(str, paths))
        raise CommandError(f"no tests in {places}", cure="tests are named *.test.yaml")
    failed = len(report.results) - report.passed
    tail = f", {failed} failed" if failed else ""
    minutes = sum(one.virtual_s for one in report.results) / 60
    click.echo(f"{report.passed} passed{tail} ({minutes:.1f} minutes of calls)")
