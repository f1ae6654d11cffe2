"""What comes out of the jitter buffers: into recordings, and through the mixer to listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ccengine.dsp import g711

if TYPE_CHECKING:
    from ccengine.media.group import Group

Index = NDArray[np.intp]

# Each frame that is missing repeats the last one at this share of its level.
_FADE: Final = 0.5
_FADED_AWAY: Final = 0.1


class Concealment:
    """Fills missing frames by the last good one, fading: about 60 ms, then silence."""

    def __init__(self, capacity: int, frame: int) -> None:
        self.last = np.zeros((capacity, frame), np.int16)
        self.level = np.zeros(capacity, np.float32)

    def apply(self, rows: Index, pcm: NDArray[np.int16], have: NDArray[np.bool_]) -> None:
        """Complete ``pcm`` i2[M, S] of ``rows`` in place where ``have`` is False."""
        if have.all():
            self.last[rows] = pcm
            self.level[rows] = 1
            return
        good, bad = np.flatnonzero(have), np.flatnonzero(~have)
        self.last[rows[good]] = pcm[good]
        self.level[rows[good]] = 1
        missing = rows[bad]
        level = self.level[missing] * np.float32(_FADE)
        level[level < _FADED_AWAY] = 0
        self.level[missing] = level
        pcm[bad] = self.last[missing] * level[:, np.newaxis]


class RoomClass:
    """All rooms of one size: their members' places among the mixed rows, u[R, size]."""

    def __init__(self, places: list[list[int]]) -> None:
        self.places: Index = np.array(places, np.intp)

    def mix(self, pcm: NDArray[np.int16], out: NDArray[np.int16]) -> None:
        """Give every member the sum of the others (mix-minus), limited to 16 bits."""
        voices = pcm[self.places].astype(np.int32)
        total = voices.sum(axis=1, keepdims=True)
        np.subtract(total, voices, out=voices)
        np.clip(voices, -32768, 32767, out=voices)
        out[self.places] = voices


class Playout:
    """The second half of a group's tick: one frame out of each jitter buffer in use.

    The lists of rows are made again after each change of legs or bridges (``dirty``).
    """

    def __init__(self, group: Group) -> None:
        self.group = group
        self.dirty = True
        self.concealment = Concealment(group.capacity, group.frame)
        self._rows: Index = np.zeros(0, np.intp)
        self._recorded: Index = self._rows
        self._channels: Index = self._rows
        self._mixed: Index = self._rows
        self._mixed_rows: Index = self._rows
        self._laws: list[tuple[str, Index]] = []
        self._classes: list[RoomClass] = []
        self._special: list[tuple[Index, NDArray[np.float32]]] = []
        self._scratch(0)

    def _scratch(self, size: int) -> None:
        frame = self.group.frame
        self._bytes = np.zeros((size, frame), np.uint8)
        self._have = np.zeros(size, np.bool_)
        self._pcm = np.zeros((size, frame), np.int16)
        self._out = np.zeros((size, frame), np.int16)

    def resize(self, capacity: int) -> None:
        """Make room for more legs."""
        old = self.concealment
        self.concealment = Concealment(capacity, self.group.frame)
        self.concealment.last[: len(old.last)] = old.last
        self.concealment.level[: len(old.level)] = old.level
        self.dirty = True

    def move(self, source: Playout, source_row: int, row: int) -> None:
        """Copy a leg's state of ``source`` (or of this one) to ``row``."""
        if source.group.frame == self.group.frame:
            self.concealment.last[row] = source.concealment.last[source_row]
        self.concealment.level[row] = 0

    # --- what there is to do ---------------------------------------------------------------

    def _index(self) -> None:
        group, count = self.group, self.group.count
        table = group.table
        recorded = table.channel[:count] >= 0
        mixed = table.mixed[:count]
        table.buffered[:count] = recorded | mixed
        self._rows = np.flatnonzero(table.buffered[:count])
        if len(self._rows) > len(self._bytes):
            self._scratch(2 * len(self._rows))
        self._recorded = np.flatnonzero(recorded[self._rows])
        self._channels = table.channel[self._rows[self._recorded]]
        self._mixed = np.flatnonzero(mixed[self._rows])
        self._mixed_rows = self._rows[self._mixed]
        alaw = table.alaw[self._mixed_rows]
        self._laws = [
            (law, places)
            for law, places in (
                (g711.ULAW, np.flatnonzero(~alaw)),
                (g711.ALAW, np.flatnonzero(alaw)),
            )
            if len(places)
        ]
        self._index_rooms()
        self.dirty = False

    def _index_rooms(self) -> None:
        place_of = {row: place for place, row in enumerate(self._mixed_rows.tolist())}
        sizes: dict[int, list[list[int]]] = {}
        self._special = []
        for bridge in self.group.rooms.values():
            places = [place_of[leg.row] for leg in bridge.legs]
            matrix = bridge.gain_matrix()
            if matrix is not None:
                self._special.append((np.array(places, np.intp), matrix))
            elif places:
                sizes.setdefault(len(places), []).append(places)
        self._classes = [RoomClass(places) for places in sizes.values()]

    # --- the tick ----------------------------------------------------------------------------

    def visit(self, visit: int) -> None:
        """Take one frame of every buffered leg; record it, mix it, send the mixes."""
        if self.dirty:
            self._index()
        count = len(self._rows)
        if not count:
            return
        payload, have = self._bytes[:count], self._have[:count]
        self.group.jitter.get(self._rows, payload, have)
        if len(self._mixed):
            self._mix(payload[self._mixed], have[self._mixed], visit)
        if len(self._recorded) == count:
            self.group.rig.writer.put(self._channels, payload, have)
        elif len(self._recorded):
            chosen = self._recorded
            self.group.rig.writer.put(self._channels, payload[chosen], have[chosen])

    def _mix(self, payload: NDArray[np.uint8], have: NDArray[np.bool_], visit: int) -> None:
        rows, m = self._mixed_rows, len(payload)
        pcm, out = self._pcm[:m], self._out[:m]
        if len(self._laws) == 1:
            g711.decode(self._laws[0][0], payload, pcm)
        else:
            for law, places in self._laws:
                pcm[places] = g711.DECODE[law][payload[places]]
        self.concealment.apply(rows, pcm, have)
        for rooms in self._classes:
            rooms.mix(pcm, out)
        for places, matrix in self._special:
            mixed = matrix @ pcm[places].astype(np.float32)
            out[places] = np.clip(np.rint(mixed), -32768, 32767)
        self._send(rows, out, payload, visit)

    def _send(
        self, rows: Index, out: NDArray[np.int16], payload: NDArray[np.uint8], visit: int
    ) -> None:
        """Encode each listener's mix and send it where nothing else is heard."""
        group, table = self.group, self.group.table
        for law, places in self._laws:
            if len(places) == len(rows):
                g711.encode(law, out, payload)
            else:
                payload[places] = g711.ENCODE[law][out[places].view(np.uint16)]
        silent = ~table.can_send[rows] | table.playing[rows] | table.keying[rows]
        items = payload.view(group.tx_payload.dtype)[:, 0]
        if silent.any():
            rows, items = rows[~silent], items[~silent]
        if not len(rows):
            return
        group.tx_payload[rows] = items
        group.stamp(rows, visit)
        group.send(rows)
