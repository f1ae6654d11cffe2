"""What a registrar knows of a phone, and how Contact values become bindings and back."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar, Protocol

from ccengine.sip.address import Address
from ccengine.sip.flow import Flow
from ccengine.sip.grammar import Params, format_params, quote
from ccengine.sip.model import SipRequest
from ccengine.sip.uri import SipUri

_OWN_PARAMS = frozenset({"expires", "q", "+sip.instance", "reg-id"})
_QVALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


@dataclass(frozen=True, slots=True)
class RegistrarSettings:
    """How long registrations last, in seconds, and how many phones an address may have.

    A phone that asks for less than ``min_expires_s`` is told 423; more than
    ``max_expires_s`` is shortened.
    """

    default_expires_s: int = 3600
    min_expires_s: int = 60
    max_expires_s: int = 7200
    max_contacts: int = 10


@dataclass(frozen=True, slots=True)
class Binding:
    """One contact of an address-of-record (:rfc:`3261` section 10).

    ``contact`` is the URI that the phone gave, ``flow`` the way it came, which is the way to
    reach it behind a NAT.  ``instance`` and ``reg_id`` are those of :rfc:`5626` (empty and 0
    when absent); ``params`` the other parameters of the Contact; ``path`` the :rfc:`3327`
    Path values, topmost first.  The deadline is monotonic and UTC: within a boot monotonic
    time holds, across boots UTC.
    """

    contact: str
    flow: Flow
    call_id: str
    cseq: int
    deadline: float
    deadline_at: datetime
    q: float = 1.0
    instance: str = ""
    reg_id: int = 0
    user_agent: str = ""
    display_name: str = ""
    params: Params = ()
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BindingsSet:
    """Fact: all that is bound to an address-of-record from now on; none removes it.

    The monotonic deadlines are those of the boot ``boot_id``.
    """

    FACT: ClassVar[tuple[str, int]] = ("bindings_set", 1)

    aor: str
    boot_id: str
    bindings: tuple[Binding, ...]

    @property
    def stream(self) -> str:
        """Return the stream of the address-of-record."""
        return f"registration/{self.aor}"


@dataclass(frozen=True, slots=True)
class BindingsChanged:
    """Output: a phone registered, refreshed or left; ``count`` contacts remain."""

    aor: str
    count: int


class LocationService(Protocol):
    """Knows where the phones of an address-of-record are."""

    def lookup(self, aor: str) -> tuple[Binding, ...]:
        """Return the bindings of an address, preferred and then newest first."""


FACTS: tuple[type, ...] = (BindingsSet,)
"""The facts of the registrar."""


def instance_of(contact: Address) -> tuple[str, int]:
    """Return the instance and reg-id of a Contact, ``""`` and 0 when absent."""
    instance = contact.param("+sip.instance") or ""
    text = contact.param("reg-id") or ""
    # "reg-id = 1*DIGIT; 1 to (2**31 - 1)"; without an instance it means nothing.
    is_number = text.isascii() and text.isdigit() and len(text) <= 10
    return instance, int(text) if instance and is_number else 0


def is_same(binding: Binding, contact: Address) -> bool:
    """Whether a contact replaces a binding: the same flow of a device, or the same URI.

    A device that came back at another port without reg-id replaces itself too, else its dead
    address would go on ringing until it expires.
    """
    instance, reg_id = instance_of(contact)
    if instance and binding.instance:
        return binding.instance == instance and binding.reg_id == reg_id
    return SipUri.parse(binding.contact).matches(contact.uri)


def binding_from(
    contact: Address, request: SipRequest, flow: Flow, now: float, at: datetime, expires_s: int
) -> Binding:
    """Return the binding that a Contact of a REGISTER asks for."""
    instance, reg_id = instance_of(contact)
    return Binding(
        contact=str(contact.uri),
        flow=flow,
        call_id=request.call_id,
        cseq=request.cseq.number,
        deadline=now + expires_s,
        deadline_at=at + timedelta(seconds=expires_s),
        q=_q_of(contact),
        instance=instance,
        reg_id=reg_id,
        user_agent=request.header("user-agent") or "",
        display_name=contact.display_name,
        params=tuple(param for param in contact.params if param[0] not in _OWN_PARAMS),
        path=request.header_values("path"),
    )


def _q_of(contact: Address) -> float:
    """Return the preference, 1 when absent or malformed."""
    text = contact.param("q") or ""
    return float(text) if _QVALUE.fullmatch(text) else 1.0


def contact_text(binding: Binding, now: float) -> str:
    """Return a binding as a Contact value with the seconds that it has left."""
    name = f"{quote(binding.display_name)} " if binding.display_name else ""
    text = f"{name}<{binding.contact}>{format_params(binding.params)}"
    if binding.q != 1.0:
        text += f";q={binding.q:g}"
    if binding.instance:
        text += f";+sip.instance={quote(binding.instance)}"
        if binding.reg_id:
            text += f";reg-id={binding.reg_id}"
    return f"{text};expires={max(0, round(binding.deadline - now))}"


def without_connection(binding: Binding) -> Binding | None:
    """Return a binding whose connection has gone, None when there is no other way to it."""
    uri = SipUri.parse(binding.contact)
    if binding.reg_id or uri.address != binding.flow.remote[0]:
        return None
    flow = replace(binding.flow, remote=(uri.address, uri.port or 5060), connection=0)
    return replace(binding, flow=flow)
