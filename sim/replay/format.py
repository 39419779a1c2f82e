r"""The bytes of a replay: lines, their chain, canonical JSON, runs of keys, and the content of each record.

    {"c":"<chain>","k":"<kind>","v":<body>}\n

`c` is a hash over the previous line's `c`, this line's kind and the exact bytes of its body, so no line can be changed,
moved, dropped or added without breaking every line after it. Bodies are canonical JSON: sorted keys, no spaces, ASCII,
no NaN; any other spelling is corrupt. Kinds are `H` (header, once, first), `T` (a tick), `K` (the whole
state after the tick before it) and `E` (end, once, last). Readers pass over other kinds, and over unknown keys where
the header names a later minor version.

A key is left out of a body where its value is the default. `replays/README.md` says the same for people.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from ai.plans import Outcome

FORMAT: Final = "tickweave/2"
"""Names the format and its major version; another one cannot be read by this package."""
MINOR: Final = 0
"""The minor version that is written. A higher one adds keys, which older readers pass over and cannot prove."""
HEADER: Final = "H"
TICK: Final = "T"
KEYFRAME: Final = "K"
END: Final = "E"

LINE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Longest line, its newline included."""
LINES_MAX: Final = 20_000_000
"""Lines in one file: twice the ticks a run may last, so that other kinds of records have room."""
DEPTH_MAX: Final = 48
"""How deep the JSON of a body may nest."""
KEYS_MAX: Final = 4_000_000
"""Agent keys that one text of runs may stand for."""
RUNS_KEYS_MAX: Final = 8_000_000
"""Agent keys that all texts of runs of one tick may stand for."""
VALUES_MAX: Final = 5_000_000
"""Values, and a tenth of that in lists and objects, that a body may hold: each takes many times its bytes in memory."""
UNKNOWN_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of all records of unknown kinds in one replay."""
UNKNOWN_MAX: Final = 10_000
"""Records of unknown kinds in one replay."""
ERROR_CHARS_MAX: Final = 300
"""Longest error text that is recorded."""

_JSON: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
_ATOMS: Final = frozenset({str, int, bool, float, type(None)})
_HEAD: Final = re.compile(rb'\{"c":"([0-9a-f]{16})","k":"([A-Z])","v":')
_STRINGS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_RUN: Final = re.compile(r"(0|[1-9][0-9]{0,18})(?:-([1-9][0-9]{0,18})(?:/([1-9][0-9]{0,18}))?)?")


class LineError(ValueError):
    """One line is not what this format writes; the text says why, the reader adds where."""


# -- lines -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One line taken apart; `body` are the exact bytes that the chain covers."""

    chain: str
    kind: str
    body: bytes


def canonical(value: object) -> bytes:
    r"""Write plain data as canonical JSON.

    Raises:
        ValueError: the data holds NaN or an infinity.
        TypeError: the data holds something that JSON has no form for.

    >>> canonical({"b": [1, None], "a": "é"})
    b'{"a":"\\u00e9","b":[1,null]}'
    """
    return _JSON.encode(value).encode("ascii")


def digest(value: object) -> str:
    """Return sixteen hex digits over plain data."""
    return hashlib.blake2b(canonical(value), digest_size=8, person=b"tickweave-data").hexdigest()


def chain(previous: str, kind: str, body: bytes) -> str:
    """Return the chain value of a line from that of the line before (empty for the first), its kind and its body."""
    state = hashlib.blake2b(previous.encode("ascii"), digest_size=8, person=b"tickweave-chain")
    state.update(kind.encode("ascii"))
    state.update(body)
    return state.hexdigest()


def encode_line(previous: str, kind: str, body: bytes) -> tuple[bytes, str]:
    r"""Return a whole line for canonical body bytes, and its chain value.

    >>> line, _ = encode_line("", "T", canonical({"t": 0}))
    >>> line.endswith(b'"k":"T","v":{"t":0}}\n'), split_line(line).body
    (True, b'{"t":0}')
    """
    value = chain(previous, kind, body)
    return b'{"c":"%s","k":"%s","v":%s}\n' % (value.encode("ascii"), kind.encode("ascii"), body), value


def split_line(line: bytes) -> Line:
    """Take a line apart without decoding its body.

    Raises:
        LineError: it is not of the one form lines have.
    """
    head = _HEAD.match(line)
    if head is None or not line.endswith(b"}\n"):
        raise LineError("is not a line of a replay")
    return Line(head[1].decode("ascii"), head[2].decode("ascii"), line[head.end() : -2])


