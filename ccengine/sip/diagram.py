"""The reference page of the transaction machines, made from their tables."""

from __future__ import annotations

from ccengine.sip.transaction_table import TABLES, TIMER_RULES, TimerRule
from ccengine.sip.transition import markdown_rows, mermaid

_HEAD = """# SIP transactions

The four machines that stand between messages and dialogs ([RFC 3261] section 17, with the
Accepted states of [RFC 6026] and the rules of [RFC 4320] for requests other than INVITE).
This page is made from the tables in `ccengine/sip/transaction_table.py`, which are also what
runs: `python -m ccengine.sip.diagram > docs/reference/sip-transactions.md`.

[RFC 3261]: https://www.rfc-editor.org/rfc/rfc3261
[RFC 6026]: https://www.rfc-editor.org/rfc/rfc6026
[RFC 4320]: https://www.rfc-editor.org/rfc/rfc4320

An event that has no line in a state changes nothing there. A 2xx to an INVITE is not sent
again by its transaction but by the dialog (T1, doubling to T2, for 64*T1) until its ACK comes.
Requests are sent over UDP whatever their size; a peer that needs a large request whole is
reached over TCP.

## Timers

T1 is 0.5 s, T2 is 4 s and T4 is 5 s unless set otherwise.

| timer | runs for | over TCP | source |
|---|---|---|---|
"""

_ON_STREAM = {"same": "the same", "never": "not armed", "zero": "expires at once"}


def _timer_row(rule: TimerRule) -> str:
    unit = rule.unit.upper()
    delay = unit if rule.delay == 1 else f"{rule.delay:g}*{unit}"
    if rule.repeats:
        delay += ", then doubling" + ("" if rule.name == "A" else " up to T2")
    return f"| {rule.name} | {delay} | {_ON_STREAM[rule.reliable]} | {rule.source} |"


def reference_page() -> str:
    """Return the page as Markdown with Mermaid state diagrams."""
    lines = [_HEAD + "\n".join(_timer_row(rule) for rule in TIMER_RULES), ""]
    for table in TABLES:
        title = table.name[0].upper() + table.name[1:]
        lines += [f"## {title} transaction", "", f"Source: {table.source}.", ""]
        lines += ["```mermaid", mermaid(table), "```", ""]
        lines += [*markdown_rows(table), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference_page())
