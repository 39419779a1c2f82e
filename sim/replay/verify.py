"""Proves that a replay is what running it again gives, or names the first thing that is not.

Each tick is run again (`playback`), recorded through the same functions as a live run, and compared with the record in
the order in which a tick happens: inputs, who plans and what they know, plans, random draws, state. So the first
difference found is the nearest to its cause. Lines are read one at a time: whatever stands before a damaged line is
proven first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypedDict

from ai.errors import AIError
from ai.guard import take_escapes
from sim.changes import RESOURCE_KEY, changes
from sim.codec import encode_state
from sim.errors import Corrupt, Incomplete, ScenarioError, SimError, Unsupported
from sim.explain import one_line
from sim.replay.format import HEADER, Body, Changed, End, Header, Keyframe, Tick, canonical
from sim.replay.keyframes import enter, state_of, unpacked
from sim.replay.playback import Playback, objection
from sim.replay.reader import Record, Source, iter_records, open_source
from sim.replay.record import HASH_CHARS, Totals, attempted, planned, run_digest
from sim.replay.segments import Segment, segments, side_by_side
from sim.state import WorldState

Cause = Literal["inputs", "perception", "planner", "random", "effect", "record"]
"""What the nearest cause of a difference is.

`record`: the record disagrees with itself, not with the simulation.
"""


class First(TypedDict):
    """The first difference. What the record cannot name is None."""

    tick: int | None
    phase: str | None
    component: str | None
    key: int | None
    field: str | None
    expected: Any
    actual: Any
    cause: Cause


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying came to.

    `ticks` were proven equal. `first` is there when the verdict is `diverged`; `reason` says the same, or why nothing
    can be said, in one sentence (empty for a match). `escapes` says who went past the guard, and why (`ai.guard`).
    """

    verdict: Literal["match", "diverged", "inconclusive"]
    ticks: int
    first: First | None = None
    reason: str = ""
    escapes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 match, 1 proven divergence, 2 inconclusive."""
        return ("match", "diverged", "inconclusive").index(self.verdict)


def verify(
    source: Source,
    *,
    jobs: int = 1,
    plugin_files: Sequence[Path] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Verdict:
    """Run a replay again and compare every tick; `progress` is told ticks proven and ticks planned.

    With several `jobs` as many processes go through segments between keyframes; the verdict is the same.
    `plugin_files` are the plug-ins that the run's scenario names as files: a replay never runs code by itself.

    Raises:
        ReplayError: there is no such file, or it cannot be opened.
    """
    progress = progress or _no_progress
    try:
        with open_source(source) as stream:
            parts = segments(stream, jobs) if jobs > 1 else [Segment()]
            if len(parts) == 1:
                stream.seek(0)
                proof = prove(stream, parts[0], plugin_files, progress)
                return _judge(proof)
    except (Corrupt, Unsupported) as problem:
        return Verdict("inconclusive", 0, reason=one_line(problem.message))
    whole = Proof()
    with closing(side_by_side(partial(_prove, source, plugin_files), parts, jobs)) as proofs:
        for proof in proofs:
            whole.escapes += proof.escapes
            if proof.verdict is not None:
                whole.verdict = proof.verdict
                break
            whole.totals.merge(proof.totals)
            whole.header, whole.end = proof.header, proof.end
            if whole.header is not None:
                progress(whole.totals.ticks, whole.header.ticks)
    return _judge(whole)


def _no_progress(_done: int, _of: int) -> None:
    """Tell nobody."""


def _prove(source: Source, plugin_files: Sequence[Path], segment: Segment) -> Proof:
    try:
        with open_source(source) as stream:
            return prove(stream, segment, plugin_files, _no_progress)
    except (Corrupt, Unsupported) as problem:
        return Proof(verdict=Verdict("inconclusive", 0, reason=one_line(problem.message)))


@dataclass(slots=True)
class Proof:
    """What going through a segment came to: a verdict if it ended early, the sums of its ticks, and the end record.

    `escapes` are those that were taken on the way.
    """

    verdict: Verdict | None = None
    totals: Totals = field(default_factory=Totals)
    header: Header | None = None
    end: End | None = None
    escapes: tuple[str, ...] = ()


def prove(
    stream: BinaryIO, segment: Segment, plugin_files: Sequence[Path], progress: Callable[[int, int], None]
) -> Proof:
    """Run a segment again and compare every tick."""
    take_escapes()
    verification = _Verification(progress, plugin_files)
    verdict = verification.run(stream, segment)
    return Proof(verdict, verification.totals, verification.header, verification.end, take_escapes())


def _judge(proof: Proof) -> Verdict:
    """Return what a proof comes to, with everyone who escaped named once."""
    return replace(proof.verdict or _conclude(proof), escapes=tuple(dict.fromkeys(proof.escapes)))


def _conclude(proof: Proof) -> Verdict:
    """Hold the end record against the ticks of a run that have all been proven."""
    header, recorded, ticks = proof.header, proof.end, proof.totals.ticks
    assert header is not None
    assert recorded is not None
    again = proof.totals.end(header.ticks, recovered=recorded.reason == "recovered")
    differences = [(name, getattr(recorded, name), getattr(again, name)) for name in End.model_fields]
    if recorded.ticks > header.ticks:
        differences.append(("ticks", recorded.ticks, header.ticks))
    for name, expected, actual in differences:
        if expected != actual:
            first = _first(None, "record", field=f"end.{name}", expected=_data(expected), actual=_data(actual))
            return _diverged(first, ticks, header)
    return Verdict("match", ticks)


class _Verification:
    """One segment of a replay being verified."""

    def __init__(self, progress: Callable[[int, int], None], plugin_files: Sequence[Path]) -> None:
        self._progress = progress
        self._plugin_files = plugin_files
        self._before = 0
        self.totals = Totals()
        self.header: Header | None = None
        self.end: End | None = None
        self._playback: Playback | None = None

    def run(self, stream: BinaryIO, segment: Segment) -> Verdict | None:
        """Go through the records up to the first that ends it; None when they are all proven."""
        try:
            for record in self._records(stream, segment):
                verdict = self._take(record.body)
                if verdict is not None or record.end.offset == segment.stop:
                    return verdict
        except (Incomplete, Corrupt, Unsupported) as problem:
            return self._inconclusive(problem.message)
        finally:
            if self._playback is not None:
                self._playback.close()
        return None

    def _records(self, stream: BinaryIO, segment: Segment) -> Iterator[Record]:
        """Yield the segment's records, past the tick and the keyframe that are entered."""
        if segment.begin is None:
            yield from iter_records(stream)
            return
        assert segment.begin.header is not None
        yield Record(HEADER, segment.begin.header, segment.begin)
        stream.seek(segment.begin.offset)
        records = iter_records(stream, segment.begin)
        tick, keyframe = next(records).body, next(records).body
        assert self._playback is not None
        assert isinstance(tick, Tick)
        assert isinstance(keyframe, Keyframe)
        enter(self._playback.simulation, keyframe, tick)
        self._before = tick.t + 1
        yield from records

    def _take(self, body: Body | None) -> Verdict | None:
        match body:
            case Header():
                return self._begin(body)
            case Tick():
                return self._tick(body)
            case Keyframe():
                return self._keyframe(body)
            case End():
                self.end = body
                return None
            case _:
                return None

    def _begin(self, header: Header) -> Verdict | None:
        if header.run != run_digest(header.scenario, header.seed):
            return self._inconclusive("the header's `run` does not belong to its scenario and seed: it was altered")
        try:
            playback = Playback(header, self._plugin_files)
        except ScenarioError as error:
            return self._inconclusive(str(error))
        except (SimError, AIError) as error:
            return self._inconclusive(f"the run cannot be set up: {error}")
        self.header, self._playback = header, playback
        problem = objection(header, playback.header)
        return None if problem is None else self._inconclusive(problem)

    def _tick(self, recorded: Tick) -> Verdict | None:
        assert self._playback is not None
        assert self.header is not None
        before = self._playback.simulation.snapshot() if self.header.detail == "full" else None
        try:
            again = self._playback.tick(recorded)
        except Unsupported:
            raise  # not a difference: nothing here can read it
        except Exception as error:  # the record says that this tick was made, whatever hinders it now
            problem = f"{type(error).__name__}: {error}"
            first = _first(recorded.t, "effect", expected=recorded.root, actual=one_line(problem))
            return self._diverged(first)
        difference = first_difference(self._playback, self.header, recorded, again, before)
        if difference is not None:
            return self._diverged(difference)
        self.totals.add(again)
        self._progress(self._ticks, self.header.ticks)
        return None

    def _keyframe(self, recorded: Keyframe) -> Verdict | None:
        assert self._playback is not None
        assert self.header is not None
        simulation = self._playback.simulation
        state = simulation.snapshot()
        if unpacked(recorded) == encode_state(state):
            return None
        first = _first(recorded.t, "record", field="keyframe")
        change = next(iter(changes(state, state_of(recorded, simulation))), None)
        if change is not None:
            component, _, field = change.column.partition(".")
            first["component"], first["field"], first["key"] = component, field, change.key
            first["expected"], first["actual"] = change.value, _unchanged(state, component, field, change.key)
        return self._diverged(first)

    @property
    def _ticks(self) -> int:
        return self._before + self.totals.ticks

    def _inconclusive(self, reason: str) -> Verdict:
        return Verdict("inconclusive", self._ticks, reason=one_line(reason))

    def _diverged(self, first: First) -> Verdict:
        assert self.header is not None
        assert self._playback is not None
        now = self._playback.header.plugins
        changed = [name for name, then in self.header.plugins.items() if now.get(name) != then]
        hint = "".join(f"; the plug-in {name!r} has changed since the recording" for name in changed)
        return _diverged(first, self._ticks, self.header, hint)


