"""What would stop an engine before it serves: told in one line before anything is started.

The processes would find the same out one after the other, and the keeper would try them again
and again; the person at the terminal wants to know now.
"""

from __future__ import annotations

from ccengine.config.loader import Config
from ccengine.engine.parts import net_settings
from ccengine.journal.journal import refuse_held
from ccengine.net.sockets import open_listener

PROBE_BUFFER_BYTES = 4096


def preflight(config: Config) -> None:
    """Raise :class:`CcengineError` when the journal is held or a listener cannot be opened."""
    refuse_held(config.settings.journal.folder)
    for listener in net_settings(config).listeners:
        open_listener(listener, PROBE_BUFFER_BYTES).close()
