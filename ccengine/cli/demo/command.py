"""The ``demo`` command."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccengine.cli.option import as_seconds

if TYPE_CHECKING:
    from ccengine.cli.demo.folder import PhoneAccount
    from ccengine.cli.demo.process import EngineProcess
    from ccengine.config.loader import Config

_DEFAULT_AGENTS = 4


@click.command()
@click.option("--for", "seconds", callback=as_seconds, metavar="TIME", help="Such as 60s or 5m.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo"),
    show_default=True,
    help="Configuration, records and recordings go there.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="SIP port; else a free one from 5060.")
@click.option(
    "--agents",
    type=click.IntRange(1, 100),
    default=_DEFAULT_AGENTS,
    show_default=True,
    help="Simulated agents.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 600.0),
    default=12.0,
    show_default=True,
    help="Simulated calls a minute.",
)
@click.option("--no-traffic", is_flag=True, help="Start the engine alone, for your own phones.")
def demo(
    seconds: float | None,
    folder: Path,
    port: int | None,
    agents: int,
    rate: float,
    no_traffic: bool,
) -> None:
    """Run a call centre with simulated callers and agents; Ctrl-C ends it."""
    from ccengine.cli.demo.folder import (
        SAMPLE_AGENTS,
        free_port,
        machine_address,
        prepare_folder,
        sample_account,
    )
    from ccengine.cli.demo.process import EngineProcess
    from ccengine.cli.demo.view import phone_help
    from ccengine.config.loader import load_config
    from ccengine.engine.preflight import preflight

    refuse_running(folder)
    chosen = port or free_port()
    config = load_config(prepare_folder(folder, chosen, agents))
    preflight(config)
    accounts = [] if no_traffic else [sample_account(number) for number in range(agents)]
    spare = sample_account(len(accounts)) if len(accounts) < SAMPLE_AGENTS else None
    help_text = phone_help(machine_address(), chosen, spare)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    click.echo(f"starting the engine on port {chosen}; it logs to {folder}/var/engine.log")
    _run(EngineProcess(config), config, accounts, rate, seconds, help_text)


def refuse_running(folder: Path) -> None:
    """Raise when the demo of this folder runs already, before its files are touched."""
    from ccengine.api.control import SOCKET_NAME, ControlClient
    from ccengine.errors import CommandError

    try:
        ControlClient(folder.resolve() / "var" / "run" / SOCKET_NAME).ask("status")
    except CommandError:
        return
    raise CommandError(
        f"the demo in {folder} runs already",
        cure=f"end it with Ctrl-C or `ccengine stop -c {folder / 'ccengine.yaml'}`",
    )


def _run(
    engine: EngineProcess,
    config: Config,
    accounts: list[PhoneAccount],
    rate: float,
    seconds: float | None,
    help_text: str,
) -> None:
    from ccengine.cli.demo.summary import read_summary, summary_text
    from ccengine.clock import SystemClock
    from ccengine.errors import StoreError

    began_at = SystemClock().at()
    problems: list[str] = []
    try:
        engine.start()
        engine.wait_ready()
        import_customers(config)
        click.echo(help_text)
        problems += _serve(engine, config, accounts, rate, seconds)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
    finally:
        click.echo("stopping")
        engine.stop()
    try:
        summary = read_summary(config, began_at)
    except StoreError as error:
        click.echo(f"no summary: {error}", err=True)
        return
    click.echo(f"\n{summary_text(summary, config.path)}")
    if problems:
        click.echo(f"failed      {len(problems)} simulated people; the first: {problems[0]}")
    click.echo(f"\n{help_text}")
    click.echo("  (start it again with `ccengine demo`, or without callers: --no-traffic)")


def _serve(
    engine: EngineProcess,
    config: Config,
    accounts: list[PhoneAccount],
    rate: float,
    seconds: float | None,
) -> list[str]:
    """Run until the end; return what went wrong for simulated people."""
    import asyncio
    import random

    from ccengine.cli.demo.session import Session, SessionSettings
    from ccengine.cli.demo.traffic import Traffic

    port = config.settings.sip.listeners[0].port
    settings = SessionSettings(
        seconds,
        heading=f"ccengine demo on port {port}",
        footing="your phone: user 1006, password demo1006, dial 4001 · Ctrl-C ends it",
    )

    async def main() -> list[str]:
        traffic = None
        if accounts:
            registrar = ("127.0.0.1", port)
            domain = config.settings.sip.domain
            traffic = Traffic(registrar, domain, accounts, rate, random.Random())
        await Session(engine, traffic, settings).run()
        return traffic.counters.problems if traffic is not None else []

    return asyncio.run(main())


def import_customers(config: Config) -> None:
    """Put the demo's customers into the customers plugin."""
    from ccengine.cli.demo.folder import customers_file
    from ccengine.hooks.loader import installed_plugins
    from ccengine.hooks.payload import PluginContext

    settings = config.settings
    found = installed_plugins()
    if "customers" not in found:
        return
    plugin = found["customers"]()
    context = PluginContext(
        "customers",
        settings.journal.folder.parent / "plugins" / "customers",
        settings.plugins["customers"],
        settings.store.url,
    )
    store = plugin.open_store(context)  # type: ignore[attr-defined]
    try:
        plugin.import_csv(store, customers_file(config.path.parent))  # type: ignore[attr-defined]
    finally:
        store.close()
