"""Plays and digits on the legs of a worker."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ccengine.clock import Clock
from ccengine.errors import MediaError
from ccengine.media.control import DigitsSent, DigitsWant, PlayDone, PlayWant
from ccengine.media.leg import Leg
from ccengine.media.play import Play, Program, Programs
from ccengine.media.session import Emit
from ccengine.rtp.event import KEYS

_log = logging.getLogger(__name__)
_MAX_TOLD = 1000


class Playing:
    """Starts, stacks and ends plays; queues digits.

    The last play that is loaded is heard, instead of a bridge; when it ends, the one below
    goes on where it had come to.
    """

    def __init__(
        self, legs: Mapping[str, Leg], programs: Programs, clock: Clock, emit: Emit
    ) -> None:
        self._legs = legs
        self._programs = programs
        self._clock = clock
        self._emit = emit
        self._told: set[str] = set()

    def _leg(self, want: PlayWant | DigitsWant) -> Leg:
        leg = self._legs.get(want.leg)
        if leg is None:
            raise MediaError(f"{want.key}: there is no leg {want.leg}", cure="want the leg first")
        return leg

    # --- plays -----------------------------------------------------------------------------

    def want(self, want: PlayWant) -> None:
        """Begin a play, or begin it afresh; :class:`MediaError` when its leg is not there."""
        leg = self._leg(want)
        self.drop(want)
        play = Play(want)
        leg.plays.append(play)
        self._programs.request(
            want,
            leg.want.codec.name,
            self._clock.now(),
            lambda program, error: self._loaded(leg, play, program, error),
        )

    def _complain(self, error: str) -> None:
        """Log what is wrong with a file: once, however many callers should hear it."""
        if error not in self._told and len(self._told) < _MAX_TOLD:
            self._told.add(error)
            _log.error("a prompt cannot be played: %s; calls go on without it", error)

    def _loaded(self, leg: Leg, play: Play, program: Program | None, error: str) -> None:
        if not any(other is play for other in leg.plays):
            return
        if program is None:
            _take_out(leg, play)
            leg.ended[play.want.key] = None
            self._complain(error)
            self._emit(lambda seq: PlayDone(seq, play.want.key, leg.key, error))
            return
        self._programs.hold(program)
        self.save(leg)
        play.program = program
        self.hear(leg)

    def save(self, leg: Leg) -> None:
        """Note where the play that is heard has come to."""
        table, row = leg.group.table, leg.row
        if table.playing[row]:
            play = next(play for play in reversed(leg.plays) if play.program is not None)
            play.at = int(table.play_at[row])

    def hear(self, leg: Leg) -> None:
        """Let a leg hear its last play that is loaded, from where it had come to."""
        group, table, row = leg.group, leg.group.table, leg.row
        for play in reversed(leg.plays):
            program = play.program
            if program is None:
                continue
            size = program.size if play.want.loop else -(-program.size // group.frame) * group.frame
            table.play_start[row] = program.start
            table.play_end[row] = program.start + size
            table.play_loop[row] = play.want.loop
            table.play_at[row] = play.at if play.at >= 0 else program.start
            table.playing[row] = True
            return
        table.playing[row] = False

    def drop(self, want: PlayWant) -> None:
        """End a play without an event."""
        leg = self._legs.get(want.leg)
        if leg is None:
            return
        leg.ended.pop(want.key, None)
        for play in leg.plays:
            if play.want.key == want.key:
                self.save(leg)
                self._release(leg, play)
                self.hear(leg)
                return

    def ended(self, leg: Leg) -> None:
        """Tell of the play that has come to its end; what it covered is heard again."""
        play = next(play for play in reversed(leg.plays) if play.program is not None)
        self._release(leg, play)
        leg.ended[play.want.key] = None
        self.hear(leg)
        self._emit(lambda seq: PlayDone(seq, play.want.key, leg.key))

    def _release(self, leg: Leg, play: Play) -> None:
        _take_out(leg, play)
        if play.program is not None:
            self._programs.release(play.program)

    def change_codec(self, leg: Leg) -> None:
        """Get the plays of a leg again in its new codec; they begin afresh."""
        wants = [play.want for play in leg.plays]
        for play in tuple(leg.plays):
            self._release(leg, play)
        leg.group.table.playing[leg.row] = False
        for want in wants:
            self.want(want)

    def leave(self, leg: Leg) -> list[str]:
        """End everything on a leg that goes away; return the keys of what there was."""
        keys = [play.want.key for play in leg.plays]
        for play in tuple(leg.plays):
            self._release(leg, play)
        keys += [*leg.ended, *(want.key for want in leg.digits)]
        if leg.sending is not None:
            keys.append(leg.sending[0].key)
        return keys

    # --- digits -----------------------------------------------------------------------------

    def want_digits(self, want: DigitsWant) -> None:
        """Queue digits; :class:`MediaError` when the leg cannot send them."""
        leg = self._leg(want)
        if leg.want.event_pt < 0:
            raise MediaError(
                f"{want.key}: leg {want.leg} has negotiated no telephone-event",
                cure="set event_pt of the leg",
            )
        if not want.digits or any(digit.upper() not in KEYS for digit in want.digits):
            raise MediaError(
                f"{want.key}: {want.digits!r} are no DTMF keys", cure="use 0-9, *, # and A-D"
            )
        leg.ended.pop(want.key, None)
        leg.group.keying.cancel(leg, want.key)
        leg.group.keying.send(leg, want)

    def drop_digits(self, want: DigitsWant) -> None:
        """Send no more of some digits."""
        leg = self._legs.get(want.leg)
        if leg is not None:
            leg.ended.pop(want.key, None)
            leg.group.keying.cancel(leg, want.key)

    def digits_sent(self, leg: Leg) -> None:
        """Tell that digits are out."""
        assert leg.sending is not None
        key = leg.sending[0].key
        leg.ended[key] = None
        self._emit(lambda seq: DigitsSent(seq, key, leg.key))


def _take_out(leg: Leg, play: Play) -> None:
    leg.plays = [other for other in leg.plays if other is not play]
