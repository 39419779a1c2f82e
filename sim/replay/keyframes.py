"""Keyframes: the whole state every N ticks, so that a run can start in the middle.

A keyframe follows the record of its tick. It is the tick's state (`sim.engine.codec`), compressed with zstd, in base64.
The decoded state must have the root in the tick's record.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import zstandard

from sim.engine.codec import decode_state, encode_state
from sim.engine.digest import state_digest
from sim.engine.state import WorldState
from sim.errors import Corrupt, WorldError
from sim.replay.format import Keyframe, Tick
from sim.run.simulation import Simulation

EVERY: Final = 100
"""The default number of ticks between keyframes."""
STATE_BYTES_MAX: Final = 256 * 1024 * 1024
"""The most bytes of one state, unpacked."""
LEVEL: Final = 3
"""The compression level, zstd's default; level 19 saves a tenth and takes thirty times as long."""


def keyframe_of(simulation: Simulation) -> Keyframe:
    """Return the keyframe of a simulation that has just finished a tick.

    Raises:
        WorldError: a resource or object cannot be written.
    """
    return Keyframe(t=simulation.world.tick - 1, state=packed(encode_state(simulation.snapshot())))


def packed(state: bytes) -> str:
    """Return the bytes of a state in the form of a keyframe."""
    return base64.b64encode(zstandard.ZstdCompressor(level=LEVEL).compress(state)).decode("ascii")


def unpacked(keyframe: Keyframe) -> bytes:
    """Return the bytes of a keyframe's state.

    Raises:
        Corrupt: the bytes cannot be unpacked, or exceed the limit of a state.
    """
    try:
        data = base64.b64decode(keyframe.state, validate=True)
        size = zstandard.frame_content_size(data)
        if not 0 < size <= STATE_BYTES_MAX:
            raise Corrupt(
                f"the keyframe of tick {keyframe.t} does not say its size, or is over {STATE_BYTES_MAX} bytes"
            )
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=size, allow_extra_data=False)
    except (binascii.Error, ValueError, zstandard.ZstdError) as error:
        raise Corrupt(f"the keyframe of tick {keyframe.t} cannot be unpacked: {error}") from None


def state_of(keyframe: Keyframe, simulation: Simulation) -> WorldState:
    """Return a keyframe's state for a simulation of the same run.

    Raises:
        Corrupt: the keyframe does not hold a state of such a simulation.
    """
    try:
        return decode_state(unpacked(keyframe), simulation.world)
    except WorldError as error:
        raise Corrupt(f"the keyframe of tick {keyframe.t} cannot be used: {error}") from None


def enter(simulation: Simulation, keyframe: Keyframe, record: Tick) -> None:
    """Put a simulation into a keyframe's state, whose root must equal the root in the tick's record.

    Raises:
        Corrupt: the state is not one of this run, or is that of another tick.
    """
    world = simulation.world
    try:
        simulation.restore(state_of(keyframe, simulation))
        after = world.tick
        world.tick = record.t  # the root of a tick is computed while the world is still in that tick
        root = state_digest(world).root
        world.tick = after
    except (WorldError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise Corrupt(f"the keyframe of tick {keyframe.t} cannot be used: {error}") from None
    if root != record.root or after != record.t + 1:
        raise Corrupt(f"the keyframe of tick {keyframe.t} is not the state in the record of that tick")
