"""The four transaction machines of SIP as tables (:rfc:`3261` section 17, :rfc:`6026`).

Events: a request or response that arrived or that the transaction user hands down, a timer,
``transport error``.  Timers have the letters of the standards; three are ours because the
standards describe them without a letter: N waits for the final response that a CANCEL should
bring, P for the moment at which a slow non-INVITE server may send 100, and X, which follows P,
for the moment from which an answer comes too late to be sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ccengine.sip.settings import EndpointSettings
from ccengine.sip.transition import INITIAL, TERMINATED, TransitionTable, rows

CALLING = "calling"
TRYING = "trying"
PROCEEDING = "proceeding"
COMPLETED = "completed"
CONFIRMED = "confirmed"
ACCEPTED = "accepted"

START = "start"
REQUEST = "request"
ACK = "ack"
PROVISIONAL = "1xx"
SUCCESS = "2xx"
FAILURE = "3xx-6xx"
FINAL = "2xx-6xx"
CANCELLED = "cancelled"
TRANSPORT_ERROR = "transport error"


@dataclass(frozen=True, slots=True)
class TimerRule:
    """How long a timer runs and what a reliable transport changes.

    ``delay`` is in units of ``unit`` (a setting).  A timer that ``repeats`` doubles with each
    restart up to T2 (A: without limit).  On reliable transports it is as on UDP (``same``),
    not armed (``never``) or expires at once (``zero``).
    """

    name: str
    delay: float
    unit: Literal["t1", "t4"]
    reliable: Literal["same", "never", "zero"]
    repeats: bool
    source: str

    def seconds(self, settings: EndpointSettings, *, reliable: bool) -> float | None:
        """Return the first delay, None when the timer is not armed at all."""
        if reliable and self.reliable != "same":
            return 0.0 if self.reliable == "zero" else None
        return self.delay * (settings.t1_s if self.unit == "t1" else settings.t4_s)


TIMER_RULES: tuple[TimerRule, ...] = (
    TimerRule("A", 1, "t1", "never", True, "RFC 3261 17.1.1.2"),
    TimerRule("B", 64, "t1", "same", False, "RFC 3261 17.1.1.2"),
    TimerRule("N", 64, "t1", "same", False, "RFC 3261 9.1"),
    TimerRule("D", 64, "t1", "zero", False, "RFC 3261 17.1.1.2"),
    TimerRule("E", 1, "t1", "never", True, "RFC 3261 17.1.2.2"),
    TimerRule("F", 64, "t1", "same", False, "RFC 3261 17.1.2.2"),
    TimerRule("G", 1, "t1", "never", True, "RFC 3261 17.2.1"),
    TimerRule("H", 64, "t1", "same", False, "RFC 3261 17.2.1"),
    TimerRule("I", 1, "t4", "zero", False, "RFC 3261 17.2.1"),
    TimerRule("J", 64, "t1", "zero", False, "RFC 3261 17.2.2"),
    TimerRule("K", 1, "t4", "zero", False, "RFC 3261 17.1.2.2"),
    TimerRule("L", 64, "t1", "same", False, "RFC 6026 8.7"),
    TimerRule("M", 64, "t1", "same", False, "RFC 6026 8.4"),
    TimerRule("P", 7, "t1", "same", False, "RFC 4320 4.1"),
    TimerRule("X", 57, "t1", "same", False, "RFC 4320 4.2"),
)

INVITE_CLIENT = TransitionTable(
    "INVITE client",
    "RFC 3261 17.1.1",
    (
        *rows(INITIAL, (START, CALLING, "send request, start A, start B")),
        *rows(
            CALLING,
            ("timer A", CALLING, "resend, restart A"),
            ("timer B", TERMINATED, "report timeout"),
            (TRANSPORT_ERROR, TERMINATED, "report transport error"),
            (PROVISIONAL, PROCEEDING, "stop A, stop B, deliver"),
            (SUCCESS, ACCEPTED, "stop A, stop B, start M, forget bytes, deliver", "RFC 6026 8.4"),
            (FAILURE, COMPLETED, "stop A, stop B, send ACK, start D, deliver"),
        ),
        *rows(
            PROCEEDING,
            (PROVISIONAL, PROCEEDING, "deliver"),
            (SUCCESS, ACCEPTED, "stop N, start M, forget bytes, deliver", "RFC 6026 8.4"),
            (FAILURE, COMPLETED, "stop N, send ACK, start D, deliver"),
            (CANCELLED, PROCEEDING, "start N", "RFC 3261 9.1"),
            ("timer N", TERMINATED, "report timeout", "RFC 3261 9.1"),
            (TRANSPORT_ERROR, TERMINATED, "report transport error", "RFC 3261 8.1.3.1"),
        ),
        *rows(
            COMPLETED,
            (FAILURE, COMPLETED, "resend"),
            ("timer D", TERMINATED, ""),
            (TRANSPORT_ERROR, TERMINATED, ""),
        ),
        *rows(
            ACCEPTED,
            (SUCCESS, ACCEPTED, "deliver", "RFC 6026 8.4"),
            ("timer M", TERMINATED, "", "RFC 6026 8.4"),
            (TRANSPORT_ERROR, TERMINATED, "", "RFC 6026 8.4"),
        ),
    ),
)

NON_INVITE_CLIENT = TransitionTable(
    "non-INVITE client",
    "RFC 3261 17.1.2",
    (
        *rows(INITIAL, (START, TRYING, "send request, start E, start F")),
        *rows(
            TRYING,
            ("timer E", TRYING, "resend, restart E"),
            ("timer F", TERMINATED, "report timeout"),
            (TRANSPORT_ERROR, TERMINATED, "report transport error"),
            (PROVISIONAL, PROCEEDING, "deliver"),
            (FINAL, COMPLETED, "stop E, stop F, forget bytes, start K, deliver"),
        ),
        *rows(
            PROCEEDING,
            ("timer E", PROCEEDING, "resend, restart E at T2"),
            ("timer F", TERMINATED, "report timeout"),
            (TRANSPORT_ERROR, TERMINATED, "report transport error"),
            (PROVISIONAL, PROCEEDING, "deliver"),
            (FINAL, COMPLETED, "stop E, stop F, forget bytes, start K, deliver"),
        ),
        *rows(
            COMPLETED,
            (FINAL, COMPLETED, "absorb"),
            ("timer K", TERMINATED, ""),
            (TRANSPORT_ERROR, TERMINATED, ""),
        ),
    ),
)

INVITE_SERVER = TransitionTable(
    "INVITE server",
    "RFC 3261 17.2.1",
    (
        *rows(INITIAL, (START, PROCEEDING, "")),
        *rows(
            PROCEEDING,
            (REQUEST, PROCEEDING, "absorb, resend"),
            (PROVISIONAL, PROCEEDING, "send response"),
            (SUCCESS, ACCEPTED, "send response, forget bytes, start L", "RFC 6026 8.7"),
            (FAILURE, COMPLETED, "send response, start G, start H"),
            (TRANSPORT_ERROR, TERMINATED, "report lost"),
        ),
        *rows(
            COMPLETED,
            (REQUEST, COMPLETED, "absorb, resend"),
            (ACK, CONFIRMED, "stop G, stop H, forget bytes, start I"),
            ("timer G", COMPLETED, "resend, restart G"),
            ("timer H", TERMINATED, "count missing ACK"),
            (TRANSPORT_ERROR, TERMINATED, ""),
        ),
        *rows(
            CONFIRMED,
            (ACK, CONFIRMED, "absorb"),
            (REQUEST, CONFIRMED, "absorb"),
            ("timer I", TERMINATED, ""),
            (TRANSPORT_ERROR, TERMINATED, ""),
        ),
        *rows(
            ACCEPTED,
            (REQUEST, ACCEPTED, "absorb", "RFC 6026 8.7"),
            ("timer L", TERMINATED, "", "RFC 6026 8.7"),
            (TRANSPORT_ERROR, TERMINATED, "", "RFC 6026 8.7"),
        ),
    ),
)

NON_INVITE_SERVER = TransitionTable(
    "non-INVITE server",
    "RFC 3261 17.2.2",
    (
        *rows(INITIAL, (START, TRYING, "start P")),
        *rows(
            TRYING,
            (REQUEST, TRYING, "absorb"),
            ("timer P", PROCEEDING, "send 100, start X", "RFC 4320 4.1"),
            (PROVISIONAL, PROCEEDING, "send response, start X"),
            (FINAL, COMPLETED, "stop P, send response, start J"),
            (TRANSPORT_ERROR, TERMINATED, ""),
        ),
        *rows(
            PROCEEDING,
            (REQUEST, PROCEEDING, "absorb, resend"),
            (PROVISIONAL, PROCEEDING, "send response"),
            (FINAL, COMPLETED, "stop X, send response, start J"),
            ("timer X", TERMINATED, "count unanswered", "RFC 4320 4.2"),
            (TRANSPORT_ERROR, TERMINATED, ""),
        ),
        *rows(
            COMPLETED,
            (REQUEST, COMPLETED, "absorb, resend"),
            ("timer J", TERMINATED, ""),
            (TRANSPORT_ERROR, TERMINATED, ""),
        ),
    ),
)

TABLES: tuple[TransitionTable, ...] = (
    INVITE_CLIENT,
    NON_INVITE_CLIENT,
    INVITE_SERVER,
    NON_INVITE_SERVER,
)