def _diverged(first: First, ticks: int, header: Header, hint: str = "") -> Verdict:
    if header.detail == "hash" and first["component"] and first["key"] is None:
        hint = f"; a recording with --detail full would name phase, agent and value{hint}"
    return Verdict("diverged", ticks, first, one_line(_sentence(first) + hint))


# -- the first difference ----------------------------------------------------------------------------------------------


def first_difference(
    playback: Playback, header: Header, recorded: Tick, again: Tick, before: WorldState | None
) -> First | None:
    """Return the first difference between a tick's record and its repetition, None if there is none.

    `before` is the state before the tick, for values that one side left unchanged; None at detail `hash`.
    """
    missing = _missing_input(playback, recorded)
    if missing is not None:
        return _first(recorded.t, "inputs", phase="inputs", field="inputs", expected=missing)
    if recorded == again:
        return None
    for search in (_in_inputs, _in_planning, _in_draws):
        first = search(recorded, again)
        if first is not None:
            return _placed(first, header, recorded, again, before) if search is not _in_inputs else first
    place = _in_state(header, recorded, again, before)
    if place is not None:
        return place
    for name in Tick.model_fields:
        expected, actual = getattr(recorded, name), getattr(again, name)
        if expected != actual:
            return _first(recorded.t, "effect", field=name, expected=_data(expected), actual=_data(actual))
    raise AssertionError("two records differ and no field does")


