"""A run's reports as records of a replay: pure functions, and the totals of a whole run.

Recording and verifying go through these same functions, so neither can see what they leave out.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache, lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ai.canonical import without_empty
from ai.llm.prompt import PROMPT_VERSION
from ai.plans import Attempts, BatchPlans, LlmUsage, Outcome, shared_by_all
from sim.engine.digest import state_digest
from sim.engine.values import integer
from sim.errors import ReplayError
from sim.replay.format import (
    ERROR_CHARS_MAX,
    FORMAT,
    MINOR,
    Arrived,
    Attempt,
    Changed,
    End,
    EndReason,
    Header,
    Phase,
    RefusedInput,
    RegistryStamp,
    Tick,
    Usage,
    count_of,
    digest,
    keys_of,
    plain,
    runs,
)
from sim.run import rounds
from sim.run.data_files import digest_of
from sim.run.domain import inputs_of
from sim.run.inputs import Input
from sim.run.scenario_file import TICKS_MAX

if TYPE_CHECKING:
    from sim.run.simulation import Simulation, TickReport

HASH_CHARS: Final = 6
"""Hex digits of each hash in a tick's `components` and `columns`."""
_QUIET: Final = Tick(t=0, components="", columns="", root="0" * 16, agents=0)
"""The record of a tick in which nothing happens. Others are copies of it: a copy takes less time than a new record."""
UNAVAILABLE: Final = Outcome.UNAVAILABLE.label
OK: Final = Outcome.OK.value
"""Read once: asking for the value of an enumeration's member in every tick is slow."""
PACKAGES: Final = ("esper", "numpy", "scipy", "tickweave", "zstandard")
_VERSION: Final = re.compile(r"^Version: *(\S+)", re.MULTILINE)
_HEARD: Final = ("inputs", "refused", "attempts", "texts", "shards", "usage", "model")
_ADDRESSES: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>)\]]+"
    r"|\b(?:localhost|[0-9]{1,3}(?:\.[0-9]{1,3}){3})(?::[0-9]+)?\b"
    r"|\[[0-9a-fA-F:]{2,}\](?::[0-9]+)?"
)
_VALUES: Final = frozenset(
    {"type", "enum", "required", "default", "pattern", "multipleOf", "uniqueItems"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems"}
)
"""Keywords of a JSON schema that say which values are taken."""
_PARTS: Final = frozenset({"items", "prefixItems", "anyOf", "oneOf", "allOf", "additionalProperties"})
"""Keywords that hold other schemas."""
_PATHS: Final = re.compile(r"(?<![\w<>./])(?:/[\w.+-]+){2,}/?")


def environment() -> dict[str, str]:
    """Return what a run of floats would depend on; no host names, no paths."""
    versions = {name: _version(name) for name in PACKAGES}
    return {
        "arch": platform.machine(),
        "byteorder": sys.byteorder,
        "python": platform.python_version(),
        **versions,
    }


@cache
def _version(package: str) -> str:
    """Look a version up once: it does not change while this process runs.

    `metadata.version` parses a whole package description as an e-mail, which takes longer than a tick.
    """
    try:
        text = metadata.distribution(package).read_text("METADATA") or ""
    except metadata.PackageNotFoundError:
        return "unknown"
    found = _VERSION.search(text)
    return metadata.version(package) if found is None else found[1]


def run_digest(scenario: Mapping[str, Any], seed: int) -> str:
    """Return sixteen hex digits that name a run: those of its canonical scenario and its seed."""
    return digest([scenario, seed])


def planned_ticks(simulation: Simulation, ticks: int | None) -> int:
    """Return the number of ticks that a recording plans: `ticks`, or without it the scenario's.

    Raises:
        WorldError: it is not a whole number in 0..`TICKS_MAX`.
    """
    return integer(simulation.scenario.ticks if ticks is None else ticks, 0, TICKS_MAX, "ticks")


def header_of(simulation: Simulation, *, ticks: int, keyframes: int = 0) -> Header:
    """Return the header of a run before its first tick.

    `ticks` is the number planned, `keyframes` the ticks from one keyframe to the next (0: none).
    """
    scenario = simulation.scenario.canonical()
    state = state_digest(simulation.world)
    return Header(
        format=FORMAT,
        minor=MINOR,
        scenario=scenario,
        seed=simulation.seed,
        run=run_digest(scenario, simulation.seed),
        ticks=ticks,
        keyframes=keyframes,
        detail=simulation.detail,
        determinism=simulation.world.domain,
        env=environment(),
        registry=None
        if simulation.registry is None
        else RegistryStamp(digest=simulation.registry.digest, kinds=[spec.name for spec in simulation.registry.specs]),
        source=simulation.scenario.loaded.digest,
        files={name: digest_of(content) for name, content in simulation.run_context.files.items()},
        declarations=declarations_of(simulation),
        plugins=dict(simulation.plugins),
        tiers=list(simulation.tiers),
        outside=list(simulation.outside),
        models=list(simulation.models),
        llm=simulation.llm,
        prompt_version=None if simulation.llm is None else PROMPT_VERSION,
        parent=None,
        columns=list(state.columns),
        components=list(state.components),
    )


def declarations_of(simulation: Simulation) -> dict[str, Any]:
    """Return what a run's world and planning are declared with, as plain data by part.

    Two runs can only be compared where these are equal.
    """
    observation, registry = simulation.domain.observation, simulation.registry
    in_rounds = simulation.run_context.rounds
    parts = {
        "domain": {"version": simulation.domain.version},
        "world": simulation.world.declaration,
        "observation": None if observation is None else observation.layout.declaration,
        "actions": None if registry is None else registry.declaration,
        "rounds": None if in_rounds is None else {"every": in_rounds.every},
        "inputs": {each.kind: _fields_of(each) for each in inputs_of(simulation.domain)},
        **simulation.domain.declarations(),
    }
    declared: dict[str, Any] = without_empty(parts)
    return declared


def declared_fields(schema: Mapping[str, Any]) -> Any:
    """Return what values a JSON schema takes, without its wording and without what differs between its makers.

    >>> declared_fields({"title": "Feed", "type": "object", "properties": {"kind": {"const": "feed"}}})
    {'type': 'object', 'properties': {'kind': {'enum': ['feed']}}}
    """
    definitions = schema.get("$defs", {})

    def fields(part: Any, inside: tuple[str, ...]) -> Any:
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            name = str(part["$ref"]).rpartition("/")[2]
            return {"is": name} if name in inside else fields(definitions.get(name), (*inside, name))
        found: dict[str, Any] = {}
        for name, value in part.items():
            if name in _VALUES:
                found[name] = value
            elif name == "const":
                found["enum"] = [value]
            elif name == "properties":
                found[name] = {key: fields(each, inside) for key, each in value.items()}
            elif name in _PARTS and not isinstance(value, bool):
                found[name] = (
                    [fields(each, inside) for each in value] if isinstance(value, list) else fields(value, inside)
                )
        return found

    return fields(schema, ())


@lru_cache(maxsize=256)
def _fields_of(kind: type[Input]) -> Any:
    """Return an input's declaration, made once, because it takes as long as many ticks and each run has a header."""
    return declared_fields(kind.model_json_schema())


def tick_of(report: TickReport, header: Header) -> Tick:
    """Return the record of one tick of a run with this header.

    Raises:
        ReplayError: the world's components or columns are not those of the header.
    """
    found: dict[str, Any] = {
        "t": report.tick,
        "components": _hashes(report.tick, report.digest.components, header.components),
        "columns": _hashes(report.tick, report.digest.columns, header.columns),
        "root": report.digest.root,
        "agents": report.agents,
        "outcome": report.outcome,
        "known": report.known,
        "draws": {purpose: int(count) for purpose, count in report.draws.items()},
    }
    if report.plans is not None:
        found |= planning_of(report.plans)
    if report.inputs:
        found["inputs"] = plain(list(report.inputs))
        found["refused"] = [RefusedInput(at=place, why=why) for place, why in report.refused.items()]
    if report.inputs or report.plans is not None:
        found["heard"] = _heard(found)
    if report.phases:
        found["phases"], found["changes"] = _phases(report), _changes(report)
    if report.round is not None:
        found |= _round(report.round)
    # The values were made here, and readers check them; a check here would be a second one in every tick.
    return _QUIET.model_copy(update=found)


def _round(notes: rounds.RoundNotes) -> dict[str, Any]:
    return {
        "asked": None if notes.asked is None else runs(notes.asked),
        "bridged": runs(notes.bridged),
        "held": list(notes.held),
        "started": notes.started,
        "arrived": [_arrived(each) for each in notes.arrived],
        "begun": runs(np.unique(np.array(notes.begun, np.int64))),
        "outdated": runs(np.unique(np.array(notes.outdated, np.int64))),
    }


def _heard(found: Mapping[str, Any]) -> str | None:
    """Return the digest of all that a replay cannot work out again; None if there is nothing."""
    heard = {name: value for name in _HEARD if (value := found.get(name))}
    if not heard:
        return None
    return _heard_once(tuple(heard["attempts"])) if list(heard) == ["attempts"] else _heard_digest(heard)


def _heard_digest(heard: Mapping[str, Any]) -> str:
    return digest([plain(heard.get(name, getattr(_QUIET, name))) for name in _HEARD])


@lru_cache(maxsize=256)
def _heard_once(attempts: tuple[Attempt, ...]) -> str:
    """Return the digest of attempts alone; without models, all ticks of a run have the same attempts."""
    return _heard_digest({"attempts": list(attempts)})


def with_words_of(record: Tick, again: Tick) -> Tick:
    """Return a tick that was made again, with the sentences of its record: wording may change and is never compared.

    If refused inputs or failed attempts differ in more than their sentences, the tick stays as it was made.
    """
    if record.refused == again.refused and record.attempts == again.attempts:
        return again
    one, two = (
        ([each.at for each in tick.refused], [(each.tier, each.outcome, each.keys) for each in tick.attempts])
        for tick in (record, again)
    )
    if one != two:
        return again
    told = again.model_copy(update={"refused": record.refused, "attempts": record.attempts})
    return told.model_copy(update={"heard": _heard(told.__dict__)})


def _hashes(tick: int, found: Mapping[str, str], names: Sequence[str]) -> str:
    if list(found) != names:
        strange = sorted(set(found) ^ set(names)) or ["their order"]
        raise ReplayError(f"tick {tick}: the parts of the world changed during the run ({strange[0]})")
    return "".join([value[:HASH_CHARS] for value in found.values()])


def _phases(report: TickReport) -> list[Phase]:
    """Return the phases' hashes: all components after the first phase, then those that the phase changed."""
    found: list[Phase] = []
    before: Mapping[str, str] = {}
    for phase in report.phases:
        changed = {name: value for name, value in phase.components.items() if before.get(name) != value}
        found.append(Phase(phase=phase.phase, root=phase.root, components=changed))
        before = phase.components
    return found


def _changes(report: TickReport) -> dict[str, Changed]:
    found: dict[str, tuple[list[int], list[Any]]] = {}
    for change in report.changes:
        keys, values = found.setdefault(change.column, ([], []))
        keys.append(change.key)
        values.append(change.value)
    return {column: Changed(keys=keys, values=values) for column, (keys, values) in found.items()}


def planning_of(plans: BatchPlans) -> dict[str, Any]:
    """Return what a tick's record says about its planning."""
    given = plans.plans
    attempts = [record for attempt in plans.attempts for record in _attempts(attempt, given.keys)]
    texts = {str(key): _sound(text) for key, text in plans.texts.items()}
    return {
        "planned": _by_tier(plans),
        "plan": given.digest(plans.tiers),
        "plans": int(np.count_nonzero(given.tier >= 0)),
        "attempts": attempts,
        "texts": texts,
        "shards": plans.shards,
        "usage": _usage(plans.usage),
        "model": plans.model,
    }


def _arrived(arrived: rounds.Arrived) -> Arrived:
    given = {tier: runs(keys) for tier, keys in arrived.given.items()}
    fates = {fate: runs(keys) for fate, keys in arrived.fates.items()}
    return Arrived.model_construct(asked_at=arrived.asked_at, given=given, fates=fates)  # type: ignore[arg-type]


def _by_tier(plans: BatchPlans) -> dict[str, str]:
    """Return the agents that each tier planned for, as runs of keys."""
    keys, tiers = plans.plans.keys, plans.plans.tier
    shared = shared_by_all(tiers)
    if shared is not None and shared >= 0:
        return {plans.tiers[shared]: runs(keys)}
    return {plans.tiers[tier]: runs(keys[tiers == tier]) for tier in np.bincount(tiers[tiers >= 0]).nonzero()[0]}


def _attempts(attempt: Attempts, keys: NDArray[np.int64]) -> list[Attempt]:
    """Return an attempt's failures, one record for agents that share outcome and error, in the order of first keys."""
    shared = attempt.shared
    if shared == OK:
        return []
    if shared is not None and len(attempt.outcome) == len(keys) and not attempt.errors:
        return [_of_everyone(attempt.tier, shared)]
    codes = np.bincount(attempt.outcome).nonzero()[0].tolist()
    groups: dict[tuple[int, str | None], NDArray[np.int64]] = {}
    failed = (attempt.outcome != OK).nonzero()[0]
    asked, outcomes = keys[attempt.rows[failed]], attempt.outcome[failed]
    if attempt.errors:
        sorted_out: dict[tuple[int, str | None], list[int]] = {}
        for key, code in zip(asked.tolist(), outcomes.tolist(), strict=True):
            error = attempt.errors.get(key)
            sorted_out.setdefault((code, None if error is None else without_places(error)), []).append(key)
        groups = {shared: np.array(members, np.int64) for shared, members in sorted_out.items()}
    else:
        groups = {(code, None): asked[outcomes == code] for code in codes if code != OK}
        groups = dict(sorted(groups.items(), key=lambda group: int(group[1][0])))
    return [
        Attempt.model_construct(
            tier=attempt.tier,
            outcome=Outcome(code).label,  # type: ignore[arg-type]
            keys="*" if len(members) == len(keys) else runs(members),
            error=error,
        )
        for (code, error), members in groups.items()
    ]


@lru_cache(maxsize=256)
def _of_everyone(tier: str, code: int) -> Attempt:
    """Return the record of a tier that failed all agents alike: that of a tier without its model, in every tick."""
    return Attempt(tier=tier, outcome=Outcome(code).label, keys="*", error=None)  # type: ignore[arg-type]


def tried(tick: Tick, llm: str | None) -> list[Attempt]:
    """Return a tick's failed attempts; in a run without a model (`llm` is None) the model tiers were not tried."""
    return [each for each in tick.attempts if llm is not None or each.outcome != UNAVAILABLE]


def attempted(tick: Tick, attempt: Attempt) -> NDArray[np.int64]:
    """Return the agents that an attempt's record stands for, ascending."""
    if attempt.keys != "*":
        return keys_of(attempt.keys)
    fates = (keys for each in tick.arrived for keys in each.fates.values())
    keys = np.sort(np.concatenate([keys_of(keys) for keys in (*tick.planned.values(), tick.asked or "", *fates)]))
    return keys[np.diff(keys, prepend=-1) > 0]  # np.unique takes ten times as long


def _usage(usage: LlmUsage) -> Usage | None:
    return None if usage == LlmUsage() else Usage(**asdict(usage))


def usage_of(usage: Usage | None) -> LlmUsage:
    """Return recorded usage as what planning reports."""
    return LlmUsage() if usage is None else LlmUsage(**usage.model_dump())


def without_places(text: str) -> str:
    """Return an error text without addresses and paths, and no longer than a record may hold.

    >>> without_places("cannot connect to http://10.0.0.7:8080/v1: refused")
    'cannot connect to <address> refused'
    """
    text = _PATHS.sub("<path>", _ADDRESSES.sub("<address>", _sound(text)))
    return text if len(text) <= ERROR_CHARS_MAX else f"{text[: ERROR_CHARS_MAX - 4]} ..."


def _sound(text: str) -> str:
    """Join surrogate pairs that came in two pieces and replace halves: they have no UTF-8 form."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def failures(tick: Tick, tier: str, among: NDArray[np.int64] | None = None) -> dict[int, tuple[Outcome, str | None]]:
    """Return how one tier's attempts failed, by agent key: of some agents, or of all that the record stands for."""
    found: dict[int, tuple[Outcome, str | None]] = {}
    for attempt in tick.attempts:
        if attempt.tier == tier:
            keys = attempted(tick, attempt)
            keys = keys if among is None else among[np.isin(among, keys)]
            found.update(dict.fromkeys(keys.tolist(), (Outcome.of(attempt.outcome), attempt.error)))
    return found


def planned(tick: Tick) -> dict[int, str]:
    """Return the tier that planned for each agent, by key."""
    return {key: tier for tier, text in tick.planned.items() for key in keys_of(text).tolist()}


class Totals:
    """Sums up the ticks of a run for its end record."""

    def __init__(self) -> None:
        self.ticks = 0
        self._root: str | None = None
        self._outcome: str | None = None
        self._plans: dict[str, int] = {}
        self._usage = LlmUsage()

    def add(self, tick: Tick) -> None:
        """Count one tick."""
        self.ticks += 1
        self._root, self._outcome = tick.root, tick.outcome
        for tier, text in tick.planned.items():
            count = tick.plans if len(tick.planned) == 1 else count_of(text)
            self._plans[tier] = self._plans.get(tier, 0) + count
        if tick.usage is not None:
            self._usage.add(usage_of(tick.usage))

    def merge(self, later: Totals) -> None:
        """Count the ticks of a stretch that follows."""
        if later.ticks:
            self.ticks += later.ticks
            self._root, self._outcome = later._root, later._outcome
        for tier, plans in later._plans.items():
            self._plans[tier] = self._plans.get(tier, 0) + plans
        self._usage.add(later._usage)

    def end(self, ticks: int, reason: EndReason | None = None) -> End:
        """Return the end record of a run of which `ticks` were planned; by default the ticks say how it ended."""
        by_itself: EndReason = (
            "decided" if self._outcome is not None else "limit" if self.ticks >= ticks else "interrupted"
        )
        return End(
            ticks=self.ticks,
            root=self._root,
            outcome=self._outcome,
            reason=reason or by_itself,
            plans=dict(self._plans),
            usage=_usage(self._usage),
        )
