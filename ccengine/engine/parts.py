"""Parts that the configuration describes: names, paths, network settings, plugins, prompts."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from ccengine.center.prompts import PromptCatalogue, shipped_prompts
from ccengine.config.loader import Config
from ccengine.hooks.hooks import Hooks
from ccengine.net.settings import ListenerSettings, NetSettings


def worker_names(config: Config) -> tuple[str, ...]:
    """Return the names of the media workers."""
    return tuple(f"media-{number}" for number in range(config.settings.media.workers))


def worker_socket(config: Config, name: str) -> Path:
    """Return the path of a media worker's control socket."""
    return config.settings.run.folder / f"{name}.sock"


def net_settings(config: Config) -> NetSettings:
    """Return the network layer's part of the configuration."""
    sip = config.settings.sip
    return NetSettings(
        listeners=tuple(
            ListenerSettings(
                name=one.name,
                transport="TCP" if one.transport == "tcp" else "UDP",
                host=one.host,
                port=one.port,
                advertised_host=sip.advertise,
            )
            for one in sip.listeners
        ),
        max_connections=sip.tcp.max_connections,
        message_timeout_s=sip.tcp.message_timeout_s,
        idle_timeout_s=sip.tcp.idle_timeout_s,
    )


def nonce_secret(folder: Path, boot: str) -> bytes:
    """Return the secret of digest nonces: the same for every process of one boot.

    Nonces hold monotonic time, so those of another boot must not be taken for ours.
    """
    path = folder / "nonce.secret"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_bytes(secrets.token_bytes(32))
    return hashlib.sha256(path.read_bytes() + boot.encode()).digest()


def load_hooks(config: Config) -> Hooks:
    """Return the plugins of a configuration, loaded and not started."""
    settings = config.settings
    return Hooks.load(
        tuple(settings.plugins),
        settings.plugins,
        data_dir=settings.journal.folder.parent / "plugins",
        database_url=settings.store.url,
    )


def prompts_of(config: Config) -> PromptCatalogue:
    """Return the prompts of a configuration: its own folders before those that we ship."""
    roots = (*config.settings.prompts.folders, shipped_prompts())
    return PromptCatalogue(roots, languages=("zh", "en"))