def _missing_input(playback: Playback, recorded: Tick) -> dict[str, Any] | None:
    """Return an input that the scenario has for this tick and the record has not."""
    found = [canonical(item.model_dump(mode="json")) for item in recorded.inputs]
    for timed in playback.timeline.get(recorded.t, ()):
        data = timed.model_dump(mode="json")
        try:
            found.remove(canonical(data))
        except ValueError:
            return data
    return None


def _in_inputs(recorded: Tick, again: Tick) -> First | None:
    for name in ("inputs", "refused"):
        expected, actual = getattr(recorded, name), getattr(again, name)
        if expected != actual:
            return _first(
                recorded.t, "inputs", phase="inputs", field=name, expected=_data(expected), actual=_data(actual)
            )
    return None


def _in_planning(recorded: Tick, again: Tick) -> First | None:
    tick = recorded.t
    if recorded.known != again.known:
        return _first(
            tick, "perception", phase="perception", field="known", expected=recorded.known, actual=again.known
        )
    if recorded.planned != again.planned:
        return _by_key(tick, "planned", planned(recorded), planned(again))
    if recorded.attempts != again.attempts:
        return _by_key(tick, "attempts", _attempts(recorded), _attempts(again))
    if recorded.texts != again.texts:
        texts = {int(key): text for key, text in recorded.texts.items()}
        return _by_key(tick, "texts", texts, {int(key): text for key, text in again.texts.items()})
    for name in ("plan", "plans"):
        expected, actual = getattr(recorded, name), getattr(again, name)
        if expected != actual:
            return _first(tick, "planner", phase="planning", field=name, expected=expected, actual=actual)
    for name in ("shards", "usage", "model", "heard"):
        expected, actual = getattr(recorded, name), getattr(again, name)
        if expected != actual:
            return _first(tick, "record", phase="planning", field=name, expected=_data(expected), actual=_data(actual))
    return None


