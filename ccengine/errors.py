"""One tree of errors with stable codes.

Every error that leaves a room is a :class:`CcengineError`: it names what is wrong, where,
and what to do about it.  The ``code`` of a class never changes once released, so scripts
and log searches may rely on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class CcengineError(Exception):
    """Root of every error that ccengine raises on purpose.

    ``cure`` tells the reader what to do and may be empty.
    """

    code: ClassVar[str] = "CC0000"

    def __init__(self, message: str, *, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message}; {self.cure}" if self.cure else self.message


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a file: where it stands, what it is, what to write instead.

    ``line`` and ``column`` count from 1; 0 means that the whole file is meant.
    """

    file: str
    line: int
    column: int
    message: str
    cure: str = ""

    def __str__(self) -> str:
        tail = f"; {self.cure}" if self.cure else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{tail}"


class DocumentError(CcengineError):
    """A file is wrong; ``problems`` holds every mistake found, in file order."""

    code = "CC1000"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ConfigError(DocumentError):
    """The configuration is wrong."""

    code = "CC1001"


class DialplanError(DocumentError):
    """A dialplan is wrong."""

    code = "CC1002"


class FlowError(CcengineError):
    """A flow cannot go on: an expression has no value, or it runs in circles."""

    code = "CC1100"


class SipError(CcengineError):
    """A SIP rule was broken; ``status`` is the response that a request deserves."""

    code = "CC2000"

    def __init__(self, message: str, *, status: int = 400, cure: str = "") -> None:
        super().__init__(message, cure=cure)
        self.status = status


class SipParseError(SipError):
    """A SIP message cannot be read (:rfc:`3261` section 25)."""

    code = "CC2001"


class LocalSipError(SipError):
    """Our own side asked for something that the state of a session does not allow."""

    code = "CC2002"


class SdpError(CcengineError):
    """A session description is wrong or offers nothing that can be used (:rfc:`3264`)."""

    code = "CC2100"


class RtpError(CcengineError):
    """An RTP or RTCP packet cannot be read (:rfc:`3550`)."""

    code = "CC3000"


class MediaError(CcengineError):
    """The media plane cannot do what was asked."""

    code = "CC3100"


class PortsExhaustedError(MediaError):
    """Every RTP port of the configured range is in use."""

    code = "CC3101"


class PromptError(MediaError):
    """A prompt is missing or is no audio that can be played."""

    code = "CC3102"


class JournalError(CcengineError):
    """The journal cannot be opened, read or written."""

    code = "CC4000"


class JournalLockedError(JournalError):
    """Another process holds the journal."""

    code = "CC4001"


class JournalFullError(JournalError):
    """There is no room for the next segment of the journal."""

    code = "CC4002"


class StoreError(CcengineError):
    """A projection of the journal cannot be read or written."""

    code = "CC4100"


class AcdError(CcengineError):
    """The queue engine was asked for something impossible."""

    code = "CC5000"


class CallError(CcengineError):
    """A call command names a call, leg or dial that does not allow it."""

    code = "CC5100"


class KeeperError(CcengineError):
    """The keeper refuses or does not answer."""

    code = "CC6000"


class HookError(CcengineError):
    """A plugin does not fit the hooks that it claims to implement."""

    code = "CC7000"


class CommandError(CcengineError):
    """A command from the command line or the API cannot be carried out."""

    code = "CC8000"
