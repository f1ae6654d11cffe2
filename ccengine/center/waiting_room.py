"""What callers hear while they wait: a flow of their own, or the queue's music."""

from __future__ import annotations

from datetime import datetime

from ccengine.center.flow_desk import FlowDesk
from ccengine.center.output import CallPort
from ccengine.center.record import SessionRecord
from ccengine.center.session import Sessions
from ccengine.center.settings import CenterSettings
from ccengine.ports import PlayPrompts, StopPlay
from ccengine.revision import replace


class WaitingRoom:
    """Begins and ends what is heard; the queue engine knows nothing of it."""

    def __init__(
        self, *, settings: CenterSettings, flows: FlowDesk, port: CallPort, sessions: Sessions
    ) -> None:
        self.settings = settings
        self._flows = flows
        self._port = port
        self._sessions = sessions

    def enter(self, session: SessionRecord, wait_flow: str, now: float, at: datetime) -> None:
        """Let a caller hear ``wait_flow``, else the queue's flow, else its music."""
        queue = self.settings.queues.get(session.queue)
        name = wait_flow or (queue.wait_flow if queue is not None else "")
        running = self._sessions.running[session.call_id]
        if name:
            language = running.flow.language if running.flow is not None else ""
            running.wait = self._flows.begin(
                name, session.arrived, now, language=language, answered=True
            )
        if running.wait is None:
            self._music(session, now, at)

    def flow_ended(self, session: SessionRecord, now: float, at: datetime) -> None:
        """The wait flow ran off its end: the caller goes on waiting, with the music."""
        running = self._sessions.running.get(session.call_id)
        if running is not None:
            self._flows.release(running.wait)
            running.wait = None
        self._music(session, now, at)

    def _music(self, session: SessionRecord, now: float, at: datetime) -> None:
        current = self._sessions.get(session.call_id)
        queue = self.settings.queues.get(current.queue) if current is not None else None
        if current is None or queue is None or not queue.music or current.connected:
            return
        play_id = f"{session.call_id}.music"
        self._sessions.keep(replace(current, music_play=play_id))
        self._flows.play(
            PlayPrompts(session.call_id, play_id, (queue.music,), self.settings.language, True),
            now,
            at,
        )

    def leave(self, session: SessionRecord, now: float, at: datetime) -> SessionRecord:
        """End what a caller hears, and return the session without it."""
        running = self._sessions.running.get(session.call_id)
        wait = running.wait if running is not None else None
        if running is not None and wait is not None:
            wait.stop(now)
            for command in wait.poll():
                if isinstance(command, StopPlay):
                    self._port.command(command, now, at)
            self._flows.release(wait)
            running.wait = None
        if session.music_play:
            self._port.command(StopPlay(session.call_id, session.music_play), now, at)
        return self._sessions.keep(replace(session, music_play=""))
