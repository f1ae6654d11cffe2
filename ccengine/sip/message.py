"""SIP messages: lenient to read, lazy to interpret, strict to write (:rfc:`3261` section 7).

The face of the message half of this room: who builds transactions, dialogs or a registrar
imports from here.
"""

from __future__ import annotations

from ccengine.sip.model import BadRequestError, CSeq, SipMessage, SipRequest, SipResponse
from ccengine.sip.parser import parse_message
from ccengine.sip.reply import response_to
from ccengine.sip.status import reason_phrase
from ccengine.sip.validation import is_answerable, validate_request, validate_response

__all__ = [
    "BadRequestError",
    "CSeq",
    "SipMessage",
    "SipRequest",
    "SipResponse",
    "is_answerable",
    "parse_message",
    "reason_phrase",
    "response_to",
    "validate_request",
    "validate_response",
]