def _attempts(tick: Tick) -> dict[int, str]:
    """Return each agent's failed attempts as one text."""
    found: dict[int, list[str]] = {}
    for attempt in tick.attempts:
        error = "" if attempt.error is None else f" ({attempt.error})"
        for key in attempted(tick, attempt):
            found.setdefault(key, []).append(f"{attempt.tier}: {attempt.outcome}{error}")
    return {key: "; ".join(texts) for key, texts in found.items()}


def _by_key(tick: int, field: str, expected: Mapping[int, str], actual: Mapping[int, str]) -> First:
    """Name the lowest agent for which two tables differ; none does if they only are written differently."""
    for key in sorted(expected.keys() | actual.keys()):
        if expected.get(key) != actual.get(key):
            return _first(
                tick,
                "planner",
                phase="planning",
                key=key,
                field=field,
                expected=expected.get(key),
                actual=actual.get(key),
            )
    return _first(tick, "record", phase="planning", field=field)


def _in_draws(recorded: Tick, again: Tick) -> First | None:
    for purpose in sorted(recorded.draws.keys() | again.draws.keys()):
        expected, actual = recorded.draws.get(purpose), again.draws.get(purpose)
        if expected != actual:
            return _first(recorded.t, "random", field=f"draws.{purpose}", expected=expected, actual=actual)
    return None


def _placed(first: First, header: Header, recorded: Tick, again: Tick, before: WorldState | None) -> First:
    """Let the difference in state, where the record can name agent and value, stand in for a mere digest or count."""
    if first["key"] is None and first["cause"] in ("planner", "random"):
        place = _in_state(header, recorded, again, before)
        if place is not None and place["key"] is not None:
            place["cause"] = first["cause"]
            return place
    return first


def _in_state(header: Header, recorded: Tick, again: Tick, before: WorldState | None) -> First | None:
    """Return where the state differs, as exactly as the record can say; None if it does not.

    At detail `full` the first phase whose hashes differ names phase and component; key and values are those after the
    tick. At detail `hash` the component's first column that differs is named, with its hashes.
    """
    phase, component, *hashes = _phase(header, recorded, again)
    labels = list(_columns(header, recorded, again))
    if component is None and phase is None:
        components = [label.partition(".")[0] for label in labels]
        there, here = _by_component(header, recorded), _by_component(header, again)
        names = [*components, *header.components]
        component = next((name for name in names if name in components or there.get(name) != here.get(name)), None)
        hashes = [there.get(component or ""), here.get(component or "")]
    if component is None:
        if phase is None and recorded.root == again.root:
            return None
        hashes = hashes if phase is not None else [recorded.root, again.root]
        return _first(recorded.t, "effect", phase=phase, field="root", expected=hashes[0], actual=hashes[1])
    first = _first(recorded.t, "effect", phase=phase, component=component, expected=hashes[0], actual=hashes[1])
    own = [label for label in labels if label.partition(".")[0] == component]
    if own:
        first["field"] = own[0].partition(".")[2]
        span = _span(header.columns.index(own[0]))
        first["expected"], first["actual"] = recorded.columns[span], again.columns[span]
    value = _value(header, recorded, again, before, component)
    if value is not None:
        first["field"], first["key"], first["expected"], first["actual"] = value
    return first


