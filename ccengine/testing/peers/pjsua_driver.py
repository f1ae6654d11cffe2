"""The child of :class:`ccengine.testing.peers.pjsua.Pjsua`: one pjsua2 endpoint, JSON lines.

Every line of stdin is a command ``{"do": …}``, every line of stdout that begins with ``{`` is
an event ``{"event": …}``.  pjsua2 runs without threads, sound device or log; calls are named by
its own call ids.  It stands by itself: it imports nothing of the engine.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from typing import Any

import pjsua2 as pj

_POLL_MS = 10
_CLOCK_RATE = 8000


def say(event: str, **values: Any) -> None:
    """Write one event with its time (UTC, in seconds since 1970)."""
    sys.stdout.write(json.dumps({"event": event, **values, "at": time.time()}) + "\n")
    sys.stdout.flush()


class DriverCall(pj.Call):  # type: ignore[misc]
    """A call that reports what happens and joins the conference bridge."""

    def __init__(self, driver: Driver, call_id: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(driver.account, call_id)
        self._driver = driver
        self.player: Any = None
        self.recorder: Any = None

    def onCallState(self, prm: Any) -> None:  # noqa: N802, ARG002
        """Report the state; forget a call that is over."""
        info = self.getInfo()
        say(
            "call_state",
            call=info.id,
            state=info.stateText,
            status=info.lastStatusCode,
            reason=info.lastReason,
            remote=info.remoteUri,
        )
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.close_media()
            self._driver.calls.pop(info.id, None)

    def onCallMediaState(self, prm: Any) -> None:  # noqa: N802, ARG002
        """Connect player and recorder when the audio is there."""
        info = self.getInfo()
        for media in info.media:
            if media.type != pj.PJMEDIA_TYPE_AUDIO:
                continue
            active = media.status == pj.PJSUA_CALL_MEDIA_ACTIVE
            say("call_media", call=info.id, active=active, direction=media.dir)
            if active:
                self._connect(self.getAudioMedia(media.index))

    def onDtmfDigit(self, prm: Any) -> None:  # noqa: N802
        """Report a key."""
        say("digit", call=self.getId(), digit=prm.digit)

    def _connect(self, audio: Any) -> None:
        driver = self._driver
        if self.player is None and driver.play:
            self.player = pj.AudioMediaPlayer()
            self.player.createPlayer(driver.play)
        if self.recorder is None and driver.record:
            self.recorder = pj.AudioMediaRecorder()
            self.recorder.createRecorder(driver.record.replace("{call}", str(self.getId())))
        if self.player is not None:
            self.player.startTransmit(audio)
        if self.recorder is not None:
            audio.startTransmit(self.recorder)

    def mute(self, muted: bool) -> None:
        """Stop playing into the call, or go on."""
        audio = self.getAudioMedia(-1)
        if self.player is not None:
            (self.player.stopTransmit if muted else self.player.startTransmit)(audio)

    def close_media(self) -> None:
        """Let player and recorder go: only then is the WAV header right."""
        self.player = None
        self.recorder = None


class DriverAccount(pj.Account):  # type: ignore[misc]
    """The account: reports registration and incoming calls."""

    def __init__(self, driver: Driver) -> None:
        super().__init__()
        self._driver = driver

    def onRegState(self, prm: Any) -> None:  # noqa: N802
        """Report a registration."""
        info = self.getInfo()
        say("registered", active=info.regIsActive, status=prm.code, reason=prm.reason)

    def onIncomingCall(self, prm: Any) -> None:  # noqa: N802
        """Report a call and do with it what was asked."""
        call = DriverCall(self._driver, prm.callId)
        self._driver.calls[prm.callId] = call
        say("incoming", call=prm.callId, remote=call.getInfo().remoteUri)
        self._driver.answer(prm.callId, self._driver.incoming_status)


class Driver:
    """One endpoint, one account, any number of calls."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.calls: dict[int, DriverCall] = {}
        self.play: str = settings["play"]
        self.record: str = settings["record"]
        self.incoming_status: int = settings["incoming_status"]
        self._settings = settings
        self._running = True
        self._buffer = b""
        self._endpoint = pj.Endpoint()
        self._start()
        self.account = DriverAccount(self)
        self._create_account()

    def _start(self) -> None:
        settings = self._settings
        endpoint = self._endpoint
        endpoint.libCreate()
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.maxCalls = 32
        config.logConfig.level = settings["log_level"]
        config.logConfig.consoleLevel = settings["log_level"]
        config.medConfig.threadCnt = 1
        config.medConfig.noVad = True
        config.medConfig.ecTailLen = 0
        config.medConfig.clockRate = _CLOCK_RATE
        config.medConfig.sndClockRate = _CLOCK_RATE
        endpoint.libInit(config)
        transport = pj.TransportConfig()
        transport.boundAddress = settings["address"]
        transport.publicAddress = settings["address"]
        transport.port = settings["port"]
        kind = pj.PJSIP_TRANSPORT_TCP if settings["tcp"] else pj.PJSIP_TRANSPORT_UDP
        endpoint.transportCreate(kind, transport)
        endpoint.libStart()
        endpoint.audDevManager().setNullDev()
        for codec in endpoint.codecEnum2():
            wanted = settings["codecs"]
            place = next((n for n, name in enumerate(wanted) if codec.codecId.startswith(name)), -1)
            endpoint.codecSetPriority(codec.codecId, 0 if place < 0 else 200 - place)

    def _create_account(self) -> None:
        settings = self._settings
        user, domain = settings["user"], settings["domain"]
        suffix = ";transport=tcp" if settings["tcp"] else ""
        config = pj.AccountConfig()
        config.idUri = f"sip:{user}@{domain}"
        # Over TCP it would else advertise 127.0.0.1, whatever it is bound to.
        contact = f"sip:{user}@{settings['address']}:{settings['port']}{suffix}"
        config.sipConfig.contactForced = f"<{contact}>"
        if settings["password"]:
            config.regConfig.registrarUri = f"sip:{domain}{suffix}"
            config.regConfig.timeoutSec = settings["expires_s"]
            config.regConfig.retryIntervalSec = 0
            config.sipConfig.authCreds.append(
                pj.AuthCredInfo("digest", "*", user, 0, settings["password"])
            )
        media = config.mediaConfig.transportConfig
        media.boundAddress = settings["address"]
        media.publicAddress = settings["address"]
        media.port = settings["media_port"]
        config.natConfig.contactRewriteUse = 0
        config.natConfig.viaRewriteUse = 0
        config.natConfig.sdpNatRewriteUse = 0
        self.account.create(config)

    # --- commands -----------------------------------------------------------------------------

    def call(self, uri: str) -> None:
        """Call; ``call_state`` events follow."""
        call = DriverCall(self)
        if self._settings["tcp"] and "transport=" not in uri:
            uri += ";transport=tcp"
        call.makeCall(uri, pj.CallOpParam(True))
        self.calls[call.getId()] = call
        say("calling", call=call.getId())

    def answer(self, number: int, status: int) -> None:
        """Answer with a status (180, 200, 486…); 0 does nothing."""
        if status:
            prm = pj.CallOpParam()
            prm.statusCode = status
            self.calls[number].answer(prm)

    def hang_up(self, number: int, status: int) -> None:
        """End a call."""
        prm = pj.CallOpParam()
        prm.statusCode = status
        self.calls[number].hangup(prm)

    def digits(self, number: int, digits: str) -> None:
        """Press keys (RFC 4733)."""
        self.calls[number].dialDtmf(digits)

    def mute(self, number: int, muted: bool) -> None:
        """Say nothing, or speak again."""
        self.calls[number].mute(muted)

    def hold(self, number: int) -> None:
        """Put on hold by re-INVITE."""
        self.calls[number].setHold(pj.CallOpParam())

    def resume(self, number: int) -> None:
        """Take back from hold by re-INVITE."""
        prm = pj.CallOpParam(True)
        prm.opt.flag = pj.PJSUA_CALL_UNHOLD
        self.calls[number].reinvite(prm)

    def unregister(self) -> None:
        """Take the registration back."""
        self.account.setRegistration(False)

    def quit(self) -> None:
        """End the loop."""
        self._running = False

    # --- loop ------------------------------------------------------------------------------------

    def _obey(self, line: bytes) -> None:
        command = json.loads(line)
        name = command.pop("do")
        try:
            getattr(self, name)(**command)
        except (pj.Error, KeyError) as error:
            reason = error.info() if isinstance(error, pj.Error) else f"no call {error}"
            say("failed", do=name, reason=reason)

    def run(self) -> None:
        """Serve pjsua2 and stdin until told to quit or stdin ends."""
        say("ready")
        while self._running:
            self._endpoint.libHandleEvents(_POLL_MS)
            if not select.select([0], [], [], 0)[0]:
                continue
            data = os.read(0, 65536)
            if not data:
                break
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            for line in lines:
                self._obey(line)

    def close(self) -> None:
        """End calls and library; recordings are complete afterwards."""
        for call in list(self.calls.values()):
            call.close_media()
        self._endpoint.hangupAllCalls()
        for _ in range(10):
            self._endpoint.libHandleEvents(_POLL_MS)
        self.calls.clear()
        self.account.shutdown()
        # Everything that had to be said is said: do not wait for answers.
        self._endpoint.libDestroy(pj.PJSUA_DESTROY_NO_NETWORK)
        say("ended")


def main() -> None:
    """Run with the settings in the first argument."""
    driver = Driver(json.loads(sys.argv[1]))
    driver.run()
    driver.close()
    # The interpreter's own end would destroy pjsua2's objects in an order that it does not like.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