def decode_body(body: bytes) -> dict[str, Any]:
    """Return a body as data.

    Raises:
        LineError: it is not a JSON object, nests too deep, or is not in canonical form.
    """
    # Every bracket outside of strings opens a level; the cheap count is an upper bound and nearly always enough.
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX and _depth(body) > DEPTH_MAX:
        raise LineError(f"nests deeper than {DEPTH_MAX} levels")
    values, parts = body.count(b","), body.count(b"[") + body.count(b"{")
    if values > VALUES_MAX or parts > VALUES_MAX // 10:
        raise LineError(
            f"holds {values} values in {parts} lists and objects; at most {VALUES_MAX} in {VALUES_MAX // 10} are read"
        )
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise LineError("does not hold JSON") from None
    if not isinstance(value, dict):
        raise LineError("must hold a JSON object")
    try:
        exact = canonical(value) == body
    except ValueError:
        exact = False
    if not exact:
        raise LineError("is not in canonical form")
    return value


def _depth(body: bytes) -> int:
    marks = np.frombuffer(_STRINGS.sub(b"", body), np.uint8)
    opening = (marks == ord("[")) | (marks == ord("{"))
    closing = (marks == ord("]")) | (marks == ord("}"))
    return int(np.cumsum(opening.astype(np.int64) - closing).max(initial=0))


def is_torn(fragment: bytes) -> bool:
    """Return whether bytes without a newline can be the beginning of a line that a killed run left.

    The bytes of a line are printable ASCII; the beginning has one form; and a body that is already whole may be
    followed by nothing but the closing brace.
    """
    if len(fragment) >= LINE_BYTES_MAX or any(byte < 0x20 or byte > 0x7E for byte in set(fragment)):
        return False
    template = b'{"c":"0000000000000000","k":"T","v":{'
    if len(fragment) < len(template):
        return bool(_HEAD.match(_completed(fragment, template)))
    head = _HEAD.match(fragment)
    if head is None or fragment[head.end() : head.end() + 1] != b"{":
        return False
    rest = fragment[head.end() :].decode("ascii")
    try:
        _, end = json.JSONDecoder().raw_decode(rest)
    except (ValueError, RecursionError):
        return True
    return rest[end:] in ("", "}")


def _completed(fragment: bytes, template: bytes) -> bytes:
    return fragment + template[len(fragment) :]


# -- runs of keys ------------------------------------------------------------------------------------------------------


def runs(keys: NDArray[np.int64]) -> str:
    """Write ascending agent keys as runs: `a-b` for neighbours, `a-b/s` for three or more at an even distance.

    >>> runs(np.array([0, 1, 2, 7, 12, 17, 30]))
    '0-2,7-17/5,30'
    """
    parts: list[str] = []
    place, n = 0, len(keys)
    listed: list[int] = keys.tolist()
    # Where the step to the next key changes, a run ends at the latest.
    steps = keys[1:] - keys[:-1]
    bends = [*((steps[1:] != steps[:-1]).nonzero()[0] + 1).tolist(), n - 1] if n > 1 else []
    bend = 0
    while place < n:
        while bend < len(bends) and bends[bend] <= place:
            bend += 1
        last = bends[bend] if bend < len(bends) else place
        step = listed[place + 1] - listed[place] if last > place else 0
        if step == 1:
            parts.append(f"{listed[place]}-{listed[last]}")
        elif last - place >= 2:
            parts.append(f"{listed[place]}-{listed[last]}/{step}")
        else:
            last = place
            parts.append(str(listed[place]))
        place = last + 1
    return ",".join(parts)


def keys_of(text: str) -> NDArray[np.int64]:
    """Return the keys that runs stand for, ascending.

    Raises:
        ValueError: the text is not exactly what `runs` writes for some keys, or stands for too many.
    """
    pieces = [np.arange(first, last + 1, step, dtype=np.int64) for first, last, step in _parts_of(text)]
    keys = np.concatenate(pieces) if pieces else np.zeros(0, np.int64)
    if (np.diff(keys) <= 0).any() or runs(keys) != text:
        raise ValueError("the runs of keys are not in the one form they have")
    return keys


def count_of(text: str) -> int:
    """Return how many keys checked runs stand for.

    >>> count_of("0-2,7-17/5,30")
    7
    """
    total = 0
    for part in text.split(",") if text else ():
        ends, _, step = part.partition("/")
        first, _, last = ends.partition("-")
        total += (int(last or first) - int(first)) // int(step or 1) + 1
    return total


def _checked_runs(text: str) -> str:
    """Check runs by their ends alone: a short text may stand for millions of keys, which are not needed yet."""
    for _ in _parts_of(text):
        pass
    return text


def _parts_of(text: str) -> Iterator[tuple[int, int, int]]:
    """Yield first key, last key and step of each run.

    Raises:
        ValueError: a part is not a run, or does not follow the one before it, or there are too many keys.
    """
    before, total = -1, 0
    for part in text.split(",") if text else ():
        match = _RUN.fullmatch(part)
        if match is None:
            raise ValueError(f"{part[:40]!r} is not a run of keys")
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        total += (last - first) // step + 1
        if not before < first <= last < 2**63 or total > KEYS_MAX:
            raise ValueError(f"the run {part[:40]!r} goes down, or the keys are more than {KEYS_MAX}")
        before = last
        yield first, last, step


