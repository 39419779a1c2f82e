"""A divergence as one file for a bug report: verdict, records around it, both states as text, and the replay.

The bytes depend only on this content: they hold no times, host names or paths.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

from sim.engine.state import WorldState
from sim.engine.state_diff import RESOURCE_KEY
from sim.errors import ReplayError
from sim.replay.diagnosis import Evidence, gather_evidence, with_evidence
from sim.replay.format import Header, Keyframe, Tick
from sim.replay.keyframes import state_of
from sim.replay.playback import scenario_of
from sim.replay.reader import Progress, Source, beside, untold
from sim.replay.record import HASH_CHARS, environment, without_places
from sim.replay.recover import cut
from sim.replay.replay_file import ReplayFile, open_replay_file
from sim.replay.verify import Verdict, verify

AROUND: Final = 3
"""The number of ticks before and after the difference whose records are included."""
DUMP_LINES_MAX: Final = 500_000
"""The most lines of one state; the rest is left out."""
REPLAY_BYTES_MAX: Final = 256 * 1024 * 1024
"""The most bytes of the replay up to the difference; a longer one is left out."""

Values = dict[tuple[str, int], Any]
"""The values of a state, by column and key (or place)."""

_README: Final = """\
A run was made again and was not what its replay says. This is what is known of it.

verdict.json            the first difference, its class, and where to look first
header.json             what the run is: scenario, seed, kinds, versions
environment.json        versions, machine and plug-ins, of the recording and of the machine that made this
ticks/recorded-N.json   records of the ticks around the difference
ticks/here-N.json       the tick as it was made again, with hashes after every phase and every changed value
state/before.txt        the state before the tick, a line a value
state/here.txt          the state after the tick as it was made again
state/recorded.txt      the state after the tick as it was recorded, if the replay has the values
state/hashes-*.txt      hashes of all columns after the tick, of both sides
cut.replay.jsonl        the replay up to that tick
data/                   the data files of the run, if it has any: put them beside cut.replay.jsonl

    diff state/recorded.txt state/here.txt       (or hashes-recorded.txt hashes-here.txt)
    tickweave verify cut.replay.jsonl            finds the difference again{plugins}
