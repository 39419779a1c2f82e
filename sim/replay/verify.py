"""Proves that a replay is what running it again gives, or names the first thing that is not.

Each tick is run again (`playback`), recorded through the same functions as a live run, and compared with the record in
the order in which a tick happens: inputs, the agents that plan and their knowledge, plans, random draws, state. So the
first difference found is the nearest to its cause. Lines are read one at a time: all lines before a damaged one are
proven first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal

from ai.errors import AIError
from ai.guard import take_escapes
from sim.engine.codec import encode_state
from sim.engine.state_diff import changes, value_of
from sim.errors import Corrupt, Incomplete, MachineError, ScenarioError, SimError, Unsupported, WorkerError
from sim.messages import one_line
from sim.replay.divergence import Cause, Divergence, differing, first_difference, phases_of, sentence_of
from sim.replay.format import HEADER, Body, End, Header, Keyframe, Tick, plain
from sim.replay.keyframes import enter, state_of, unpacked
from sim.replay.playback import Playback, objection
from sim.replay.reader import Progress, Record, Source, beside, iter_records, open_source, untold
from sim.replay.record import Totals, run_digest
from sim.replay.segments import Segment, segments
from sim.run.faults import fault_of, trouble_of
from sim.run.workers import Stopwatch, parallel_map, pays


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of verifying.

    `ticks` were proven equal. `first` is there when the verdict is `diverged`, or when a tick could not be made again
    because code failed in it, which proves nothing; `reason` says the same, or why nothing can be said, in one
    sentence (empty for a match). `escapes` says which code went past the guard, and why (`ai.guard`).
    `cause` is the class of what keeps it from matching: that of `first`, or `file` or `environment`. `details` are
    what a second pass found (`sim.replay.diagnosis`), line by line.
    """

    verdict: Literal["match", "diverged", "inconclusive"]
    ticks: int
    first: Divergence | None = None
    reason: str = ""
    escapes: tuple[str, ...] = ()
    cause: Cause | None = None
    details: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 match, 1 proven divergence, 2 inconclusive."""
        return ("match", "diverged", "inconclusive").index(self.verdict)


def verify(
    source: Source,
    *,
    jobs: int = 1,
    plugin_files: Sequence[Path] = (),
    progress: Progress = untold,
) -> Verdict:
    """Run a replay again and compare every tick; `progress` receives ticks proven and ticks planned.

    With several `jobs` as many processes go through segments between keyframes; the verdict is the same.
    `plugin_files` are the plug-ins that the run's scenario names as files: a replay never runs code by itself.

    Raises:
        ReplayError: there is no such file, or it cannot be opened.
    """
    plugin_files = beside(source, plugin_files)
    try:
        with open_source(source) as stream:
            parts = segments(stream, jobs) if jobs > 1 else [Segment()]
            took = Stopwatch()
            stream.seek(0)
            first = prove(stream, parts[0], plugin_files, progress)
    except (Corrupt, Unsupported) as problem:
        return _damaged(problem)
    left = parts[1:]
    if left and not pays(took, len(left), jobs):
        left = [Segment(left[0].begin)]  # in one go: entering a segment costs as much as beginning a run
    whole = Proof()
    try:
        with closing(parallel_map(partial(_prove, source, plugin_files), left, jobs)) as proofs:
            for proof in chain([first], proofs):
                whole.escapes += proof.escapes
                if proof.verdict is not None:
                    whole.verdict = proof.verdict
                    break
                whole.totals.merge(proof.totals)
                whole.unknown += proof.unknown
                whole.header, whole.end = proof.header, proof.end
                if whole.header is not None and proof is not first:
                    progress(whole.totals.ticks, whole.header.ticks)
    except WorkerError as error:
        whole.verdict = Verdict("inconclusive", whole.totals.ticks, reason=one_line(str(error)), cause="environment")
    return replace(whole.verdict or _conclude(whole), escapes=tuple(dict.fromkeys(whole.escapes)))


def _damaged(problem: Corrupt | Unsupported) -> Verdict:
    return Verdict("inconclusive", 0, reason=one_line(str(problem)), cause="file")


def _prove(source: Source, plugin_files: Sequence[Path], segment: Segment) -> Proof:
    try:
        with open_source(source) as stream:
            return prove(stream, segment, plugin_files, untold)
    except (Corrupt, Unsupported) as problem:
        return Proof(verdict=_damaged(problem))


@dataclass(slots=True)
class Proof:
    """The result of going through a segment: a verdict if it ended early, the sums of its ticks, and the end record.

    `escapes` are those that were taken in the segment.
    """

    verdict: Verdict | None = None
    totals: Totals = field(default_factory=Totals)
    header: Header | None = None
    end: End | None = None
    escapes: tuple[str, ...] = ()
    unknown: int = 0


def prove(stream: BinaryIO, segment: Segment, plugin_files: Sequence[Path], progress: Progress) -> Proof:
    """Run a segment again and compare every tick."""
    take_escapes()
    verification = _Verification(progress, plugin_files)
    proof = verification.proof
    proof.verdict = verification.run(stream, segment)
    proof.escapes = take_escapes()
    return proof


def _conclude(proof: Proof) -> Verdict:
    """Hold the end record against the ticks of a run that have all been proven."""
    header, recorded, ticks = proof.header, proof.end, proof.totals.ticks
    assert header is not None
    assert recorded is not None
    again = proof.totals.end(header.ticks, recorded.given_reason)
    differences = [(name, getattr(recorded, name), getattr(again, name)) for name in End.model_fields]
    if recorded.ticks > header.ticks:
        differences.append(("ticks", recorded.ticks, header.ticks))
    for name, expected, actual in differences:
        if expected != actual:
            first = Divergence(None, "file", field=f"end.{name}", expected=plain(expected), actual=plain(actual))
            return _diverged(first, ticks, header)
    if proof.unknown:
        reason = (
            f"{proof.unknown} records of kinds that are not known here were passed over; a newer version may know them"
        )
        return Verdict("inconclusive", ticks, reason=reason, cause="file")
    if not ticks:
        return Verdict("inconclusive", 0, reason="it has no whole tick, so nothing was compared", cause="file")
    return Verdict("match", ticks)


class _Verification:
    """One segment of a replay being verified."""

    def __init__(self, progress: Progress, plugin_files: Sequence[Path]) -> None:
        self._progress = progress
        self._plugin_files = plugin_files
        self._before = 0
        self.proof = Proof()
        self._playback: Playback | None = None

    def run(self, stream: BinaryIO, segment: Segment) -> Verdict | None:
        """Go through the records up to the first that ends it; None when they are all proven."""
        try:
            for record in self._records(stream, segment):
                self.proof.unknown += record.body is None
                verdict = self._take(record.body)
                if verdict is not None or record.end.offset == segment.stop:
                    return verdict
        except (Incomplete, Corrupt, Unsupported) as problem:
            return self._inconclusive(str(problem), "file")
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
        assert isinstance(tick, Tick)
        assert isinstance(keyframe, Keyframe)
        enter(self.playback.simulation, keyframe, tick)
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
                self.proof.end = body
        return None

    def _begin(self, header: Header) -> Verdict | None:
        if header.run != run_digest(header.scenario, header.seed):
            return self._inconclusive(
                "the header's `run` does not belong to its scenario and seed: it was altered", "file"
            )
        try:
            playback = Playback(header, self._plugin_files)
        except ScenarioError as error:
            return self._inconclusive(str(error))
        except (MachineError, OSError, MemoryError) as error:
            return self._inconclusive(str(error) if isinstance(error, MachineError) else trouble_of(error))
        except Exception as error:  # a fault of the domain is none of the recording
            if fault_of(error) is None and not isinstance(error, SimError | AIError):
                raise
            return self._inconclusive(f"the run cannot be set up: {fault_of(error) or error}")
        self.proof.header, self._playback = header, playback
        problem = objection(header, playback.header)
        return None if problem is None else self._inconclusive(problem)

    def _tick(self, recorded: Tick) -> Verdict | None:
        before = self.playback.simulation.snapshot() if self.header.detail == "full" else None
        try:
            again = self.playback.tick(recorded)
        except Unsupported:
            raise  # not a difference: nothing here can read it
        except (MachineError, OSError, MemoryError) as error:
            return self._inconclusive(str(error) if isinstance(error, MachineError) else trouble_of(error))
        except Exception as error:  # the record says that this tick was made, whatever hinders it now
            return self._failed(recorded, error)
        world = self.playback.simulation.world
        difference = first_difference(
            self.header, recorded, again, before, self.playback.timeline, phases_of(world.systems)
        )
        if difference is not None:
            return self._diverged(difference)
        self.proof.totals.add(again)
        self._progress(self._ticks, self.header.ticks)
        return None

    def _keyframe(self, recorded: Keyframe) -> Verdict | None:
        simulation = self.playback.simulation
        state = simulation.snapshot()
        if unpacked(recorded) == encode_state(state):
            return None
        first = Divergence(recorded.t, "file", field="keyframe")
        change = next(iter(changes(state, state_of(recorded, simulation))), None)
        if change is not None:
            component, _, field = change.column.partition(".")
            first.component, first.field, first.key = component, field, change.key
            first.expected, first.actual = change.value, value_of(state, component, field, change.key)
        return self._diverged(first)

    @property
    def _ticks(self) -> int:
        return self._before + self.proof.totals.ticks

    @property
    def header(self) -> Header:
        """The header of the replay, once it has been read."""
        assert self.proof.header is not None
        return self.proof.header

    @property
    def playback(self) -> Playback:
        """The run, once the header has been read."""
        assert self._playback is not None
        return self._playback

    def _inconclusive(self, reason: str, cause: Cause = "environment") -> Verdict:
        return Verdict("inconclusive", self._ticks, reason=one_line(reason), cause=cause)

    def _failed(self, recorded: Tick, error: Exception) -> Verdict:
        """Say that a tick cannot be made here: nothing was compared, so that nothing is proven."""
        problem = one_line(f"{type(error).__name__}: {error}")
        first = self._placed(Divergence(recorded.t, "effect", expected=recorded.root, actual=problem))
        reason = one_line(f"tick {recorded.t} cannot be made again here: {fault_of(error) or problem}")
        return Verdict("inconclusive", self._ticks, first, reason, cause="effect")

    def _placed(self, first: Divergence) -> Divergence:
        first.environment = differing(self.header, self.playback.header)
        return first

    def _diverged(self, first: Divergence) -> Verdict:
        first = self._placed(first)
        changed = [name for name, then in self.header.plugins.items() if self.playback.header.plugins.get(name) != then]
        if self.header.source != self.playback.header.source:
            changed.insert(0, str(self.header.scenario["domain"]))
        hint = "".join(f"; the code of {name!r} has changed since the recording" for name in changed)
        return _diverged(first, self._ticks, self.header, hint, self.playback.simulation.world.resources)


def _diverged(
    first: Divergence, ticks: int, header: Header, hint: str = "", resources: Collection[str] = ()
) -> Verdict:
    if header.detail == "hash" and first.component and first.key is None:
        hint = f"; a recording with --detail full would name phase, agent and value{hint}"
    return Verdict("diverged", ticks, first, one_line(sentence_of(first, resources) + hint), cause=first.cause)
