"""Bridges: who hears whom, as wanted and as it can be done with the legs that are there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ccengine.media.control import BridgeWant

if TYPE_CHECKING:
    from ccengine.media.leg import Leg


@dataclass(slots=True)
class Bridge:
    """A wanted bridge and those of its legs that exist.

    ``plain`` bridges pass packets on; the others are mixed.
    """

    want: BridgeWant
    legs: list[Leg] = field(default_factory=list)
    plain: bool = False

    def is_plain(self) -> bool:
        """Return whether two legs of one codec simply hear each other."""
        if len(self.legs) != 2 or len(self.want.legs) != 2:
            return False
        first, second = self.legs
        same = first.want.codec.name == second.want.codec.name
        return same and all(gain == 1.0 for _, _, gain in self.want.gains)

    def gain_matrix(self) -> NDArray[np.float32] | None:
        """Return f4[listener, speaker] over ``legs``, None when it is that of a mix-minus."""
        place = {leg.key: index for index, leg in enumerate(self.legs)}
        special = [
            (place[listener], place[speaker], gain)
            for listener, speaker, gain in self.want.gains
            if listener in place and speaker in place and listener != speaker
        ]
        if all(gain == 1.0 for _, _, gain in special):
            return None
        matrix = np.ones((len(self.legs), len(self.legs)), np.float32)
        np.fill_diagonal(matrix, 0)
        for listener, speaker, gain in special:
            matrix[listener, speaker] = gain
        return matrix