"""


def bundle(
    source: Source,
    sink: BinaryIO,
    *,
    plugin_files: Sequence[Path] = (),
    with_plugins: bool = False,
    progress: Progress = untold,
) -> Verdict:
    """Verify a replay, write a report on its first difference as a zip file, and return the verdict.

    `with_plugins` also includes the sources of the plug-ins.

    Raises:
        ReplayError: the replay has no tick that differs, or cannot be read.
    """
    verdict = verify(source, plugin_files=plugin_files, progress=progress)
    if verdict.first is None or verdict.first.tick is None:
        why = f" ({verdict.reason})" if verdict.reason else ""
        raise ReplayError(f"there is nothing to bundle: no tick of the replay was found to differ{why}")
    tick = verdict.first.tick
    look = gather_evidence(source, tick, plugin_files, progress)
    verdict = with_evidence(verdict, look)
    with open_replay_file(source, plugin_files) as file:
        files = dict(_texts(file, verdict, look, plugin_files if with_plugins else ()))
        scenario = scenario_of(file.header, beside(source, plugin_files))
        files.update((f"data/{name}", content) for name, content in scenario.data.of(scenario.settings).items())
    replay = io.BytesIO()
    if cut(source, look.recorded.t, replay) <= REPLAY_BYTES_MAX:
        files["cut.replay.jsonl"] = replay.getvalue()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(entry, content)
    return verdict


def _texts(file: ReplayFile, verdict: Verdict, look: Evidence, plugins: Sequence[Path]) -> Iterator[tuple[str, bytes]]:
    header, tick = look.header, look.recorded.t
    hint = " (--plugin plugins/NAME where there are any)" if header.plugins else ""
    yield "README.txt", _README.format(plugins=hint).encode()
    yield "verdict.json", _json(_placeless(asdict(verdict)))
    yield "header.json", _json(header.data())
    here = {"recorded": header.env, "here": environment(), "plugins": header.plugins}
    yield "environment.json", _json({**here, "differs": verdict.first and verdict.first.environment})
    keyframe = None
    for record in file.records(file.place(max(0, tick - AROUND))):
        match record.body:
            case Tick() if record.body.t <= tick + AROUND:
                yield f"ticks/recorded-{record.body.t:08}.json", _json(record.body.data())
            case Tick():
                break
            case Keyframe() if record.body.t == tick:
                keyframe = record.body
    yield "state/before.txt", dump(values_of(look.before))
    yield "state/hashes-recorded.txt", _hashes(header, look.recorded)
    if isinstance(look.here, Tick):
        yield f"ticks/here-{tick:08}.json", _json(look.here.data())
        yield "state/here.txt", dump(values_of(look.after))
        yield "state/hashes-here.txt", _hashes(header, look.here)
    recorded = _recorded(file, look, keyframe)
    if recorded is not None:
        yield "state/recorded.txt", dump(recorded)
    for path in plugins:
        if path.is_file():
            yield f"plugins/{path.name}", path.read_bytes()


def _recorded(file: ReplayFile, look: Evidence, keyframe: Keyframe | None) -> Values | None:
    """Return the recorded state after the tick, from its changes or from a keyframe; None if there is neither."""
    if look.header.detail == "full":
        return changed(values_of(look.before), look.recorded)
    if keyframe is None:
        return None
    with file.at(0) as playback:
        return values_of(state_of(keyframe, playback.simulation))


def values_of(state: WorldState) -> Values:
    """Return every value of a state: columns by agent, resources by place; texts as texts."""
    found: Values = {}
    for label, column in state.columns.items():
        # The last axis is the axis of agents.
        values = state.plain(label, column)
        found.update(((label, int(key)), values[..., row].tolist()) for row, key in enumerate(state.keys.tolist()))
    for name, content in sorted(state.resources.items()):
        for column_name, array in sorted(content.items()):
            label = f"{name}.{column_name}"
            flat = state.plain(label, array).ravel().tolist()
            found.update(((label, place), value) for place, value in enumerate(flat))
    return found


def changed(values: Mapping[tuple[str, int], Any], record: Tick) -> Values:
    """Return the values after a tick, from those before it and the changes that its record has."""
    found = dict(values)
    for label, changes in record.changes.items():
        for key, value in zip(changes.keys, changes.values, strict=True):
            if key == RESOURCE_KEY:
                found = {place: there for place, there in found.items() if place[0] != label}
                whole = value if isinstance(value, list) else []
                found.update(((label, place), each) for place, each in enumerate(whole))
            elif value is None:
                found.pop((label, key), None)
            else:
                found[label, key] = value
    return found


def dump(values: Mapping[tuple[str, int], Any]) -> bytes:
    r"""Write values as text for `diff`: one line per value, `Component.column[key] = value`, in order.

    >>> dump({("Animal.energy", 3): 40, ("Animal.energy", 0): 45})
    b'Animal.energy[0] = 45\nAnimal.energy[3] = 40\n'
    """
    lines = [f"{label}[{key}] = {value}\n" for (label, key), value in sorted(values.items())[:DUMP_LINES_MAX]]
    if len(values) > DUMP_LINES_MAX:
        lines.append(f"({len(values) - DUMP_LINES_MAX} more values are left out)\n")
    return "".join(lines).encode()


def _hashes(header: Header, tick: Tick) -> bytes:
    spans = [tick.columns[at : at + HASH_CHARS] for at in range(0, len(tick.columns), HASH_CHARS)]
    lines = [f"{label} = {value}\n" for label, value in zip(header.columns, spans, strict=False)]
    return "".join([f"root = {tick.root}\n", *lines]).encode()


def _json(value: Any) -> bytes:
    return (json.dumps(value, sort_keys=True, indent=1) + "\n").encode()


def _placeless(value: Any) -> Any:
    """Return plain data without addresses and paths in its texts."""
    match value:
        case str():
            return without_places(value)
        case list() | tuple():
            return [_placeless(each) for each in value]
        case dict():
            return {name: _placeless(each) for name, each in value.items()}
        case _:
            return value
