"""Offer and answer (RFC 3264), with the examples of RFC 4317."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccengine.errors import SdpError
from ccengine.sdp import (
    EVENT,
    G722,
    OPUS,
    PCMA,
    PCMU,
    CodecOffer,
    Direction,
    LocalMedia,
    MediaPlan,
    Negotiation,
    SessionDescription,
    codecs_by_name,
)

OURS = LocalMedia("192.0.2.1", 20000)
THEIRS = LocalMedia("198.51.100.7", 30000, codecs=(PCMA, PCMU))


def offer_text(*media: str, host: str = "198.51.100.7", version: int = 1) -> bytes:
    lines = ["v=0", f"o=bob 7 {version} IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0", *media]
    return "\r\n".join([*lines, ""]).encode()


def answered(
    offer: bytes, local: LocalMedia = OURS, prefer: tuple[str, ...] = ()
) -> tuple[Negotiation, SessionDescription, MediaPlan]:
    negotiation = Negotiation(1).receive_offer(offer)
    negotiation, data, plan = negotiation.create_answer(local, prefer=prefer)
    return negotiation, SessionDescription.parse(data), plan


def agree(
    ours: LocalMedia = OURS, theirs: LocalMedia = THEIRS
) -> tuple[Negotiation, Negotiation, MediaPlan, MediaPlan]:
    caller, offer = Negotiation(1).create_offer(ours)
    callee, answer, callee_plan = Negotiation(2).receive_offer(offer).create_answer(theirs)
    caller, caller_plan = caller.receive_answer(answer)
    return caller, callee, caller_plan, callee_plan


class TestFirstExchange:
    def test_both_sides_agree_and_know_where_to_send(self) -> None:
        caller, callee, caller_plan, callee_plan = agree()
        assert caller.state == callee.state == "stable"
        assert (caller_plan.remote_host, caller_plan.remote_port) == ("198.51.100.7", 30000)
        assert (callee_plan.remote_host, callee_plan.remote_port) == ("192.0.2.1", 20000)
        assert caller_plan.codec == callee_plan.codec == "PCMU"  # the offerer's preference
        assert caller_plan.event_pt == callee_plan.event_pt == EVENT.payload_type
        assert caller_plan.remote_rtcp_port == 30001

    def test_prefer_wins_over_the_order_of_the_offer(self) -> None:
        offer = offer_text("m=audio 30000 RTP/AVP 0 8")
        assert answered(offer)[2].codec == "PCMU"
        assert answered(offer, prefer=("pcma", "PCMU"))[2].codec == "PCMA"
        assert answered(offer, prefer=("G722",))[2].codec == "PCMU"

    def test_answer_uses_the_numbers_of_the_offer(self) -> None:
        """RFC 3264 section 6.1: same payload type numbers as in the offer."""
        _, answer, plan = answered(
            offer_text(
                "m=audio 30000 RTP/AVP 118 96",
                "a=rtpmap:118 pcmu/8000/1",
                "a=rtpmap:96 Telephone-Event/8000",
            )
        )
        assert answer.media[0].formats == ("118", "96")
        assert (plan.payload_type, plan.receive_payload_type, plan.event_pt) == (118, 118, 96)

    def test_answerer_may_use_other_numbers(self) -> None:
        """RFC 3264 section 6.1: each side sends with the numbers that the other stated."""
        negotiation, _ = Negotiation(1).create_offer(
            LocalMedia("192.0.2.1", 20000, codecs=(OPUS,), event=True)
        )
        _, plan = negotiation.receive_answer(
            offer_text(
                "m=audio 30000 RTP/AVP 120 121",
                "a=rtpmap:120 opus/48000/2",
                "a=rtpmap:121 telephone-event/48000",
            )
        )
        assert (plan.payload_type, plan.receive_payload_type) == (120, 107)
        assert (plan.event_pt, plan.receive_event_pt) == (121, 101)
        assert plan.clock_rate == 48000

    def test_answer_names_one_codec_unless_told(self) -> None:
        offer = offer_text("m=audio 30000 RTP/AVP 8 0 101", "a=rtpmap:101 telephone-event/8000")
        negotiation = Negotiation(1).receive_offer(offer)
        _, one, _ = negotiation.create_answer(OURS)
        _, every, _ = negotiation.create_answer(OURS, every_codec=True)
        assert SessionDescription.parse(one).media[0].formats == ("8", "101")
        assert SessionDescription.parse(every).media[0].formats == ("8", "0", "101")

    def test_answer_with_several_codecs_tells_of_the_others(self) -> None:
        negotiation, _ = Negotiation(1).create_offer(OURS)
        _, plan = negotiation.receive_answer(offer_text("m=audio 30000 RTP/AVP 8 0"))
        assert (plan.codec, plan.others, plan.event_pt) == ("PCMA", ("PCMU",), -1)

    def test_event_needs_the_clock_of_the_audio(self) -> None:
        """RFC 4733 section 2.1: the clock rate of the audio it accompanies."""
        _, answer, plan = answered(
            offer_text("m=audio 30000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/48000")
        )
        assert plan.event_pt == -1
        assert answer.media[0].formats == ("0",)

    def test_events_are_left_out_when_not_wanted(self) -> None:
        silent = LocalMedia("192.0.2.1", 20000, event=False)
        _, offer = Negotiation(1).create_offer(silent)
        assert b"telephone-event" not in offer

    def test_an_offer_has_an_event_for_each_clock_rate(self) -> None:
        local = LocalMedia("192.0.2.1", 20000, codecs=(OPUS, PCMU, G722))
        _, offer = Negotiation(1).create_offer(local)
        codecs = SessionDescription.parse(offer).media[0].codecs()
        events = [codec.clock_rate for codec in codecs if codec.name == EVENT.name]
        assert events == [48000, 8000]
        assert len({codec.payload_type for codec in codecs}) == len(codecs)

    def test_numbers_that_collide_are_moved(self) -> None:
        codecs = (CodecOffer("opus", 101, 48000, 2), CodecOffer("x", 101))
        _, offer = Negotiation(1).create_offer(LocalMedia("192.0.2.1", 4000, codecs=codecs))
        numbers = SessionDescription.parse(offer).media[0].formats
        assert len(set(numbers)) == len(numbers) == 4

    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            ((), 20),
            (("a=ptime:30",), 30),
            (("a=ptime:25",), 20),
            (("a=ptime:60", "a=maxptime:40"), 40),
            (("a=maxptime:15",), 10),
            (("a=maxptime:5",), 10),
        ],
    )
    def test_packets_are_as_long_as_the_peer_wants(
        self, lines: tuple[str, ...], expected: int
    ) -> None:
        assert answered(offer_text("m=audio 30000 RTP/AVP 0", *lines))[2].ptime_ms == expected

    def test_rtcp_attribute_is_followed(self) -> None:
        plan = answered(offer_text("m=audio 30000 RTP/AVP 0", "a=rtcp:31234"))[2]
        assert plan.remote_rtcp_port == 31234

    def test_answer_repeats_the_timing_of_the_offer(self) -> None:
        """RFC 3264 section 6: the t= line of the answer MUST equal that of the offer."""
        offer = offer_text("m=audio 30000 RTP/AVP 0").replace(b"t=0 0", b"t=2873397496 2873404696")
        assert answered(offer)[1].timing == "2873397496 2873404696"


class TestSeveralStreams:
    def test_every_media_line_is_answered_in_order(self) -> None:
        """RFC 3264 section 6: the same number of m= lines, refused ones with port 0."""
        negotiation, answer, plan = answered(
            offer_text(
                "m=video 51372 RTP/AVP 31 34",
                "m=audio 30000 RTP/AVP 8",
                "m=image 5000 udptl t38",
                "m=audio 30002 RTP/AVP 0",
            )
        )
        assert [(s.kind, s.port) for s in answer.media] == [
            ("video", 0),
            ("audio", 20000),
            ("image", 0),
            ("audio", 0),
        ]
        assert answer.media[2].protocol == "udptl"
        assert all(section.formats for section in answer.media)
        assert (negotiation.audio, plan.codec) == (1, "PCMA")

    def test_secure_audio_is_passed_over_for_plain_audio(self) -> None:
        _, answer, plan = answered(
            offer_text("m=audio 30000 RTP/SAVP 0", "m=audio 30002 RTP/AVP 0")
        )
        assert [section.port for section in answer.media] == [0, 20000]
        assert plan.remote_port == 30002

    def test_the_profile_of_the_offer_is_answered(self) -> None:
        assert answered(offer_text("m=audio 30000 RTP/AVPF 0"))[1].media[0].protocol == "RTP/AVPF"

    def test_a_reoffer_of_ours_keeps_refused_streams(self) -> None:
        """RFC 3264 section 8: m= lines are never dropped nor moved."""
        negotiation, _, _ = answered(
            offer_text("m=video 51372 RTP/AVP 31", "m=audio 30000 RTP/AVP 8")
        )
        _, offer = negotiation.create_offer(OURS)
        media = SessionDescription.parse(offer).media
        assert [(section.kind, section.port) for section in media] == [
            ("video", 0),
            ("audio", 20000),
        ]

    @pytest.mark.parametrize(
        "media",
        [
            ("m=audio 30000 RTP/SAVP 0",),
            ("m=audio 30000 RTP/AVP 18",),
            ("m=video 30000 RTP/AVP 31",),
            ("m=audio 0 RTP/AVP 0",),
            ("m=audio 30000 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"),
            ("m=audio 30000 RTP/AVP 96", "a=rtpmap:96 PCMU/16000"),
        ],
    )
    def test_nothing_acceptable_names_what_was_offered(self, media: tuple[str, ...]) -> None:
        negotiation = Negotiation(1).receive_offer(offer_text(*media))
        with pytest.raises(SdpError, match="nothing in the offer"):
            negotiation.create_answer(OURS)

    def test_an_offer_without_media_is_refused(self) -> None:
        with pytest.raises(SdpError, match="no media"):
            Negotiation(1).receive_offer(offer_text())


class TestAddresses:
    @pytest.mark.parametrize(
        ("line", "host"),
        [
            ("c=IN IP6 2001:db8::9", "2001:db8::9"),
            ("c=IN IP6 ::ffff:192.0.2.9", "192.0.2.9"),
            ("c=IN IP4 192.0.2.9", "192.0.2.9"),
            ("c=IN IP6 [2001:db8::9]", "2001:db8::9"),
        ],
    )
    def test_the_section_address_wins_over_the_session(self, line: str, host: str) -> None:
        """RFC 5118 sections 4.9 and 4.10: mixed families, IPv4-mapped addresses."""
        assert answered(offer_text("m=audio 30000 RTP/AVP 0", line))[2].remote_host == host

    @pytest.mark.parametrize("line", ["c=IN IP4 phone.example.com", "c=IN IP4 233.252.0.1/127"])
    def test_where_we_cannot_send_is_refused(self, line: str) -> None:
        negotiation = Negotiation(1).receive_offer(offer_text("m=audio 30000 RTP/AVP 0", line))
        with pytest.raises(SdpError, match="c="):
            negotiation.create_answer(OURS)

    def test_no_address_at_all_is_refused(self) -> None:
        negotiation = Negotiation(1).receive_offer(b"v=0\r\nm=audio 30000 RTP/AVP 0\r\n")
        with pytest.raises(SdpError, match="no c= line"):
            negotiation.create_answer(OURS)

    def test_an_ipv6_host_of_ours_is_written_as_such(self) -> None:
        _, offer = Negotiation(1).create_offer(LocalMedia("2001:db8::1", 4000))
        assert b"o=- 1 0 IN IP6 2001:db8::1\r\n" in offer
        assert b"c=IN IP6 2001:db8::1\r\n" in offer


class TestHold:
    @pytest.mark.parametrize(
        ("theirs", "answer", "send", "receive"),
        [
            ("sendrecv", "sendrecv", True, True),
            ("sendonly", "recvonly", False, True),
            ("recvonly", "sendonly", True, False),
            ("inactive", "inactive", False, False),
        ],
    )
    def test_their_direction_is_mirrored(
        self, theirs: Direction, answer: Direction, send: bool, receive: bool
    ) -> None:
        """RFC 3264 section 6.1."""
        _, description, plan = answered(offer_text("m=audio 30000 RTP/AVP 0", f"a={theirs}"))
        assert description.direction_of(description.media[0]) == answer
        assert (plan.send, plan.receive) == (send, receive)
        assert plan.direction == answer

    def test_hold_by_null_address(self) -> None:
        """RFC 3264 section 8.4: c=0.0.0.0 means that nothing may be sent there."""
        caller, _, _, _ = agree()
        held = caller.receive_offer(offer_text("m=audio 30000 RTP/AVP 8", host="0.0.0.0"))
        _, answer, plan = held.create_answer(OURS)
        assert not plan.send
        assert plan.receive
        assert b"a=recvonly" in answer

    def test_we_hold_and_retrieve(self) -> None:
        caller, callee, _, _ = agree()
        caller, offer = caller.create_offer(LocalMedia("192.0.2.1", 20000, direction="sendonly"))
        assert b"a=sendonly" in offer
        assert b"o=- 1 1 " in offer
        callee, answer, plan = callee.receive_offer(offer).create_answer(THEIRS)
        assert (plan.send, plan.receive) == (False, True)
        caller, plan = caller.receive_answer(answer)
        assert (plan.send, plan.receive) == (True, False)
        caller, offer = caller.create_offer(OURS)
        assert b"o=- 1 2 " in offer
        callee, answer, plan = callee.receive_offer(offer).create_answer(THEIRS)
        caller, plan = caller.receive_answer(answer)
        assert plan.direction == "sendrecv"

    def test_both_hold(self) -> None:
        _, description, plan = answered(
            offer_text("m=audio 30000 RTP/AVP 0", "a=sendonly"),
            LocalMedia("192.0.2.1", 20000, direction="sendonly"),
        )
        assert description.direction_of(description.media[0]) == "inactive"
        assert plan.direction == "inactive"


class TestReoffer:
    def test_the_same_offer_keeps_its_version(self) -> None:
        """RFC 3264 section 8: an unchanged description keeps the o= line."""
        negotiation, _, _, _ = agree()
        first = negotiation.local
        negotiation, offer = negotiation.create_offer(OURS)
        assert offer == first

    def test_a_changed_offer_raises_its_version_by_one(self) -> None:
        negotiation, _, _, _ = agree()
        _, offer = negotiation.create_offer(LocalMedia("192.0.2.1", 20002))
        assert SessionDescription.parse(offer).origin.version == 1

    def test_a_rejected_reoffer_is_rolled_back(self) -> None:
        before, _, plan, _ = agree()
        pending, _ = before.create_offer(LocalMedia("192.0.2.1", 20002))
        after = pending.rollback()
        assert (after.state, after.local, after.remote) == ("stable", before.local, before.remote)
        assert after.plan == plan
        # What the peer saw is never reused for other words.
        _, again = after.create_offer(LocalMedia("192.0.2.1", 20004))
        assert SessionDescription.parse(again).origin.version == 2

    def test_a_rejected_first_offer_is_rolled_back(self) -> None:
        assert Negotiation(1).create_offer(OURS)[0].rollback().state == "idle"
        offer = offer_text("m=audio 30000 RTP/AVP 18")
        assert Negotiation(1).receive_offer(offer).rollback().state == "idle"

    def test_numbers_stay_those_of_the_session(self) -> None:
        """RFC 3264 section 8.3.2: a number keeps its meaning for the whole session."""
        negotiation, _, _ = answered(
            offer_text(
                "m=audio 30000 RTP/AVP 0 97 101",
                "a=rtpmap:97 telephone-event/8000",
                "a=rtpmap:101 opus/48000/2",
            )
        )
        both = LocalMedia("192.0.2.1", 20000, codecs=(PCMU, OPUS))
        _, offer = negotiation.create_offer(both)
        found = {
            (codec.name, codec.clock_rate): codec.payload_type
            for codec in SessionDescription.parse(offer).media[0].codecs()
        }
        assert found["telephone-event", 8000] == 97
        assert found["opus", 48000] == 101

    def test_the_peer_moves_its_media(self) -> None:
        _, callee, _, _ = agree()
        moved = callee.receive_offer(offer_text("m=audio 40000 RTP/AVP 8", host="203.0.113.5"))
        moved, _, plan = moved.create_answer(THEIRS)
        assert (plan.remote_host, plan.remote_port, plan.codec) == ("203.0.113.5", 40000, "PCMA")

    def test_the_peer_adds_video(self) -> None:
        negotiation, _, _ = answered(offer_text("m=audio 30000 RTP/AVP 0"))
        added = negotiation.receive_offer(
            offer_text("m=audio 30000 RTP/AVP 0", "m=video 5000 RTP/AVP 31", version=2)
        )
        _, answer, _ = added.create_answer(OURS)
        assert [section.port for section in SessionDescription.parse(answer).media] == [20000, 0]

    def test_the_peer_takes_the_audio_out(self) -> None:
        """RFC 3264 section 8.2: a stream is ended by port 0, and so it is answered."""
        negotiation, _, _ = answered(offer_text("m=audio 30000 RTP/AVP 0"))
        _, answer, plan = negotiation.receive_offer(
            offer_text("m=audio 0 RTP/AVP 0", version=2)
        ).create_answer(OURS)
        assert SessionDescription.parse(answer).media[0].port == 0
        assert (plan.remote_port, plan.send, plan.receive) == (0, False, False)

    def test_a_dropped_media_line_is_refused(self) -> None:
        negotiation, _, _ = answered(
            offer_text("m=audio 30000 RTP/AVP 0", "m=video 5000 RTP/AVP 31")
        )
        with pytest.raises(SdpError, match="dropped"):
            negotiation.receive_offer(offer_text("m=audio 30000 RTP/AVP 0"))

    def test_codec_changes_in_a_reoffer(self) -> None:
        caller, callee, plan, _ = agree()
        assert plan.codec == "PCMU"
        caller, offer = caller.create_offer(LocalMedia("192.0.2.1", 20000, codecs=(PCMA,)))
        callee, answer, _ = callee.receive_offer(offer).create_answer(THEIRS)
        caller, plan = caller.receive_answer(answer)
        assert plan.codec == "PCMA"


class TestAnswers:
    @pytest.mark.parametrize(
        ("media", "word"),
        [
            (("m=audio 0 RTP/AVP 0",), "refused"),
            (("m=audio 30000 RTP/AVP 18",), "offered"),
            (("m=video 30000 RTP/AVP 31",), "video where audio"),
            ((), "0 media lines"),
        ],
    )
    def test_an_answer_that_does_not_fit_is_refused(
        self, media: tuple[str, ...], word: str
    ) -> None:
        negotiation, _ = Negotiation(1).create_offer(OURS)
        with pytest.raises(SdpError, match=word):
            negotiation.receive_answer(offer_text(*media))

    def test_a_refused_answer_leaves_the_offer_pending(self) -> None:
        negotiation, _ = Negotiation(1).create_offer(OURS)
        with pytest.raises(SdpError):
            negotiation.receive_answer(b"garbage")
        assert negotiation.state == "local_offer"

    def test_the_peer_ends_the_audio_in_an_answer(self) -> None:
        negotiation, _, _, _ = agree()
        negotiation, _ = negotiation.create_offer(OURS)
        negotiation, plan = negotiation.receive_answer(offer_text("m=audio 0 RTP/AVP 0"))
        assert (plan.remote_port, plan.send, plan.receive) == (0, False, False)

    def test_an_early_answer_can_be_looked_at(self) -> None:
        """RFC 3261 section 13.2.1: only the answer in the 2xx (or reliable 1xx) counts."""
        offered, _ = Negotiation(1).create_offer(OURS)
        _, early = offered.receive_answer(offer_text("m=audio 30000 RTP/AVP 0"))
        _, final = offered.receive_answer(offer_text("m=audio 30100 RTP/AVP 8"))
        assert (early.remote_port, final.remote_port) == (30000, 30100)

    def test_offerless_invite(self) -> None:
        """RFC 3261 section 13.2.1: we offer in the 2xx, the answer comes in the ACK."""
        callee, offer = Negotiation(5).create_offer(OURS)
        caller, answer, _ = Negotiation(6).receive_offer(offer).create_answer(THEIRS)
        callee, plan = callee.receive_answer(answer)
        assert caller.state == callee.state == "stable"
        assert plan.remote_port == 30000


class TestStates:
    @pytest.mark.parametrize("deed", ["create_offer", "receive_offer"])
    @pytest.mark.parametrize("state", ["local_offer", "remote_offer"])
    def test_one_offer_at_a_time(self, deed: str, state: str) -> None:
        """RFC 3264 section 4: no new offer while one is pending."""
        pending = {
            "local_offer": Negotiation(1).create_offer(OURS)[0],
            "remote_offer": Negotiation(1).receive_offer(offer_text("m=audio 1 RTP/AVP 0")),
        }[state]
        argument = OURS if deed == "create_offer" else offer_text("m=audio 1 RTP/AVP 0")
        with pytest.raises(SdpError, match=state):
            getattr(pending, deed)(argument)

    def test_answers_need_an_offer(self) -> None:
        idle = Negotiation(1)
        stable, _, _, _ = agree()
        for negotiation in (idle, stable):
            with pytest.raises(SdpError):
                negotiation.create_answer(OURS)
            with pytest.raises(SdpError):
                negotiation.receive_answer(b"v=0\r\n")
            with pytest.raises(SdpError):
                negotiation.rollback()

    def test_it_is_a_record_for_the_journal(self) -> None:
        caller, callee, _, _ = agree()
        pending, _ = caller.create_offer(LocalMedia("192.0.2.1", 20002, direction="inactive"))
        for negotiation in (Negotiation(3), caller, callee, pending):
            data = msgspec.msgpack.encode(negotiation)
            assert msgspec.msgpack.decode(data, type=Negotiation) == negotiation

    def test_unknown_codec_names_are_told(self) -> None:
        assert codecs_by_name(["pcma", "PCMU"]) == (PCMA, PCMU)
        with pytest.raises(SdpError, match="SPEEX"):
            codecs_by_name(["SPEEX"])


class TestRfc4317:
    ALICE = (
        "m=audio 49170 RTP/AVP 0 8 97",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:97 iLBC/8000",
        "m=video 51372 RTP/AVP 31 32",
        "a=rtpmap:31 H261/90000",
        "a=rtpmap:32 MPV/90000",
    )

    def test_section_2_1_audio_and_video_one_codec_taken(self) -> None:
        _, answer, plan = answered(offer_text(*self.ALICE))
        assert [(s.port, s.formats[0]) for s in answer.media] == [(20000, "0"), (0, "31")]
        assert plan.codec == "PCMU"

    def test_section_2_4_hold_and_unhold(self) -> None:
        negotiation, _, _ = answered(offer_text("m=audio 49170 RTP/AVP 0 97"))
        negotiation, data, plan = negotiation.receive_offer(
            offer_text("m=audio 49170 RTP/AVP 0 97", "a=sendonly", version=2)
        ).create_answer(OURS)
        assert b"a=recvonly" in data
        assert not plan.send
        negotiation, data, plan = negotiation.receive_offer(
            offer_text("m=audio 49170 RTP/AVP 0 97", version=3)
        ).create_answer(OURS)
        assert b"a=sendrecv" in data
        assert plan.send
        assert SessionDescription.parse(data).origin.version == 2

    def test_section_2_5_two_audio_streams_second_refused(self) -> None:
        _, answer, _ = answered(
            offer_text(
                "m=audio 49170 RTP/AVP 0",
                "m=audio 49172 RTP/AVP 98",
                "a=rtpmap:98 telephone-event/8000",
                "a=sendonly",
            )
        )
        assert [section.port for section in answer.media] == [20000, 0]

    def test_section_5_1_offer_in_the_response(self) -> None:
        negotiation, offer = Negotiation(1).create_offer(OURS)
        assert SessionDescription.parse(offer).media[0].formats == ("0", "8", "101")
        _, plan = negotiation.receive_answer(offer_text("m=audio 49174 RTP/AVP 0"))
        assert plan.remote_port == 49174


CODEC_SETS = st.lists(
    st.sampled_from([PCMU, PCMA, G722, OPUS]), min_size=1, max_size=4, unique=True
).map(tuple)
MEDIA = st.builds(
    LocalMedia,
    st.sampled_from(["192.0.2.1", "2001:db8::1"]),
    st.integers(1024, 65534),
    CODEC_SETS,
    st.sampled_from([10, 20, 30]),
    st.booleans(),
    st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"]),
)


@given(MEDIA, MEDIA)
def test_two_of_us_always_understand_each_other(ours: LocalMedia, theirs: LocalMedia) -> None:
    caller, offer = Negotiation(1).create_offer(ours)
    callee = Negotiation(2).receive_offer(offer)
    if not {codec.key for codec in ours.codecs} & {codec.key for codec in theirs.codecs}:
        with pytest.raises(SdpError):
            callee.create_answer(theirs)
        return
    callee, answer, callee_plan = callee.create_answer(theirs)
    caller, caller_plan = caller.receive_answer(answer)
    assert caller_plan.codec == callee_plan.codec
    assert caller_plan.payload_type == callee_plan.receive_payload_type
    assert caller_plan.event_pt == callee_plan.receive_event_pt
    assert (caller_plan.event_pt >= 0) == (ours.event and theirs.event)
    assert (caller_plan.send, caller_plan.receive) == (callee_plan.receive, callee_plan.send)
    assert caller_plan.remote_port == theirs.port


@given(st.lists(st.tuples(st.booleans(), MEDIA), min_size=1, max_size=6))
def test_versions_rise_by_one_exactly_when_the_words_change(
    steps: list[tuple[bool, LocalMedia]],
) -> None:
    negotiation, offer = Negotiation(1).create_offer(OURS)
    _, answer, _ = Negotiation(2).receive_offer(offer).create_answer(OURS)
    negotiation, _ = negotiation.receive_answer(answer)
    for accept, media in steps:
        before = SessionDescription.parse(offer)
        negotiation, offer = negotiation.create_offer(media)
        after = SessionDescription.parse(offer)
        assert after.origin.version - before.origin.version in {0, 1}
        if after.origin.version == before.origin.version:
            assert after.encode() == before.encode()
        peer = Negotiation(2).receive_offer(offer)
        if accept and media.codecs:
            _, answer, _ = peer.create_answer(media)
            negotiation, _ = negotiation.receive_answer(answer)
        else:
            negotiation = negotiation.rollback()


@given(st.binary(max_size=300))
def test_garbage_offers_and_answers_are_refused(data: bytes) -> None:
    offered, _ = Negotiation(1).create_offer(OURS)
    with pytest.raises(SdpError):
        offered.receive_answer(data)
    with pytest.raises(SdpError):
        Negotiation(1).receive_offer(data).create_answer(OURS)


@given(st.data())
def test_a_damaged_offer_is_answered_or_refused(data: st.DataObject) -> None:
    text = bytearray(
        offer_text("m=audio 30000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", "a=ptime:20")
    )
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        negotiation, answer, plan = Negotiation(1).receive_offer(bytes(text)).create_answer(OURS)
    except SdpError:
        return
    SessionDescription.parse(answer)
    assert 0 < plan.remote_port <= 65535
    msgspec.msgpack.encode(negotiation)
