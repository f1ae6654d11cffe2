"""The registrar: which phones stand behind an address-of-record (:rfc:`3261` section 10).

Whoever calls it has authenticated the request and knows the address-of-record.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ccengine.errors import SipError, SipParseError
from ccengine.ports import FactData
from ccengine.sip.address import Address
from ccengine.sip.binding import (
    FACTS,
    Binding,
    BindingsChanged,
    BindingsSet,
    LocationService,
    RegistrarSettings,
    binding_from,
    contact_text,
    instance_of,
    is_same,
    without_connection,
)
from ccengine.sip.flow import Flow
from ccengine.sip.model import SipRequest, SipResponse, parse_delta_seconds
from ccengine.sip.reply import response_to

__all__ = [
    "FACTS",
    "Binding",
    "BindingsChanged",
    "BindingsSet",
    "LocationService",
    "Registrar",
    "RegistrarSettings",
]

_HOUR_S = 3600
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class _IntervalTooBriefError(SipError):
    """A phone wants to come back sooner than we allow (423)."""


@dataclass(frozen=True, slots=True)
class _Visit:
    """One REGISTER: the request with what was known when it came."""

    request: SipRequest
    flow: Flow
    now: float
    at: datetime


class Registrar:
    """Keeps bindings; sans-IO, see :class:`ccengine.ports.Machine`.

    It is a :class:`LocationService` as well.
    """

    def __init__(
        self, settings: RegistrarSettings, facts: list[FactData], *, boot_id: str = ""
    ) -> None:
        self.settings = settings
        self._facts = facts
        self._boot_id = boot_id
        self._records: dict[str, BindingsSet] = {}
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._by_stream: dict[Flow, set[str]] = {}
        self._outputs: list[BindingsChanged] = []

    # --- state --------------------------------------------------------------------------------

    def apply(self, fact: BindingsSet) -> None:
        """Replace the record of one address-of-record."""
        aor = fact.aor
        old = self._records.pop(aor, None)
        for binding in old.bindings if old else ():
            if binding.flow.connection:
                aors = self._by_stream.get(binding.flow, set())
                aors.discard(aor)
                if not aors:
                    self._by_stream.pop(binding.flow, None)
        self._due.pop(aor, None)
        if not fact.bindings:
            return
        self._records[aor] = fact
        for binding in fact.bindings:
            if binding.flow.connection:
                self._by_stream.setdefault(binding.flow, set()).add(aor)
        due = min(binding.deadline for binding in fact.bindings)
        self._due[aor] = due
        heapq.heappush(self._heap, (due, aor))

    def _set(self, aor: str, bindings: Sequence[Binding]) -> None:
        fact = BindingsSet(aor, self._boot_id, tuple(bindings))
        self.apply(fact)
        self._facts.append(fact)
        self._outputs.append(BindingsChanged(aor, len(fact.bindings)))

    def resume(self, now: float, at: datetime, boot_id: str) -> None:
        """Go on after a replay; deadlines of another boot are set anew by their UTC.

        Connections of another boot are gone, so what came by them is treated as in
        :meth:`flow_closed`.
        """
        self._boot_id = boot_id
        for aor, record in list(self._records.items()):
            if record.boot_id == boot_id:
                continue
            moved = []
            for binding in record.bindings:
                left_s = (binding.deadline_at - at).total_seconds()
                reachable = without_connection(binding) if binding.flow.connection else binding
                if left_s > 0 and reachable is not None:
                    moved.append(replace(reachable, deadline=now + left_s))
            self._set(aor, moved)
        self._heap = [(due, aor) for aor, due in self._due.items()]
        heapq.heapify(self._heap)

    # --- questions ----------------------------------------------------------------------------

    def lookup(self, aor: str) -> tuple[Binding, ...]:
        """Return the bindings of an address, highest q first, then the newest."""
        record = self._records.get(aor)
        if record is None:
            return ()
        newest_first = list(reversed(record.bindings))
        newest_first.sort(key=lambda binding: -binding.q)
        return tuple(newest_first)

    def __iter__(self) -> Iterator[BindingsSet]:
        """Go through the records of all addresses."""
        return iter(tuple(self._records.values()))

    def __len__(self) -> int:
        """Return how many addresses have a phone."""
        return len(self._records)

    @property
    def connections(self) -> tuple[Flow, ...]:
        """The stream connections that phones registered by, to be compared after a takeover."""
        return tuple(self._by_stream)

    # --- inputs -------------------------------------------------------------------------------

    def register(
        self, request: SipRequest, aor: str, flow: Flow, now: float, at: datetime
    ) -> SipResponse:
        """Carry out a REGISTER and return its response, which is yet to get a To tag."""
        visit = _Visit(request, flow, now, at)
        current = self._records[aor].bindings if aor in self._records else ()
        current = tuple(binding for binding in current if binding.deadline > now)
        try:
            bindings = self._decide(visit, current)
        except _IntervalTooBriefError as error:
            headers = (("Min-Expires", str(self.settings.min_expires_s)),)
            return response_to(request, error.status, headers=headers)
        except SipError as error:
            return response_to(request, error.status, _one_line(error.message))
        if bindings != current:
            self._set(aor, bindings)
        return self._ok(visit, bindings)

    def flow_closed(self, flow: Flow) -> None:
        """Take note that a connection is dead.

        A phone whose Contact is the address that it came from can be dialled anew, so its
        binding stays until it expires; any other was reachable by that connection alone, and
        its binding goes (:rfc:`5626` section 7).
        """
        for aor in sorted(self._by_stream.get(flow, ())):
            kept = []
            for binding in self._records[aor].bindings:
                reachable = without_connection(binding) if binding.flow == flow else binding
                if reachable is not None:
                    kept.append(reachable)
            self._set(aor, kept)

    def next_timeout(self) -> float | None:
        """Return when the next binding expires."""
        heap = self._heap
        while heap and self._due.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def handle_timeout(self, now: float) -> None:
        """Remove what has expired at ``now``."""
        while (due := self.next_timeout()) is not None and due <= now:
            aor = self._heap[0][1]
            record = self._records[aor]
            self._set(aor, [binding for binding in record.bindings if binding.deadline > now])

    def poll(self) -> Sequence[BindingsChanged]:
        """Return and forget the outputs since the last poll."""
        outputs, self._outputs = self._outputs, []
        return outputs

    # --- decisions ----------------------------------------------------------------------------

    def _decide(self, visit: _Visit, current: tuple[Binding, ...]) -> tuple[Binding, ...]:
        """Return the bindings after a REGISTER: all of it succeeds or nothing (10.3, 6-7)."""
        request = visit.request
        if request.is_contact_star:
            if len(request.header_values("contact")) > 1 or _header_expires(request) != 0:
                raise SipParseError("Contact: * goes alone and with Expires: 0")
            removable = [binding for binding in current if _may_change(binding, request)]
            return tuple(binding for binding in current if binding not in removable)
        bindings = list(current)
        for contact in request.contacts:
            self._decide_contact(visit, contact, bindings)
        if len(bindings) > max(self.settings.max_contacts, len(current)):
            raise SipError("Too many contacts", status=403)
        return tuple(bindings)

    def _decide_contact(self, visit: _Visit, contact: Address, bindings: list[Binding]) -> None:
        if not contact.uri.is_sip:
            raise SipParseError(f"a {contact.uri.scheme[:20]} contact cannot be called")
        expires_s = self._expires_s(contact, visit.request)
        old = next((binding for binding in bindings if is_same(binding, contact)), None)
        if old is not None and not _may_change(old, visit.request):
            return
        # A refreshed binding goes to the end: among equals the newest is preferred.
        if old is not None:
            bindings.remove(old)
        if expires_s:
            bindings.append(
                binding_from(contact, visit.request, visit.flow, visit.now, visit.at, expires_s)
            )

    def _expires_s(self, contact: Address, request: SipRequest) -> int:
        """Return the granted time: Contact parameter, Expires header field, default (10.2.1.1)."""
        settings = self.settings
        text = contact.param("expires")
        if text is None:
            wanted = _header_expires(request)
        else:
            try:
                wanted = parse_delta_seconds(text)
            except SipParseError:  # "malformed values SHOULD be treated as 3600" (20.10)
                wanted = _HOUR_S
        if wanted is None:
            wanted = settings.default_expires_s
        if 0 < wanted < min(settings.min_expires_s, _HOUR_S):
            raise _IntervalTooBriefError("Interval Too Brief", status=423)
        return min(wanted, settings.max_expires_s)

    def _ok(self, visit: _Visit, bindings: Sequence[Binding]) -> SipResponse:
        headers = [("Contact", contact_text(binding, visit.now)) for binding in bindings]
        headers.append(("Date", _http_date(visit.at)))
        path = visit.request.header_values("path")
        headers.extend(("Path", value) for value in path)
        if _wants_outbound(visit.request):
            headers.append(("Require", "outbound"))
        return response_to(visit.request, 200, headers=headers)


def _header_expires(request: SipRequest) -> int | None:
    try:
        return request.expires
    except SipParseError:
        return _HOUR_S


def _may_change(binding: Binding, request: SipRequest) -> bool:
    """Whether a request is newer than what made the binding; raises SipError when older.

    Within one Call-ID the CSeq must rise (10.3, 7).  An equal CSeq is the same request sent
    again to a process that took over: it is answered as before and changes nothing.
    """
    if binding.call_id != request.call_id or request.cseq.number > binding.cseq:
        return True
    if request.cseq.number == binding.cseq:
        return False
    raise SipError("CSeq Out Of Order", status=500)


def _wants_outbound(request: SipRequest) -> bool:
    """Whether a UA one hop away registers a flow (:rfc:`5626` section 6)."""
    options = {option.lower() for option in request.header_values("supported")}
    return (
        "outbound" in options
        and len(request.header_values("via")) == 1
        and any(instance_of(contact)[1] for contact in request.contacts)
    )


def _http_date(at: datetime) -> str:
    """Return the time as the Date header field has it; strftime would speak the locale."""
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02d} {month} {at.year} {at:%H:%M:%S} GMT"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:80]
