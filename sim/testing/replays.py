"""Golden replays: proving one, and recording it again when what it shows was changed on purpose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from ai.errors import AIError
from sim.errors import ReplayError, SimError
from sim.messages import one_line, shown
from sim.replay import Replay, read, rerecord, verify
from sim.replay.format import Tick
from sim.replay.playback import NOTHING_RECORDED
from sim.replay.record import attempted
from sim.run.writing import whole

UPDATE: Final = "--update-replays"
"""The option of pytest that allows a golden replay to be replaced."""
_COMPARED: Final = (
    "inputs",
    "known",
    "planned",
    "arrived",
    "begun",
    "outdated",
    "asked",
    "bridged",
    "held",
    "plan",
    "texts",
    "attempts",
    "draws",
    "root",
    "outcome",
)
"""The parts of a tick that are counted when they differ, in the order in which a tick happens."""


def verify_golden(
    path: Path, plugin_files: Sequence[Path] = (), *, update: bool = False, tell: Callable[[str], None] = print
) -> None:
    """Assert that a replay, run again, is the same; with `update`, replace one that is not by what it would be now.

    `tell` receives the changes before anything is written. A file that is corrupt, incomplete or packed is never
    replaced, nor is one whose model would have to be asked something new.

    Args:
        path: the replay.
        plugin_files: where the plug-ins are that its scenario names as files.
        update: whether it may be replaced.
        tell: receives each line about the changes.

    Raises:
        AssertionError: it is not the same and may not, or cannot, be replaced; nothing was written.
    """
    name = shown(str(path))
    try:
        verdict = verify(path, plugin_files=plugin_files)
        if verdict.verdict == "match":
            return
        recorded = read(path)
    except ReplayError as error:
        raise AssertionError(f"{name}: {error}; nothing was written") from None
    if not update:
        raise AssertionError(f"{name}: {verdict.reason}; if that is intended, look at it with `pytest {UPDATE}`")
    if path.suffix == ".zst":
        raise AssertionError(f"{name}: {verdict.reason}; a packed replay is not replaced: unpack it first")
    content, again = _recorded_again(name, recorded, plugin_files)
    tell(f"{name}: {verdict.reason}")
    for line in changes(recorded, again):
        tell(f"  {line}")
    with whole(path, replace=True) as file:
        file.write(content)


def _recorded_again(name: str, recorded: Replay, plugin_files: Sequence[Path]) -> tuple[bytes, Replay]:
    """Record a replay again from its inputs and model replies.

    Raises:
        AssertionError: they do not suffice.
    """
    try:
        content = rerecord(recorded, plugin_files)
    except (SimError, AIError) as error:
        raise AssertionError(one_line(f"{name}: it cannot be run any more: {error}; record it again")) from error
    again = read(content)
    for then, now in zip(recorded.ticks, again.ticks, strict=False):
        if _unanswered(now) > _unanswered(then):
            raise AssertionError(f"{name}: a model would now be asked other agents in tick {now.t}; record it again")
    assert recorded.end is not None
    assert again.end is not None
    if again.end.reason == "interrupted" and recorded.end.reason in ("decided", "limit"):
        raise AssertionError(
            f"{name}: the run does not end any more after tick {len(again.ticks) - 1}; record it again"
        )
    return content, again


def _unanswered(tick: Tick) -> int:
    return sum(len(attempted(tick, attempt)) for attempt in tick.attempts if attempt.error == NOTHING_RECORDED)


def changes(recorded: Replay, again: Replay) -> Iterable[str]:
    """Yield lines that count the changes of a replay: ticks by their differences, plans by tier, the end."""
    assert recorded.end is not None
    assert again.end is not None
    pairs = list(zip(recorded.ticks, again.ticks, strict=False))
    differing = Counter(name for then, now in pairs for name in _COMPARED if getattr(then, name) != getattr(now, name))
    some = sum(then != now for then, now in pairs)
    counts = ", ".join(f"{name} in {differing[name]}" for name in _COMPARED if differing[name])
    yield f"{some} of {len(pairs)} ticks differ" + (f": {counts}" if counts else "")
    then, now = recorded.end, again.end
    for tier in sorted(then.plans.keys() | now.plans.keys()):
        if then.plans.get(tier, 0) != now.plans.get(tier, 0):
            yield f"plans by {tier}: {then.plans.get(tier, 0)} become {now.plans.get(tier, 0)}"
    for name in ("ticks", "outcome", "root"):
        if getattr(then, name) != getattr(now, name):
            yield f"{name}: {getattr(then, name)} becomes {getattr(now, name)}"
