"""The second pass over a replay that differs: is it the code, the machine or the file, and where to look first.

Up to the tick that differs, the run is made again several times side by side: twice in this process, once from a
keyframe, and in other processes with other hash seeds and another allocator. Where these differ among themselves the
code depends on more than scenario, seed and inputs, and the place where they part is named. Where they agree, the
recording was made by other code or elsewhere, or was altered.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ai.interpreters import interpreter
from sim.engine.state import WorldState
from sim.errors import Unsupported
from sim.messages import one_line
from sim.replay.divergence import Divergence, Instability, describe, first_difference, phases_of
from sim.replay.format import Header, Tick
from sim.replay.playback import Playback
from sim.replay.reader import Progress, Source, beside, untold
from sim.replay.record import HASH_CHARS
from sim.replay.replay_file import ReplayFile, open_replay_file
from sim.replay.verify import Verdict

TICKS_MAX: Final = 2_000
"""Ticks that are made again; in a longer replay they begin at a keyframe, if there is one."""
PROCESSES: Final = (
    ("in another process with another hash seed", {"PYTHONHASHSEED": "4242"}),
    (
        "in another process with another hash seed and memory in other places",
        {"PYTHONHASHSEED": "7", "PYTHONMALLOC": "malloc"},
    ),
)
"""Other processes, and the differences of each."""
VALUE_CHARS_MAX: Final = 80
"""How much of a value is shown."""
_CODE: Final = ("perception", "planner", "random", "effect")

Made = Tick | str
"""A tick that was made again, at detail `full`, or the error that it ended with."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The findings of running again up to the difference.

    Attributes:
        header: the header of the replay.
        begin: the first tick that was made again.
        previous: the record before the last tick.
        recorded: the record of the last tick.
        here: that tick as it was made in the first run.
        before: the state before it.
        after: the state after it.
        again: where the runs differ from each other; None if they do not.
        homes: where the code of each phase stands.
    """

    header: Header
    begin: int
    previous: Tick | None
    recorded: Tick
    here: Made
    before: WorldState
    after: WorldState
    again: Instability | None
    homes: Mapping[str, str]


def diagnose(
    source: Source,
    verdict: Verdict,
    plugin_files: Sequence[Path] = (),
    progress: Progress = untold,
) -> Verdict:
    """Return a verdict with the findings of a second pass about its first difference; one without a tick as it is.

    Raises:
        ReplayError: the file cannot be read a second time.
    """
    first = verdict.first
    if first is None:
        return verdict
    unasked = first.tick is None or first.cause in ("inputs", "file")
    return with_evidence(verdict, None if unasked else gather_evidence(source, first.tick or 0, plugin_files, progress))


def with_evidence(verdict: Verdict, look: Evidence | None) -> Verdict:
    """Return a verdict that has a first difference with the findings of a second pass, if there was one."""
    assert verdict.first is not None
    first = copy(verdict.first)
    if look is not None:
        parted = look.again or _vanished(look, first)
        first.stable, first.again = parted is None, parted
        if first.component is not None and isinstance(look.here, Tick):
            first.written_by = _writers(look, look.here, first.component)
        if parted is None and first.cause in _CODE and first.environment:
            first.cause = "environment"
    reason = verdict.reason.replace(describe(verdict.first.cause), describe(first.cause))
    return replace(verdict, first=first, cause=first.cause, reason=reason, details=tuple(_lines(first, look)))


def gather_evidence(
    source: Source, tick: int, plugin_files: Sequence[Path] = (), progress: Progress = untold
) -> Evidence:
    """Make a replay's ticks again up to one, several times side by side.

    Raises:
        ReplayError: the file cannot be read.
    """
    plugin_files = beside(source, plugin_files)
    with ExitStack() as stack:
        path = stack.enter_context(_path_of(source))
        file = stack.enter_context(open_replay_file(path, plugin_files))
        every = file.header.keyframes
        begin = (tick - TICKS_MAX) // every * every if every and tick > TICKS_MAX else 0
        header = file.header
        one = stack.enter_context(closing(run(file, begin, tick)))
        others: list[tuple[str, Iterator[tuple[int, Made]]]] = []
        second = stack.enter_context(open_replay_file(path, plugin_files))
        others.append(("in the same process", _only_made(stack.enter_context(closing(run(second, begin, tick))))))
        if every and (nearest := tick // every * every) > begin:
            third = stack.enter_context(open_replay_file(path, plugin_files))
            entered = stack.enter_context(closing(run(third, nearest, tick)))
            others.append((f"from the keyframe of tick {nearest - 1}", _only_made(entered)))
        for how, environment in PROCESSES:
            child = stack.enter_context(_other_process(path, begin, tick, plugin_files, environment))
            others.append((how, child))
        return _compared(header, one, others, tick, progress, *_homes(header, plugin_files))


def _compared(
    header: Header,
    one: Iterator[tuple[WorldState, Tick, Made, WorldState]],
    others: list[tuple[str, Iterator[tuple[int, Made]]]],
    tick: int,
    progress: Progress,
    homes: Mapping[str, str],
    phases: Mapping[str, str],
) -> Evidence:
    """Compare every tick of one run with those of the others, up to the first that differs and to the last."""
    again: Instability | None = None
    begin: int | None = None
    previous: Tick | None = None
    waiting: dict[str, tuple[int, Made] | None] = {}
    for before, recorded, here, after in one:
        begin = recorded.t if begin is None else begin
        for how, other in others if again is None else ():
            made = waiting[how] if how in waiting else next(other, None)
            waiting[how] = made
            if made is None or made[0] > recorded.t:
                continue  # it has ended, or begins later
            del waiting[how]
            again = _parting(header, how, recorded.t, here, made[1], before, phases)
            if again is not None:
                break
        progress(recorded.t + 1, tick + 1)
        if recorded.t == tick or isinstance(here, str):
            return Evidence(header, begin, previous, recorded, here, before, after, again, homes)
        previous = recorded
    raise Unsupported(f"tick {tick} cannot be reached a second time")


def _parting(
    header: Header, how: str, tick: int, one: Made, other: Made, before: WorldState, phases: Mapping[str, str]
) -> Instability | None:
    if isinstance(one, str) or isinstance(other, str):
        if one == other:
            return None
        told = ["a whole tick" if isinstance(made, Tick) else made for made in (one, other)]
        return Instability(how, tick, one=told[0], other=told[1])
    first = first_difference(header.model_copy(update={"detail": "full"}), one, other, before, phases=phases)
    if first is None:
        return None
    place = first.phase, first.component, first.key, first.field
    return Instability(how, tick, *place, one=first.expected, other=first.actual)


# -- runs --------------------------------------------------------------------------------------------------------------


def run(file: ReplayFile, begin: int, tick: int) -> Generator[tuple[WorldState, Tick, Made, WorldState], None, None]:
    """Make ticks again at detail `full`; yields the state before, the record, the tick made, and the state after."""
    file.header = file.header.model_copy(update={"detail": "full"})
    with file.at(begin) as playback:
        for record in file.records(file.place(begin)):
            if not isinstance(record.body, Tick):
                continue
            before = playback.simulation.snapshot()
            made = again(playback, record.body)
            yield before, record.body, made, playback.simulation.snapshot()
            if record.body.t == tick or isinstance(made, str):
                return


def _only_made(run: Iterator[tuple[WorldState, Tick, Made, WorldState]]) -> Iterator[tuple[int, Made]]:
    for _before, record, made, _after in run:
        yield record.t, made


def again(playback: Playback, record: Tick) -> Made:
    """Make one tick again, or say with which error it ended."""
    try:
        return playback.tick(record)
    except Exception as error:
        return one_line(f"{type(error).__name__}: {error}")


@contextmanager
def _other_process(
    path: Path, begin: int, tick: int, plugin_files: Sequence[Path], environment: dict[str, str]
) -> Iterator[Iterator[tuple[int, Made]]]:
    """Make the same ticks in another process, which starts at once; one that cannot do so yields less."""
    asked = {"file": str(path), "begin": begin, "tick": tick, "plugins": [str(plugin) for plugin in plugin_files]}
    with interpreter("sim.replay.rerun_child", asked, environment) as process:
        assert process.stdout is not None
        try:
            yield _said(process.stdout)
        finally:
            process.kill()


def _said(lines: Iterable[str]) -> Iterator[tuple[int, Made]]:
    """Read what another process makes."""
    for line in lines:
        try:
            number, made = json.loads(line)
            yield number, made if isinstance(made, str) else Tick.model_validate(made)
        except (ValueError, TypeError):
            return


@contextmanager
def _path_of(source: Source) -> Iterator[Path]:
    if not isinstance(source, bytes):
        yield Path(source)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.replay.jsonl")
        path.write_bytes(source)
        yield path


def _homes(header: Header, plugin_files: Sequence[Path]) -> tuple[dict[str, str], dict[str, str]]:
    """Say for each phase where its code is: the local file as the scenario names it, or the module; and `phases_of`."""
    with Playback(header, plugin_files) as playback:
        simulation = playback.simulation
        loaded = simulation.scenario.loaded
        # A local file has a new module each time it is loaded, with a name that means nothing to people.
        local = {} if loaded.folder is None else {loaded.kind.__module__: loaded.name}
        brought = {kind: f"plug-in {plugin.name}" for plugin in playback.plugins for kind in plugin.systems}
        systems = simulation.world.systems
        kinds = {system.name: type(system) for system in systems}
    homes = {name: brought.get(kind) or local.get(kind.__module__, kind.__module__) for name, kind in kinds.items()}
    return homes, phases_of(systems)


# -- what it means -----------------------------------------------------------------------------------------------------


def _vanished(look: Evidence, first: Divergence) -> Instability | None:
    """Return the first difference as one between two runs here, if it is not there any more."""
    if isinstance(look.here, str) or look.recorded.t != first.tick:
        return None
    here = look.here
    if look.header.detail == "hash":
        here = here.model_copy(update={"phases": [], "changes": {}})
    if here != look.recorded:
        return None
    place = first.phase, first.component, first.key, first.field
    return Instability("a second time", look.recorded.t, *place, one=first.actual, other=first.expected)


def _writers(look: Evidence, here: Tick, component: str) -> list[str]:
    """Return the phases of the last tick that write a component here."""
    opening, *rest = here.phases
    found = [phase.phase for phase in rest if component in phase.components]
    if look.previous is None or component not in look.header.components:
        return found
    place = look.header.components.index(component) * HASH_CHARS
    started = look.previous.components[place : place + HASH_CHARS]
    return found if opening.components[component].startswith(started) else [opening.phase, *found]


_AGREED: Final = {
    "inputs": "inputs",
    "known": "what the planned agents knew",
    "plans": "plans",
    "draws": "random draws",
}
_LOOK_AT: Final = {
    "inputs": "the inputs of that tick: one was added, left out or changed",
    "perception": "perception: the values that `observe` gives to agents",
    "planner": "the tier that planned in that tick: the same knowledge now gives another plan",
    "random": "the code that draws for that purpose: it draws more or less often than it did",
    "effect": "changes to these phases since the recording: plans and draws are the same, their effect is not",
    "file": "the file: it disagrees with itself, so it was altered, or its writer is at fault",
    "environment": "the differences of the environment: in the recorded one the run should match",
}  # fmt: skip


def _lines(first: Divergence, look: Evidence | None) -> Iterator[str]:
    """Yield the findings about a difference, except its place and values, line by line, and where to look first."""
    if first.draws:
        counts = (f"{name} {here} (recorded {there})" for name, (there, here) in first.draws.items())
        yield f"random draws that differ: {', '.join(counts)}"
    if first.agreed:
        yield f"the same on both sides in that tick: {', '.join(_AGREED[name] for name in first.agreed)}"
    homes = {} if look is None else look.homes
    if first.written_by:
        writers = ", ".join(_at_home(name, homes) for name in first.written_by)
        yield f"here {first.component} is written in that tick by: {writers}"
    if look is not None:
        yield _stability(look, first.again)
        yield _environment(first)
    yield f"look first at: {_advice(first, homes)}"


def _stability(look: Evidence, parted: Instability | None) -> str:
    if parted is None:
        since = "from the beginning" if look.begin == 0 else f"from the keyframe before tick {look.begin}"
        return (
            f"made again several times {since}, also in other processes, it is always as here: "
            "so it was recorded by other code or elsewhere, or the file was altered"
        )
    what = ".".join(part for part in (parted.component, parted.field) if part) or "the run"
    whose = "place" if parted.component in look.before.resources else "agent"
    what += "" if parted.key is None else f" of {whose} {parted.key}"
    where = f"tick {parted.tick}" + (f", phase {parted.phase!r}" if parted.phase else "")
    return (
        f"made again {parted.how}, it is not the same: {where}: {what} is {_short(parted.one)} "
        f"one time and {_short(parted.other)} the other"
    )


def _environment(first: Divergence) -> str:
    if not first.environment:
        return (
            "environment: packages, machine and plug-ins are the recorded ones; variables, files of data and modules "
            "that they read are not recorded"
        )
    pairs = (f"{name} is {here} (recorded {there})" for name, (there, here) in first.environment.items())
    return f"environment: {', '.join(pairs)}"


def _at_home(phase: str, homes: Mapping[str, str]) -> str:
    return f"{phase!r} ({homes[phase]})" if phase in homes else repr(phase)


def _advice(first: Divergence, homes: Mapping[str, str]) -> str:
    parted = first.again
    if parted is None:
        advice = _LOOK_AT[first.cause]
        changed = [name for name in first.environment if name.startswith("plug-in ")]
        return f"the {', '.join(changed)}: its source has changed" if changed else advice
    where = f"what {_at_home(parted.phase, homes)} does" if parted.phase else "what happens there"
    if "keyframe" in parted.how:
        why = "it rests on state that no component holds: an attribute of a system or planner, a shared generator"
    elif "memory" in parted.how:
        why = "it rests on addresses or on the order of a set: id(), sets, hash()"
    elif "hash seed" in parted.how:
        why = "it rests on the order of a set or on hash()"
    else:
        why = "it rests on more than scenario, seed and inputs: a clock, a generator, addresses"
    return f"{where}: {why}; `tickweave doctor` examines the scenario"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]} ..."
