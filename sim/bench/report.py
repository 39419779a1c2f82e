"""The result as data, as Markdown and as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from rich.table import Table

from sim.bench.figures import Figures
from sim.bench.orders import Orders
from sim.bench.proof import Proof
from sim.bench.rounds import Cell
from sim.bench.strategies import Sample

COLUMNS: Final = (
    "way", "calls", "total s", "first plan s", "tokens in", "cached", "tokens out", "steps", "legal", "x N", "x B",
    "x S", "first / B",
)  # fmt: skip
"""The columns of a table for one number of agents."""

TABLE_CHARS: Final = 140
"""Width of a table on a terminal; one that is cut says nothing."""
LEGEND: Final = (
    "N: naive singles. B: careful singles in named JSON. S: singles in the same encoding. `x N` is how many "
    "times faster than N a strategy is in total, and so on; `first / B` is the time to its first complete plan over "
    "B's total."
)


@dataclass(slots=True)
class Result:
    """Everything that one benchmark found: the place, the subject, the measurements, the parts left out and why."""

    model: str
    endpoint: Mapping[str, Any] | None
    machine: Mapping[str, Any]
    note: str
    scenario: str
    seed: int
    tick: int
    rounds: int
    steps: int | None = None
    samples: list[Sample] = field(default_factory=list)
    figures: list[Figures] = field(default_factory=list)
    left_out: list[Cell] = field(default_factory=list)
    reason: str = ""
    proof: Proof | None = None
    orders: Orders | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        names = ("model", "endpoint", "machine", "note", "scenario", "seed", "tick", "rounds", "steps")
        return {
            **{name: getattr(self, name) for name in names},
            "figures": [_plain(asdict(each)) for each in self.figures],
            "samples": [_plain(asdict(each)) for each in self.samples],
            "left_out": [[cell.round, cell.agents, cell.strategy.name] for cell in self.left_out],
            "reason": self.reason,
            "replay": None if self.proof is None else asdict(self.proof),
            "orders": None if self.orders is None else asdict(self.orders),
        }

    def sentences(self) -> list[str]:
        """Return the sentences below the tables: the orders, the replay's verdict and the parts left out."""
        told = [] if self.orders is None else [self.orders.sentence()]
        if self.proof is not None:
            plans = ", ".join(f"{tier} {count}" for tier, count in self.proof.tiers.items()) or "none"
            told.append(
                f"Recorded run of {self.proof.ticks} ticks (plans: {plans}), verified with the client gone: "
                f"{self.proof.verdict}{f' ({self.proof.reason})' if self.proof.reason else ''}."
            )
        if self.left_out:
            named = sorted({f"{cell.strategy.name} for {cell.agents}" for cell in self.left_out})
            told.append(
                f"{self.reason}: {len(self.left_out)} measurements were left out "
                f"({', '.join(named[:8])}{' and others' if len(named) > 8 else ''})."
            )
        return told

    def markdown(self, plot: str | None) -> str:
        """Return the page; `plot` is the file name of the picture beside it."""
        at = self.endpoint or {}
        told = [f"{name} {at[name]}" for name in ("flavour", "slots", "context") if at.get(name)]
        packages = ", ".join(f"{name} {number}" for name, number in self.machine["packages"].items())
        lines = [
            "# Ways of asking a model, measured",
            "",
            f"- model: {self.model}{f' ({self.note})' if self.note else ''}",
            f"- server: {', '.join(told) or 'none'}",
            f"- machine: {self.machine['processor']}, {self.machine['cores']} cores, {self.machine['system']}",
            f"- Python {self.machine['python']}, {packages}",
            f"- questions: agents of scenario {self.scenario}, seed {self.seed}, after tick {self.tick}",
            f"- plans of {'as many steps as the model likes' if self.steps is None else f'exactly {self.steps} steps'}",
            f"- {self.rounds} interleaved rounds; medians",
            "",
            LEGEND,
        ]
        for agents in sorted({each.agents for each in self.figures}):
            lines += ["", f"## {agents} agents", "", f"| {' | '.join(COLUMNS)} |", "| --- " + "| ---: " * 12 + "|"]
            lines += [f"| {' | '.join(_row(each, self.rounds))} |" for each in self.figures if each.agents == agents]
        if plot is not None:
            lines += ["", f"![total time and time to the first plan]({plot})"]
        if self.orders is not None:
            lines += ["", "## The same agents in drawn orders", "", self.orders.sentence(), "", "## Run and replay"]
        for sentence in self.sentences()[0 if self.orders is None else 1 :]:
            lines += ["", sentence]
        return "\n".join(lines) + "\n"

    def tables(self) -> list[Table]:
        """Return one table for each number of agents."""
        found = []
        for agents in sorted({each.agents for each in self.figures}):
            table = Table(title=f"{agents} agents", title_justify="left", box=None, pad_edge=False, width=TABLE_CHARS)
            for place, column in enumerate(COLUMNS):
                table.add_column(column, justify="left" if place == 0 else "right", no_wrap=True)
            for each in self.figures:
                if each.agents == agents:
                    table.add_row(*_row(each, self.rounds))
            found.append(table)
        return found


def _row(of: Figures, rounds: int) -> Sequence[str]:
    name = of.strategy.name if of.rounds == rounds else f"{of.strategy.name} ({of.rounds} of {rounds} rounds)"
    return (
        name,
        str(of.calls),
        _number(of.total_s, 2),
        _number(of.first_s, 2),
        _number(of.prompt_tokens, 0),
        _number(of.cached_tokens, 0),
        _number(of.completion_tokens, 0),
        _number(of.steps, 1),
        f"{of.valid:.0%}",
        _number(of.over_n, 1),
        _number(of.over_b, 1),
        _number(of.over_s, 2),
        "-" if of.first_share is None else f"{of.first_share:.1%}",
    )


def _number(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:,.{places}f}"


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """Return fields with the strategy by its name, and measured numbers to the microsecond."""
    strategy = data.pop("strategy")
    way = {"way": str(strategy["kind"]), "encoding": strategy["encoding"]}
    return way | {name: round(value, 6) if isinstance(value, float) else value for name, value in data.items()}
