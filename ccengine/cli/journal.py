"""Looking into the journal, whether an engine runs on it or not."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from typing import Any

import click

from ccengine.cli.option import config_option, json_option, places
from ccengine.cli.output import print_json


@click.group()
@config_option
def journal() -> None:
    """Verify the journal of facts, or show what it holds."""


@journal.command()
@config_option
@json_option
def verify(as_json: bool) -> None:
    """Read every frame; exit status 1 when facts are lost."""
    from ccengine.journal.verify import verify as read_all

    report = read_all(places().journal)
    if as_json:
        names = ("segments", "frames", "facts", "first_seq", "next_seq", "last_epoch", "sound")
        answer = {name: getattr(report, name) for name in names}
        print_json({**answer, "damages": [str(damage) for damage in report.damages]})
    else:
        for damage in report.damages:
            click.echo(str(damage), err=True)
        if report.torn_tail is not None:
            click.echo("the end is unfinished, as a crash leaves it; nothing is lost by it")
        word = "sound" if report.sound else "DAMAGED"
        click.echo(
            f"{word}: {report.facts} facts in {report.frames} frames, segments {report.segments}"
        )
    if not report.sound:
        raise click.exceptions.Exit(1)


@journal.command()
@click.option("--last", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@click.option("--stream", default="", help="Facts of streams that begin so, such as call/c12.")
@config_option
@json_option
def show(last: int, stream: str, as_json: bool) -> None:
    """Print the latest facts, the oldest of them first."""
    for fact in deque(_facts(stream), maxlen=last):
        if as_json:
            click.echo(json.dumps(fact, ensure_ascii=False, default=_text))
        else:
            data = json.dumps(fact["data"], ensure_ascii=False, default=_text)
            head = f"{fact['seq']:>8} {fact['at']:%m-%d %H:%M:%S.%f}"
            click.echo(f"{head} {fact['type']} v{fact['v']} {fact['stream']} {data}")


def _text(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _facts(stream: str) -> Iterator[dict[str, Any]]:
    import msgspec

    from ccengine.journal.registry import RawFact, Registry
    from ccengine.journal.replay import replay

    # A registry of no classes leaves facts as they were written, those of plugins too.
    for frame in replay(places().journal, Registry(()), skip_damage=True):
        for number, fact in enumerate(frame.facts):
            if not isinstance(fact, RawFact) or not fact.stream.startswith(stream):
                continue
            yield {
                "seq": frame.first_seq + number,
                "at": frame.at,
                "type": fact.type,
                "v": fact.version,
                "stream": fact.stream,
                "data": msgspec.msgpack.decode(fact.data),
            }