# -- bodies ------------------------------------------------------------------------------------------------------------

Hex16 = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Hashes = Annotated[str, Field(pattern=r"^([0-9a-f]{6})*$")]
Runs = Annotated[str, AfterValidator(_checked_runs)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
KeyText = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,18})$")]
OutcomeName = Literal[
    "ok",
    "refused",
    "missing",
    "invalid",
    "timeout",
    "transport",
    "rate_limited",
    "breaker_open",
    "cut",
    "unavailable",
    "fault",
]
assert set(get_args(OutcomeName)) == {outcome.label for outcome in Outcome}


class Body(BaseModel):
    """The content of a record's body."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    def data(self) -> dict[str, Any]:
        """Return the body as plain data, ready for `canonical`; values that are as by default are left out."""
        defaults = _defaults(type(self))
        return {
            name: plain(value)
            for name, value in self.__dict__.items()
            if name not in defaults or value != defaults[name]
        }


def plain(value: Any) -> Any:
    """Return bodies, inputs, and lists and dicts of them, as plain data."""
    # Written out by hand: pydantic's own dump takes several times as long, and this runs in every tick.
    if type(value) in _ATOMS:
        return value
    if isinstance(value, Body):
        return value.data()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


@cache
def _defaults(kind: type[Body]) -> dict[str, Any]:
    fields = kind.model_fields.items()
    return {name: field.get_default(call_default_factory=True) for name, field in fields if not field.is_required()}


class RegistryStamp(Body):
    """The action kinds of a run: the registry's digest, and names in code order."""

    digest: Hex16
    kinds: list[str]


class Parent(Body):
    """The origin of a fork: the other run's name, the first tick that is its own, and the root before that."""

    run: Hex16
    tick: Count
    root: Hex16 | None


class Amendment(Body):
    """A change of a fork's planning from a tick on: these parts of the scenario in place of its own, and this model."""

    tick: Count
    planning: dict[str, Any]
    rules: list[dict[str, Any]] | None
    llm: str | None = None
    models: list[str] = Field(default_factory=list)


class Header(Body):
    """The identity of a run: everything needed to make it again.

    `minor` is the format's minor version.
    `run` is the digest of `scenario` and `seed`. `ticks` is the number planned. `plugins` are digests of their
    sources by name, `source` is that of the domain's, and `files` are the SHA-256 of its data files by name.
    `declarations` hold what the world and planning are declared with, by part. `keyframes` is the number of ticks
    from one keyframe to the next, 0 for none. `components`, and `columns` as "Component.column", are in the order
    of the ticks' own. `llm` and `prompt_version` are null where no model was asked. `models`
    names the model tiers that were in play. `outside` names the tiers that a program handed over as objects: the
    ticks hold their plans. `parent` is what a fork shares its past with, and `amendments` what it changed. `env`
    alone may differ between a recording and its re-recording.
    """

    format: Literal["tickweave/2"]
    minor: Count = 0
    scenario: dict[str, Any]
    seed: Count
    run: Hex16
    ticks: Count
    keyframes: Count = 0
    detail: Literal["hash", "full"]
    determinism: Literal["portable", "exact"]
    env: dict[str, str]
    registry: RegistryStamp | None
    plugins: dict[str, Hex16] = Field(default_factory=dict)
    source: Hex16
    files: dict[str, Hex64] = Field(default_factory=dict)
    declarations: dict[str, Any] = Field(default_factory=dict)
    tiers: list[str]
    outside: list[str] = Field(default_factory=list)
    models: list[str] = Field(default_factory=list)
    llm: str | None
    prompt_version: str | None
    parent: Parent | None
    amendments: list[Amendment] = Field(default_factory=list)
    columns: list[str]
    components: list[str]

    def keyframe_due(self, tick: int) -> bool:
        """Return whether a keyframe stands after a tick."""
        return self.keyframes > 0 and (tick + 1) % self.keyframes == 0


class RefusedInput(Body):
    """An input that had no effect: its place among the tick's inputs, and the sentence that says why."""

    at: Count
    why: str


class Attempt(Body):
    """Agents that one tier was asked for in vain, and how that ended; one record for those that share all of it.

    `keys` is `*` for all agents that were planned or asked in the tick.
    """

    tier: str
    outcome: OutcomeName
    keys: Literal["*"] | Runs
    error: str | None = None


class Usage(Body):
    """The usage of model calls; tokens are null while no server has reported any."""

    calls: Count = 0
    agents: Count = 0
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    errors: dict[str, Count] = Field(default_factory=dict)
    retries: Count = 0