def _phase(header: Header, recorded: Tick, again: Tick) -> tuple[str | None, str | None, str | None, str | None]:
    """Return the first phase after which the state differs, the component that does, and both hashes."""
    before: dict[str, str] = {}
    for expected, actual in zip(recorded.phases, again.phases, strict=False):
        if expected != actual:
            there, here = before | expected.state, before | actual.state
            for name in [*header.components, *sorted(there.keys() | here.keys())]:
                if there.get(name) != here.get(name):
                    return expected.phase, name, there.get(name), here.get(name)
            return expected.phase, None, expected.root, actual.root
        before |= expected.state
    return None, None, None, None


def _columns(header: Header, recorded: Tick, again: Tick) -> Iterator[str]:
    """Yield the columns whose hashes differ, in order."""
    for place, label in enumerate(header.columns):
        if recorded.columns[_span(place)] != again.columns[_span(place)]:
            yield label


def _by_component(header: Header, tick: Tick) -> dict[str, str]:
    return {name: tick.state[_span(place)] for place, name in enumerate(header.components)}


def _span(place: int) -> slice:
    return slice(place * HASH_CHARS, (place + 1) * HASH_CHARS)


def _value(
    header: Header, recorded: Tick, again: Tick, before: WorldState | None, component: str
) -> tuple[str, int, Any, Any] | None:
    """Return field, key and both values of the first value of a component that differs after the tick."""
    for label in header.columns:
        owner, _, field = label.partition(".")
        if owner != component:
            continue
        expected, actual = _values(recorded.changes.get(label)), _values(again.changes.get(label))
        for key in sorted(expected.keys() | actual.keys()):
            unchanged = _unchanged(before, owner, field, key)
            there, here = expected.get(key, unchanged), actual.get(key, unchanged)
            if there != here:
                return field, key, there, here
    return None


def _values(changed: Changed | None) -> dict[int, Any]:
    return {} if changed is None else dict(zip(changed.keys, changed.values, strict=True))


def _unchanged(before: WorldState | None, component: str, field: str, key: int) -> Any:
    """Return a value as it was before the tick; None if it was not there."""
    if before is None or key == RESOURCE_KEY:
        return None
    if component in before.resources:
        content = before.resources[component][field].ravel()
        return int(content[key]) if key < content.size else None
    rows = (before.keys == key).nonzero()[0]
    if not len(rows):
        return None
    values = before.columns[f"{component}.{field}"][..., rows[0]]
    return int(values) if values.ndim == 0 else [int(value) for value in values.ravel()]


def _first(
    tick: int | None,
    cause: Cause,
    *,
    phase: str | None = None,
    component: str | None = None,
    key: int | None = None,
    field: str | None = None,
    expected: Any = None,
    actual: Any = None,
) -> First:
    return First(
        tick=tick,
        phase=phase,
        component=component,
        key=key,
        field=field,
        expected=expected,
        actual=actual,
        cause=cause,
    )


def _data(value: Any) -> Any:
    """Return a field's value as plain data."""
    if isinstance(value, list):
        return [_data(item) for item in value]
    if isinstance(value, dict):
        return {key: _data(item) for key, item in value.items()}
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def _sentence(first: First) -> str:
    """Say the first difference."""
    where = "the end record" if first["tick"] is None else f"tick {first['tick']}"
    if first["phase"] is not None:
        where += f", {first['phase']}"
    what = ".".join(part for part in (first["component"], first["field"]) if part) or "the run"
    if first["key"] is not None:
        what += f" of {first['key']}"
    return f"{where}: {what} is {first['actual']!r}, recorded {first['expected']!r} (cause: {first['cause']})"
