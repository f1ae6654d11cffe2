"""The ``ccengine`` command with all its subcommands."""

from __future__ import annotations

import click

from ccengine import __version__
from ccengine.cli.bench import bench
from ccengine.cli.daemon import check, run, test
from ccengine.cli.demo.command import demo
from ccengine.cli.failure import ReportingGroup
from ccengine.cli.journal import journal
from ccengine.cli.live import agents, drain, hangup, queues, registrations, reload, status, stop
from ccengine.cli.option import config_option
from ccengine.cli.records import calls, recordings


class OrderedGroup(ReportingGroup):
    """Lists commands in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        del ctx
        return list(self.commands)


@click.group(cls=OrderedGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ccengine")
@config_option
def cli() -> None:
    """Softswitch and contact-centre engine."""


for command in (
    run,
    demo,
    check,
    test,
    status,
    queues,
    agents,
    calls,
    registrations,
    recordings,
    hangup,
    reload,
    drain,
    stop,
    journal,
    bench,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line; exits with 0, 1 for errors and 2 for wrong usage."""
    cli.main(prog_name="ccengine")
