"""Scenarios for SIPp: a caller who listens, may press a key, and hangs up or waits for the end."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from ccengine.rtp.event import EventSender

EVENT_PT = 101
_STEP = 160
_PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
_ETHERNET = bytes(12) + b"\x08\x00"


@dataclass(frozen=True, slots=True)
class CallerScenario:
    """What a caller does.

    ``media`` is where it wants RTP (``host``, ``port``); empty: SIPp's own media socket.
    After ``key_after_ms`` it presses ``key``, and hangs up ``talk_ms`` after that; with
    ``talk_ms`` 0 it waits for our BYE.
    """

    media: tuple[str, int] | None = None
    payload_type: int = 0
    key: str = ""
    key_after_ms: int = 0
    talk_ms: int = 1000

    def write(self, folder: Path, name: str = "caller") -> Path:
        """Write the scenario and the key press that belongs to it; return the path."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.key:
            (folder / f"{name}.pcap").write_bytes(key_press(self.key))
        path = folder / f"{name}.xml"
        path.write_text(self._xml(f"{name}.pcap"), encoding="utf-8")
        return path

    def _xml(self, pcap: str) -> str:
        wait = f'<pause milliseconds="{self.key_after_ms}"/>' if self.key_after_ms else ""
        press = f'<nop><action><exec play_pcap_audio="{pcap}"/></action></nop>' if self.key else ""
        return "\n".join(
            [
                '<?xml version="1.0" encoding="UTF-8"?>',
                '<!DOCTYPE scenario SYSTEM "sipp.dtd">',
                '<scenario name="caller">',
                self._invite(),
                '<recv response="100" optional="true"/>',
                '<recv response="180" optional="true"/>',
                '<recv response="183" optional="true"/>',
                '<recv response="200" rrs="true" rtd="true"/>',
                f"<send>{_request('ACK', 'ACK')}</send>",
                wait,
                press,
                self._end(),
                "</scenario>",
                "",
            ]
        )

    def _end(self) -> str:
        if not self.talk_ms:
            return f'<recv request="BYE"/>\n<send>{_OK}</send>'
        bye = f'<send retrans="500">{_request("BYE", "BYE")}</send>'
        return f'<pause milliseconds="{self.talk_ms}"/>\n{bye}\n<recv response="200"/>'

    def _invite(self) -> str:
        host, port = self.media or ("[media_ip]", "[media_port]")
        sdp = (
            "v=0",
            f"o=sipp 1 1 IN IP4 {host}",
            "s=-",
            f"c=IN IP4 {host}",
            "t=0 0",
            f"m=audio {port} RTP/AVP {self.payload_type} {EVENT_PT}",
            "a=ptime:20",
            f"a=rtpmap:{self.payload_type} {'PCMA' if self.payload_type == 8 else 'PCMU'}/8000",
            f"a=rtpmap:{EVENT_PT} telephone-event/8000",
            f"a=fmtp:{EVENT_PT} 0-15",
        )
        return f"""<send retrans="500"><![CDATA[

INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: "sipp [call_number]" <sip:8[call_number]@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:sipp@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

{chr(10).join(sdp)}
]]></send>"""


_OK = """<![CDATA[

SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]>"""


def _request(method: str, name: str) -> str:
    number = 1 if method == "ACK" else 2
    return f"""<![CDATA[

{method} [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: "sipp [call_number]" <sip:8[call_number]@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: {number} {name}
Max-Forwards: 70
Content-Length: 0

]]>"""


def key_press(key: str, *, sequence: int = 1, timestamp: int = 160) -> bytes:
    """Return a capture file of one key press (:rfc:`4733`) of 100 ms, as SIPp plays it."""
    sender = EventSender(key, duration_ms=100, gap_ms=20, ptime_ms=20, clock_rate=8000)
    pieces = [_PCAP_HEADER]
    at = 0
    while not sender.done:
        frame = sender.next()
        if frame is not None:
            second = EVENT_PT | (0x80 if frame.marker else 0)
            stamp = (timestamp + at * _STEP - frame.age) & 0xFFFFFFFF
            rtp = struct.pack("!BBHII", 0x80, second, sequence, stamp, 0x51995199) + frame.payload
            sequence += 1
            udp = struct.pack("!HHHH", 6000, 6000, 8 + len(rtp), 0) + rtp
            ip = struct.pack("!BBHHHBBH8s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(8)) + udp
            whole = _ETHERNET + ip
            pieces.append(struct.pack("<IIII", 0, at * 20_000, len(whole), len(whole)) + whole)
        at += 1
    return b"".join(pieces)
