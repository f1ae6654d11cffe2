"""Offer and answer of one dialog as an immutable value (:rfc:`3264`).

Every method returns a new :class:`Negotiation`; who does not keep it has changed nothing.  So an
answer in an unreliable provisional response can be looked at without being taken, and each
early dialog of a fork starts from the same offer.

::

    idle --create_offer--> local_offer --receive_answer--> stable
    idle --receive_offer--> remote_offer --create_answer--> stable
    stable --create_offer / receive_offer--> (as above), --rollback--> back
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from ccengine.errors import SdpError
from ccengine.revision import replace
from ccengine.sdp import matching
from ccengine.sdp.codec import FIRST_DYNAMIC, LAST_DYNAMIC, CodecOffer
from ccengine.sdp.description import (
    Attribute,
    Connection,
    MediaSection,
    Origin,
    SessionDescription,
)
from ccengine.sdp.media import LocalMedia, MediaPlan

State: TypeAlias = Literal["idle", "local_offer", "remote_offer", "stable"]


@dataclass(frozen=True, slots=True)
class Negotiation:
    """Where the offer/answer exchange of one dialog stands.

    Begin with ``Negotiation(session_id=ids.number(31))``.  ``local`` and ``remote`` are the
    descriptions in force, ``offer`` the pending one, ``sent`` the last one that left us (its
    ``version`` rises only when the text changes).  ``plan`` is what is agreed on, ``audio``
    the place of our audio among the media lines.  The whole is a record for the journal.
    """

    session_id: int
    version: int = 0
    state: State = "idle"
    audio: int = 0
    local: bytes = b""
    remote: bytes = b""
    offer: bytes = b""
    sent: bytes = b""
    media: LocalMedia | None = None
    plan: MediaPlan | None = None

    # --- our offer -------------------------------------------------------------------------

    def create_offer(self, local: LocalMedia) -> tuple[Negotiation, bytes]:
        """Return the state with our offer pending, and the offer.

        A re-offer keeps media lines and payload type numbers of the session
        (:rfc:`3264` section 8); the ``o=`` version rises only when something changed.

        Raises:
            SdpError: another offer is pending.

        """
        self._want("create_offer", "idle", "stable")
        if self.local:
            before = SessionDescription.parse(self.local)
            codecs = _keep_numbers(local.offered(), _known_codecs(self, before))
            sections = [_refused(section) for section in before.media]
            sections[self.audio] = replace(
                _audio(local, codecs, local.direction), protocol=before.media[self.audio].protocol
            )
        else:
            sections = [_audio(local, _keep_numbers(local.offered(), ()), local.direction)]
        fresh, data = self._describe(local, sections)
        return replace(fresh, state="local_offer", offer=data, media=local), data

    def receive_answer(self, data: bytes) -> tuple[Negotiation, MediaPlan]:
        """Return the stable state and what is agreed on.

        Raises:
            SdpError: no offer of ours is pending, or the answer refuses the audio of a new
                session, names no codec that we offered, or does not fit the offer.

        """
        self._want("receive_answer", "local_offer")
        remote = SessionDescription.parse(data)
        if len(remote.media) <= self.audio:
            raise SdpError(
                f"the answer has {len(remote.media)} media lines, audio is number {self.audio + 1}"
            )
        section = remote.media[self.audio]
        if section.kind != "audio":
            raise SdpError(f"the answer puts {section.kind} where audio was offered")
        plan = _plan_from_answer(remote, section, self._offered(), self._media())
        if plan.remote_port == 0 and not self.local:
            raise SdpError("the peer refused the audio", cure="end the call")
        agreed = replace(self, state="stable", local=self.offer, remote=data, offer=b"", plan=plan)
        return agreed, plan

    # --- their offer -------------------------------------------------------------------------

    def receive_offer(self, data: bytes) -> Negotiation:
        """Return the state with the peer's offer pending.

        Raises:
            SdpError: another offer is pending (the endpoint answers 491 before it comes to
                this), or this one has fewer media lines than the session.

        """
        self._want("receive_offer", "idle", "stable")
        remote = SessionDescription.parse(data)
        if not remote.media:
            raise SdpError("the offer has no media line")
        if self.remote:
            known = SessionDescription.parse(self.remote).media
            if len(remote.media) < len(known):
                raise SdpError("the new offer dropped a media line (RFC 3264 section 8)")
        return replace(self, state="remote_offer", offer=data)

    def create_answer(
        self,
        local: LocalMedia,
        *,
        prefer: tuple[str, ...] = (),
        every_codec: bool = False,
    ) -> tuple[Negotiation, bytes, MediaPlan]:
        """Return the stable state, our answer and what is agreed on.

        The first codec of the offer that we speak is taken, with the offer's payload type;
        names in ``prefer`` come first (the other leg's codec saves transcoding).  The answer
        names that one codec, so that the peer cannot switch in mid-call, unless
        ``every_codec``.  All other media lines are refused with port 0.

        Raises:
            SdpError: no offer is pending, or nothing in it can be used (488).

        """
        self._want("create_answer", "remote_offer")
        remote = SessionDescription.parse(self.offer)
        place, codecs = self._choose(remote, local)
        theirs = remote.media[place]
        sections = [_refused(section) for section in remote.media]
        if not codecs:  # the peer took the audio out of a running session
            plan = _no_audio(self._agreed())
        else:
            codecs = matching.preferred(codecs, prefer)
            plan = _plan_from_offer(remote, theirs, codecs, local)
            event = matching.event_for(theirs.codecs(), plan.clock_rate) if local.event else None
            listed = codecs if every_codec else codecs[:1]
            listed += (event,) if event is not None else ()
            own = _audio(local, listed, plan.direction)
            sections[place] = replace(own, protocol=theirs.protocol)
        fresh, data = self._describe(local, sections, remote.timing)
        agreed = replace(
            fresh,
            state="stable",
            audio=place,
            local=data,
            remote=self.offer,
            offer=b"",
            media=local,
            plan=plan,
        )
        return agreed, data, plan

    def _offered(self) -> tuple[CodecOffer, ...]:
        """Return the codecs of our pending offer."""
        if self.local:
            return SessionDescription.parse(self.offer).media[self.audio].codecs()
        return _keep_numbers(self._media().offered(), ())  # as create_offer wrote them

    # --- both --------------------------------------------------------------------------------

    def rollback(self) -> Negotiation:
        """Return the state before the pending offer, which was rejected (:rfc:`3261` 14.1)."""
        self._want("rollback", "local_offer", "remote_offer")
        return replace(self, state="stable" if self.local else "idle", offer=b"")

    def _want(self, deed: str, *states: State) -> None:
        if self.state not in states:
            raise SdpError(f"{deed} while the session is {self.state}")

    def _media(self) -> LocalMedia:
        assert self.media is not None, "an offer is pending, so its media is known"
        return self.media

    def _agreed(self) -> MediaPlan:
        assert self.plan is not None, "a session that is running has a plan"
        return self.plan

    def _choose(
        self, remote: SessionDescription, local: LocalMedia
    ) -> tuple[int, tuple[CodecOffer, ...]]:
        """Return the place of the audio to be answered and the codecs in common."""
        places = range(len(remote.media))
        if self.local:  # the stream of a running session stays where it is
            places = range(self.audio, self.audio + 1)
            if remote.media[self.audio].port == 0:
                return self.audio, ()
        for place in places:
            section = remote.media[place]
            if matching.is_usable(section):
                codecs = matching.common_codecs(section.codecs(), local.codecs)
                if codecs:
                    return place, codecs
        raise SdpError(_why_nothing(remote), cure=f"offer {_names(local.codecs)} over RTP/AVP")

    def _describe(
        self, local: LocalMedia, sections: list[MediaSection], timing: str = "0 0"
    ) -> tuple[Negotiation, bytes]:
        """Return our next description: the old one, or a new version of it."""
        host = local.host
        connection = Connection(host)
        for version in (self.version, self.version + 1):
            origin = Origin("-", self.session_id, version, host)
            description = SessionDescription(origin, "-", connection, timing, media=tuple(sections))
            data = description.encode()
            if not self.sent or data == self.sent:
                break
        return replace(self, version=version, sent=data), data


def _names(codecs: tuple[CodecOffer, ...]) -> str:
    return ", ".join(codec.name for codec in codecs)


def _why_nothing(remote: SessionDescription) -> str:
    offered = "; ".join(
        f"{section.kind} {section.port} {section.protocol} {_names(section.codecs())}".strip()
        for section in remote.media[:8]
    )
    return f"nothing in the offer can be used ({offered})"


def _known_codecs(negotiation: Negotiation, before: SessionDescription) -> tuple[CodecOffer, ...]:
    """Return every codec that already has a number in this session, ours first."""
    known = before.media[negotiation.audio].codecs()
    remote = SessionDescription.parse(negotiation.remote)
    if len(remote.media) > negotiation.audio:
        known += remote.media[negotiation.audio].codecs()
    return known


@lru_cache(maxsize=256)
def _keep_numbers(
    wanted: tuple[CodecOffer, ...], known: tuple[CodecOffer, ...]
) -> tuple[CodecOffer, ...]:
    """Return the codecs with the numbers that they have, or free ones (:rfc:`3264` 8.3.2)."""
    numbers: dict[tuple[str, int, int], int] = {}
    for codec in known:
        numbers.setdefault(codec.key, codec.payload_type)
    taken = set(numbers.values())
    found = []
    for codec in wanted:
        number = numbers.get(codec.key)
        if number is None:
            number = codec.payload_type
            if number in taken:
                number = next(
                    free for free in range(FIRST_DYNAMIC, LAST_DYNAMIC + 1) if free not in taken
                )
            taken.add(number)
        same = number == codec.payload_type
        found.append(codec if same else replace(codec, payload_type=number))
    return tuple(found)


def _refused(section: MediaSection) -> MediaSection:
    return MediaSection(section.kind, 0, section.protocol, section.formats or ("0",))


def _audio(local: LocalMedia, codecs: tuple[CodecOffer, ...], direction: str) -> MediaSection:
    formats, attributes = _written(codecs, local.ptime_ms, direction)
    return MediaSection("audio", local.port, "RTP/AVP", formats, attributes=attributes)


# We describe ourselves with the same few words in every call.
@lru_cache(maxsize=256)
def _written(
    codecs: tuple[CodecOffer, ...], ptime_ms: int, direction: str
) -> tuple[tuple[str, ...], tuple[Attribute, ...]]:
    """Return formats and attributes of our audio."""
    attributes: list[Attribute] = []
    for codec in codecs:
        attributes.append(("rtpmap", f"{codec.payload_type} {codec.rtpmap}"))
        if codec.fmtp:
            attributes.append(("fmtp", f"{codec.payload_type} {codec.fmtp}"))
    attributes.append(("ptime", str(ptime_ms)))
    attributes.append((direction, None))
    return tuple(str(codec.payload_type) for codec in codecs), tuple(attributes)


def _no_audio(plan: MediaPlan) -> MediaPlan:
    return replace(plan, remote_port=0, remote_rtcp_port=0, send=False, receive=False)


def _plan_from_offer(
    remote: SessionDescription,
    section: MediaSection,
    codecs: tuple[CodecOffer, ...],
    local: LocalMedia,
) -> MediaPlan:
    chosen = codecs[0]
    event = matching.event_for(section.codecs(), chosen.clock_rate) if local.event else None
    event_pt = event.payload_type if event is not None else -1
    they_send, they_receive = matching.remote_flags(remote, section)
    we_send, we_receive = matching.flags(local.direction)
    return MediaPlan(
        matching.remote_address(remote, section),
        section.port,
        chosen.name.upper(),
        chosen.payload_type,
        chosen.payload_type,
        chosen.clock_rate,
        matching.send_ptime_ms(section, local),
        event_pt,
        event_pt,
        we_send and they_receive,
        we_receive and they_send,
        matching.remote_rtcp_port(section),
    )


def _plan_from_answer(
    remote: SessionDescription,
    section: MediaSection,
    ours: tuple[CodecOffer, ...],
    local: LocalMedia,
) -> MediaPlan:
    theirs = section.codecs()
    codecs = matching.common_codecs(theirs, ours)
    refused = section.port == 0
    if refused:  # its formats mean nothing (RFC 3264 section 6)
        codecs = matching.common_codecs(ours, ours)
    elif not codecs:
        raise SdpError(f"the answer names {_names(theirs) or 'no codec'}, offered {_names(ours)}")
    chosen = codecs[0]
    numbers = {codec.key: codec.payload_type for codec in ours}
    event = matching.event_for(theirs, chosen.clock_rate) if local.event and not refused else None
    own_event = matching.event_for(ours, chosen.clock_rate) if event is not None else None
    they_send, they_receive = matching.remote_flags(remote, section)
    we_send, we_receive = matching.flags(local.direction)
    plan = MediaPlan(
        "" if refused else matching.remote_address(remote, section),
        section.port,
        chosen.name.upper(),
        chosen.payload_type,
        numbers[chosen.key],
        chosen.clock_rate,
        matching.send_ptime_ms(section, local),
        event.payload_type if event is not None and own_event is not None else -1,
        own_event.payload_type if own_event is not None else -1,
        we_send and they_receive,
        we_receive and they_send,
        matching.remote_rtcp_port(section),
        tuple(codec.name.upper() for codec in codecs[1:]) if not refused else (),
    )
    return _no_audio(plan) if refused else plan
