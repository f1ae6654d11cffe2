"""Between SIP statuses and the words in which calls end (:rfc:`3261` section 21, ITU-T Q.850)."""

from __future__ import annotations

from ccengine.ports import HangupCause

_CAUSE_OF_STATUS: dict[int, HangupCause] = {
    404: "not_found",
    408: "no_answer",
    410: "not_found",
    480: "unreachable",
    484: "not_found",
    486: "busy",
    487: "cancelled",
    503: "congestion",
    600: "busy",
    603: "rejected",
    604: "not_found",
    607: "rejected",
}

_STATUS_OF_CAUSE: dict[HangupCause, int] = {
    "normal": 480,
    "busy": 486,
    "no_answer": 480,
    "rejected": 603,
    "unreachable": 480,
    "not_found": 404,
    "congestion": 503,
    "cancelled": 487,
    "media_lost": 480,
    "shutdown": 503,
    "failure": 500,
}

_Q850_OF_CAUSE: dict[HangupCause, tuple[int, str]] = {
    "normal": (16, "Normal call clearing"),
    "busy": (17, "User busy"),
    "no_answer": (19, "No answer from user"),
    "rejected": (21, "Call rejected"),
    "unreachable": (20, "Subscriber absent"),
    "not_found": (1, "Unallocated number"),
    "congestion": (42, "Switching equipment congestion"),
    "cancelled": (26, "Non-selected user clearing"),
    "media_lost": (41, "Temporary failure"),
    "shutdown": (38, "Network out of order"),
    "failure": (41, "Temporary failure"),
}


def cause_of(status: int) -> HangupCause:
    """Return why a final status above 299 ended an attempt."""
    known = _CAUSE_OF_STATUS.get(status)
    if known is not None:
        return known
    return "congestion" if status >= 500 else "rejected"


def status_of(cause: HangupCause) -> int:
    """Return the status that refuses a call for this reason."""
    return _STATUS_OF_CAUSE[cause]


def reason_header(cause: HangupCause) -> tuple[str, str]:
    """Return the Reason header field that tells the peer why (:rfc:`3326`)."""
    number, text = _Q850_OF_CAUSE[cause]
    return "Reason", f'Q.850;cause={number};text="{text}"'