class Arrived(Body):
    """A round whose plans fell due in a tick: the tick in which it asked, agents by tier of their plan, and fates.

    `fates` says by agent what becomes of the plan: `started`, `stored` for later, `failed` where no tier gave one,
    `refused` where it is not legal any more, `outdated` where the agent's alert changed, `gone` where the agent may not
    plan now, and `lost` where the call was not there any more.
    """

    asked_at: Count
    given: dict[str, Runs] = Field(default_factory=dict)
    fates: dict[Literal["started", "stored", "failed", "refused", "outdated", "gone", "lost"], Runs] = Field(
        default_factory=dict
    )


class Phase(Body):
    """The state after one phase; `components` are those that differ from the phase before, the first has all."""

    phase: str
    root: Hex16
    components: dict[str, Hex16]


class Changed(Body):
    """The values of one column that a tick changed, by agent or place; null where the agent is gone.

    Key -1 stands for a whole column without agents whose size changed.
    """

    keys: list[Annotated[int, Field(ge=-1, lt=2**63)]]
    values: list[int | str | list[int | str] | None]

    @model_validator(mode="after")
    def _paired(self) -> Changed:
        if len(self.keys) != len(self.values):
            raise ValueError("keys and values must be equally many")
        return self


class Tick(Body):
    """The events of one tick.

    `known` is the digest of what the planned agents knew, `planned` who got a plan, by tier, `plan` the digest of all
    plans and `plans` their number. `asked` are the agents that the model tiers were asked for, null outside of a round,
    `bridged` those for whom another tier planned because no round was due for them, and `held` counts the agents that
    are owed a model's plan by what they have after the tick: one, a bridge, none; empty where no model is in play.
    `started` counts the plans of model tiers that began. With thinking time, `arrived` has the rounds whose plans fell
    due, `begun` those whose stored plan began, and `outdated` those whose open ask or stored plan was voided.
    `texts` are the raw reply texts behind the plans of model tiers, by agent. `heard` is the digest of all that a
    replay cannot work out again: inputs, attempts, texts, shards and usage. `components` and `columns` are six hex
    digits for each of the header's components and columns, each in one text. `phases` and `changes` are there at
    detail `full`.
    """

    t: Count
    inputs: list[dict[str, Any]] = Field(default_factory=list)
    refused: list[RefusedInput] = Field(default_factory=list)
    known: Hex16 | None = None
    planned: dict[str, Runs] = Field(default_factory=dict)
    plan: Hex16 | None = None
    plans: Count = 0
    asked: Runs | None = None
    bridged: Runs = ""
    held: list[Count] = Field(default_factory=list, max_length=3)
    started: Count = 0
    arrived: list[Arrived] = Field(default_factory=list)
    begun: Runs = ""
    outdated: Runs = ""
    attempts: list[Attempt] = Field(default_factory=list)
    texts: dict[KeyText, str] = Field(default_factory=dict)
    shards: list[dict[str, Any]] = Field(default_factory=list)
    usage: Usage | None = None
    model: dict[str, Any] = Field(default_factory=dict)
    heard: Hex16 | None = None
    draws: dict[str, Count] = Field(default_factory=dict)
    phases: list[Phase] = Field(default_factory=list)
    changes: dict[str, Changed] = Field(default_factory=dict)
    components: Hashes
    columns: Hashes
    root: Hex16
    agents: Count
    outcome: str | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Tick:
        """Bound the sum of what short texts stand for: each agent is planned once, and fails each tier once at most."""
        texts = [*self.planned.values(), self.asked or "", self.bridged]
        total = sum(map(count_of, texts))
        total += sum(count_of(each.keys) for each in self.attempts if each.keys != "*")
        if total > RUNS_KEYS_MAX:
            raise ValueError(
                f"the runs of keys stand for {total} agents; at most {RUNS_KEYS_MAX} are possible in a tick"
            )
        return self


class Keyframe(Body):
    """The whole state after tick `t`: `sim.engine.codec` bytes, compressed with zstd, in base64."""

    t: Count
    state: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+={0,2}$")]


EndReason = Literal["decided", "limit", "interrupted", "failed", "recovered"]


class End(Body):
    """The totals of a whole run.

    `reason` says how the run ended: `decided` by its outcome, at the `limit` of planned ticks, `interrupted` by the
    user, or `failed` where a tick raised an error; `recovered` where the end record was added to the whole lines of a
    killed or damaged run. `plans` are totals by tier, `usage` is the sum of the ticks'.
    """

    ticks: Count
    root: Hex16 | None
    outcome: str | None
    reason: EndReason
    plans: dict[str, Count]
    usage: Usage | None = None

    @property
    def given_reason(self) -> EndReason | None:
        """The reason where it does not follow from the ticks, else None."""
        return self.reason if self.reason in ("failed", "recovered") else None
