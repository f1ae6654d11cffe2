"""What came of the demo, told from the records of calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ccengine.units import format_duration

if TYPE_CHECKING:
    from ccengine.config.loader import Config
    from ccengine.journal.cdr import CdrCall

MOST_CALLS = 100_000


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of one run; times in seconds.

    ``offered`` calls entered a queue; of these ``answered`` reached an agent and the others
    were ``abandoned``.  ``records`` counts every call since the beginning, those to feature
    codes too.
    """

    records: int
    calls: int
    offered: int
    answered: int
    wait_s: float
    longest_wait_s: float
    talk_s: float
    recordings: int
    recording_folder: Path

    @property
    def abandoned(self) -> int:
        """Calls that entered a queue and reached nobody."""
        return self.offered - self.answered


def summarise(calls: Sequence[CdrCall], recordings: int, folder: Path) -> Summary:
    """Return the figures of ended calls."""
    people = [call for call in calls if not call.number.startswith("*")]
    offered = [call for call in people if call.queue]
    answered = [call for call in offered if call.talk_s > 0]
    waits = [call.wait_s for call in answered]
    return Summary(
        records=len(calls),
        calls=len(people),
        offered=len(offered),
        answered=len(answered),
        wait_s=sum(waits) / len(waits) if waits else 0.0,
        longest_wait_s=max(waits, default=0.0),
        talk_s=sum(call.talk_s for call in answered) / len(answered) if answered else 0.0,
        recordings=recordings,
        recording_folder=folder,
    )


def read_summary(config: Config, since: datetime) -> Summary:
    """Return the figures of the calls that began after ``since``; the engine may be gone."""
    from ccengine.store.query import Records

    records = Records(config.settings.store.url)
    try:
        calls = records.recent_calls(MOST_CALLS, since=since)
        found = [records.call(call.call_id) for call in calls if call.recording]
    finally:
        records.close()
    files = sum(len(one.recordings) for one in found if one is not None)
    return summarise(calls, files, config.settings.recording.folder)


def summary_text(summary: Summary, config_path: Path) -> str:
    """Return the summary for people."""
    lines = [
        f"calls       {summary.calls}; offered to queues {summary.offered}, "
        f"answered {summary.answered}, abandoned {summary.abandoned}",
        f"times       to an agent {format_duration(summary.wait_s)} on average, "
        f"{format_duration(summary.longest_wait_s)} at most; "
        f"talk {format_duration(summary.talk_s)} on average",
        f"recordings  {summary.recordings} in {summary.recording_folder}",
        f"records     {summary.records} calls (ccengine calls --ended -c {config_path})",
    ]
    return "\n".join(lines)
