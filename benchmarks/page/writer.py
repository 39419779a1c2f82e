"""The page that the measurements become, Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

TIMES = "{:.2f} x"
OURS = "wandering-by-hand"


def page(found: dict[str, Any]) -> str:
    """Return the page."""
    parts = {
        "own": _own,
        "speed": _speed,
        "engine": _engine,
        "tick": _tick,
        "layer": _layer,
        "starts": _starts,
        "jobs": _jobs,
        "agreement": _agreement,
    }
    lines = [*_head(found), *_goals(found)]
    lines += [line for name, part in parts.items() if found.get(name) for line in part(found[name])]
    if found.get("tick"):
        lines += _phases(found["tick"]["rows"], found["tick"]["bandwidth_gb_s"])
    return "\n".join(lines).rstrip() + "\n"


def _head(found: dict[str, Any]) -> Iterator[str]:
    where = found["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in where["packages"].items())
    yield "# Speed"
    yield ""
    yield "`make bench` measures and writes this page. Times are of the processor unless a sentence says otherwise, and"
    yield "whatever is compared takes turns: only ratios count, since the speed of a machine drifts."
    yield ""
    yield f"{where['processor']}, {where['cores']} cores, {where['system']}, Python {where['python']}; {versions}."
    yield ""
    yield "| | before | after |"
    yield "| --- | --: | --: |"
    before, after = found["before"], found.get("after", found["before"])
    for name, label, digits in (
        ("loop_ns", "an empty loop, ns a turn", 1),
        ("bandwidth_gb_s", "memory, GB a second", 1),
        ("load", "load of the machine", 1),
    ):
        yield f"| {label} | {before[name]:.{digits}f} | {after[name]:.{digits}f} |"
    yield ""
    if found["quick"]:
        yield "**A quick run, to see that the benchmark works. Do not quote it.**"
        yield ""


def _goals(found: dict[str, Any]) -> Iterator[str]:
    yield "## Goals"
    yield ""
    yield "| measure | goal | measured | |"
    yield "| --- | --: | --: | --- |"
    for measure, goal, value, form in _measures(found):
        sign, met = ("at most", value <= goal) if form[0] == "<" else ("at least", value >= goal)
        yield f"| {measure} | {sign} {form[1:].format(goal)} | {form[1:].format(value)} | {_met(met)} |"
    yield ""
    if "own" in found and "memory" in found:
        yield "![Time and memory against agents](scaling.svg)"
        yield ""


def _measures(found: dict[str, Any]) -> Iterator[tuple[str, float, float, str]]:
    """Yield measure, goal, value, and how both are written: `<` where less is better, `>` where more is."""
    for row in found.get("own", ()):
        if row["model"] == OURS:
            name = f"own model, {row['agents']:,} agents, to the best peer ({row['best']})"
            yield name, row["goal"], row["ratio"], "<" + TIMES
    for row in found.get("speed", ()):
        yield f"{row['case']}, to Mesa's example", row["goal"], row["ratio"], ">" + TIMES
    if "engine" in found:
        engine = found["engine"]
        yield "a tick in which nothing happens", 60, engine["quiet_us"], "<{:.0f} us"
        yield "memory of an agent with two columns", 0.25, engine["agent_bytes"] / 1000, "<{:.2f} kB"
        yield "a user's system in a run, to a direct call", 1.05, engine["guard"]["ordinary"], "<" + TIMES
        each = engine["million"]
        yield f"ecology, {each['agents']:,} animals, memory of each", 1.2, each["bytes"] / 1000, "<{:.2f} kB"
        yield f"ecology, {each['agents']:,} animals, a tick", 2, each["tick_s"], "<{:.2f} s"
    for row in found.get("tick", {"rows": ()})["rows"]:
        if row["before"] is not None:
            ratio = row["now"]["whole tick"] / row["before"]["whole tick"]
            yield f"tactical tick, {row['agents']:,} agents, to the first edition", row["goal"], ratio, "<" + TIMES
        if row["agents"] == 100_000:
            yield "memory traffic of an agent, 100,000 in the game", 350, row["traffic"], "<{:.0f} bytes"
            if row["before"] is not None:
                ratio = row["load_s"] / row["load_before_s"]
                yield "load and first tick of 100,000, to the first edition", 0.5, ratio, "<" + TIMES
    for row in found.get("starts", ()):
        yield f"`{row['command']}`, to importing NumPy", row["goal"], row["multiple"], "<" + TIMES
    for row in found.get("jobs", ()):
        name = f"`--jobs 2`, {row['serial_s']:.0f} s of work (two programs: {row['control']:.2f} x)"
        yield name, row["goal"], row["speed_up"], ">" + TIMES


def _speed(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "## Speed beside Mesa's own examples"
    yield ""
    yield "Agents times ticks a second; animals and people count, grass does not. Ours hashes its state in every tick,"
    yield "records the run to a file and computes its metrics; Mesa's collects its data as the example does. Every"
    yield "recording was verified: match."
    yield ""
    yield "| model | agents | Mesa | ours | ours / Mesa | lowest to highest |"
    yield "| --- | --: | --: | --: | --: | --: |"
    for row in rows:
        low, high = min(row["ratios"]), max(row["ratios"])
        yield (
            f"| {row['case']} | {row['agents']:,} | {row['mesa_per_second']:,} | {row['ours_per_second']:,} | "
            f"**{row['ratio']:.1f}** | {low:.1f} to {high:.1f} |"
        )
    yield ""


def _own(rows: list[dict[str, Any]]) -> Iterator[str]:
    names = list(dict.fromkeys(name for row in rows for name in row["ratios"]))
    yield "## A user's own model: move and sense"
    yield ""
    yield "Time of ours, with digest and a recording to a file, divided by the time of each peer, which has neither."
    yield "The models are in `benchmarks/page`: `wandering` uses the methods of a grid, `wandering-by-hand` computes"
    yield "with coordinates as the peers' models do. Lower is better; the fastest peer counts. Verify is the time of"
    yield "proving a tick, to that of making it."
    yield ""
    yield "Two columns say what the comparison is worth. The peers with tables add up eight rolled maps, as users of"
    yield "NumPy do at first; `wandering-by-hand` widens the map by a cell and adds up lines, and `ambr, same"
    yield "sensing` is ambr with that function. `draws` is the time of our draws alone, divided by the best peer's"
    yield "whole tick: no tick of ours can take less. The peers take one number of a sequence for each agent"
    yield "(PCG64). Ours computes a block of Philox for each agent from seed, key, tick and purpose, so that no draw"
    yield "depends on the draws before it."
    yield ""
    extra = list(dict.fromkeys(name for row in rows for name in row.get("even", ())))
    head = [*names, "best peer", "verify", *extra, "draws"]
    yield f"| model | agents | {' | '.join(head)} |"
    yield f"| --- | --: | {' | '.join(['--:'] * len(head))} |"
    for row in rows:
        each = {**row["ratios"], **row.get("even", {})}
        cells = {name: f"{each[name]:.3f}" for name in each} | {"best peer": f"**{row['ratio']:.2f}** ({row['best']})"}
        cells |= {"verify": f"{row['verify']:.2f}"} | ({"draws": f"{row['draws']:.3f}"} if "draws" in row else {})
        yield f"| {row['model']} | {row['agents']:,} | {' | '.join(cells.get(name, '-') for name in head)} |"
    yield ""


def _engine(found: dict[str, Any]) -> Iterator[str]:
    each, guard = found["million"], found["guard"]
    quiet, held, kilobytes = found["quiet_us"], found["agent_bytes"], each["bytes"] / 1000
    yield "## The engine"
    yield ""
    yield f"- A tick of a domain with two columns and one system that does nothing, recorded: {quiet:.0f} microseconds."
    yield f"- An agent of two columns, one of 100,000: {held:.0f} bytes."
    yield f"- A user's system of sixty NumPy calls, to a direct call: {guard['ordinary']:.2f} in a run, and"
    yield f"  {guard['strict']:.1f} under the guard (`run --strict`, `doctor`)."
    yield f"- Ecology with {each['agents']:,} animals, recorded: {kilobytes:.2f} kB an animal at the peak, and"
    yield f"  {each['tick_s']:.2f} s a tick."
    yield ""


def _tick(found: dict[str, Any]) -> Iterator[str]:
    rows = [row for row in found["rows"] if row["before"] is not None]
    if not rows:
        return
    yield "## The whole tick of the tactical game, beside the first edition"
    yield ""
    yield "Ratios, new to old, of the same battle. Of every tick the least time of all rounds counts. The rest is the"
    yield "snapshot, the digest of what agents knew, and the report. Battles differ after some ticks, since here agents"
    yield "whose plan is refused plan again at once."
    yield ""
    yield from _by_part(rows, lambda row, part: row["now"][part] / row["before"][part])
    last = rows[-1]
    load = f"{last['load_s']:.2f} s, and {last['load_before_s']:.2f} s before"
    yield f"Loading {last['agents']:,} agents and their first tick take {load}."
    yield ""


def _by_part(rows: list[dict[str, Any]], value: Any, form: str = "{:.2f}") -> Iterator[str]:
    parts = sorted(rows[-1]["now"], key=lambda part: -rows[-1]["now"][part])
    parts = [part for part in parts if all(part in (row["before"] or row["now"]) for row in rows)]
    values = {part: [value(row, part) for row in rows] for part in parts}
    written = {part: ["" if each is None else form.format(each) for each in row] for part, row in values.items()}
    yield from _table("part", rows, written)


def _phases(rows: list[dict[str, Any]], bandwidth: float) -> Iterator[str]:
    plain = [row | {"before": None} for row in rows]
    yield "## Phases of the tactical tick"
    yield ""
    yield "Microseconds by the number of agents."
    yield ""
    yield from _by_part(plain, lambda row, part: row["now"][part], "{:,.0f}")
    steps = {after["agents"]: before for before, after in pairwise(plain)}
    if steps:
        yield "The growth from one size to the next, as an exponent: 1 is in proportion to the agents, 0 a fixed cost."
        yield ""
        yield from _by_part(plain[1:], lambda row, part: _growth(steps[row["agents"]], row, part))
    yield "The time divided by bytes touched at the measured bandwidth: what is above 1 is not memory. A system touches"
    yield "the columns that it declares to read and to write, once each; the digest what its traffic is; the whole tick"
    yield "the sum. The rest and the record touch few columns, and have no figure."
    yield ""
    yield from _by_part(plain, lambda row, part: _to_limit(row, part, bandwidth), "{:,.1f}")


def _growth(before: dict[str, Any], after: dict[str, Any], part: str) -> float | None:
    one, other = before["now"][part], after["now"][part]
    return math.log(other / one) / math.log(after["agents"] / before["agents"]) if one > 0 and other > 0 else None


def _to_limit(row: dict[str, Any], part: str, bandwidth: float) -> float | None:
    widths = row["bytes"] | {"digest": row["traffic"]}
    width = sum(widths.values()) if part == "whole tick" else widths.get(part, 0)
    return row["now"][part] * 1e3 * bandwidth / (width * row["agents"]) if width else None


def _layer(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "## What follows from a declaration, beside the first edition"
    yield ""
    goals = " and ".join(f"{row['goal']} at {row['agents']:,} agents" for row in rows)
    yield f"Ratios, new to old, of operations on what all agents of the battle know. The goal is {goals}."
    yield ""
    names = rows[0]["operations"]
    yield from _table(
        "operation", rows, {name: [f"{row['operations'][name]['ratio']:.2f}" for row in rows] for name in names}
    )


def _starts(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "## Start"
    yield ""
    yield f"Importing NumPy takes {rows[0]['numpy_s']:.2f} s. Commands take in multiples of it, with compiled bytecode:"
    yield ""
    for row in rows:
        yield f"- `{row['command']}`: {row['multiple']:.1f}"
    yield ""


def _jobs(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield "## Many runs"
    yield ""
    yield "`versus skirmish` by the clock, with one process and with `--jobs 2`. Beside it stands the gain of two"
    yield "independent programs of pure Python at the same moment."
    yield ""
    for row in rows:
        gain = f"{row['speed_up']:.2f} times as fast; two programs {row['control']:.2f}"
        yield f"- {row['serial_s']:.1f} s of work: {gain}"
    yield ""


def _agreement(found: dict[str, Any]) -> Iterator[str]:
    rows = found["rows"]
    yield "## Agreement with Mesa's own examples"
    yield ""
    verdict = "agree" if found["agrees"] else "**disagree**"
    yield f"{found['seeds']} seeds each, the same settings; means with 95 percent t intervals. `inside`: each mean lies"
    yield "in the other's interval; two equal models miss this by chance in about one number of six. `p`: Welch's test"
    yield f"of equal means. {found['inside']} of {len(rows)} numbers are inside. The smallest p, adjusted for the count"
    yield f"of tests (Benjamini-Yekutieli), is {found['smallest_adjusted_p']:.2f}: the models {verdict}."
    yield ""
    yield "| setting | number | Mesa | ours | inside | p |"
    yield "| --- | --- | --: | --: | --- | --: |"
    for row in rows:
        yield (
            f"| {row['case']} | {row['number']} | {_mean(row, 'mesa')} | {_mean(row, 'ours')} | "
            f"{'yes' if row['inside'] else 'no'} | {row['p']:.2f} |"
        )
    yield ""


def _mean(row: dict[str, Any], side: str) -> str:
    digits = 3 if abs(row[side]) < 10 else 1
    mean, low, high = (f"{row[side + part]:,.{digits}f}" for part in ("", "_low", "_high"))
    return f"{mean} ({low} to {high})"


def _table(first: str, rows: list[dict[str, Any]], cells: dict[str, list[str]]) -> Iterator[str]:
    """Yield a table with a column for each number of agents."""
    agents = [f"{row['agents']:,}" for row in rows]
    yield f"| {first} | {' | '.join(agents)} |"
    yield f"| --- | {' | '.join(['--:'] * len(rows))} |"
    for name, values in cells.items():
        yield f"| {name} | {' | '.join(values)} |"
    yield ""


def _met(met: bool) -> str:  # noqa: FBT001 - one word for one truth
    return "met" if met else "missed"
