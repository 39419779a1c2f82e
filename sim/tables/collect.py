"""Tables in memory: of a run that is made now, or of a replay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sim.engine.values import integer
from sim.errors import ScenarioError
from sim.extras import extra
from sim.messages import suggestion
from sim.replay.frames import Frame, frames
from sim.replay.reader import Source
from sim.replay.record import header_of, planned_ticks, tick_of
from sim.run.domain import Metric
from sim.run.scenario_file import TICKS_MAX
from sim.tables.export import ticks_of
from sim.tables.rows import NAMES, Batches, Rows

if TYPE_CHECKING:
    from sim.run.simulation import Simulation


class Collected:
    """The tables of a run, each an attribute, as a pandas data frame.

    `arrow(name)` gives a table as Arrow, with units.

    Attributes:
        agents: a row for each agent and tick.
        plans: a row for each plan.
        attempts: a row for each failed try of a tier.
        calls: a row for each call of a model.
        inputs: a row for each input from outside.
        metrics: a row for each tick.

    Raises:
        MissingExtra: pandas is not installed.
    """

    agents: Any
    plans: Any
    attempts: Any
    calls: Any
    inputs: Any
    metrics: Any

    def __init__(self, schemas: Mapping[str, Any], batches: Sequence[Batches]) -> None:
        pa = extra("pyarrow", "a table")
        self._tables = {
            name: pa.Table.from_batches([each[name] for each in batches if name in each], schema)
            for name, schema in schemas.items()
        }

    def arrow(self, name: str) -> Any:
        """Return a table as Arrow.

        Raises:
            ScenarioError: there is no such table.
        """
        if name not in self._tables:
            raise ScenarioError(f"no table {name!r}; {suggestion(name, list(self._tables), 'tables')}")
        return self._tables[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in NAMES:
            raise AttributeError(name)
        extra("pandas", "a data frame")
        frame = self.arrow(name).to_pandas()
        self.__dict__[name] = frame
        return frame

    def __repr__(self) -> str:
        return ", ".join(f"{name}: {table.num_rows:,} rows" for name, table in self._tables.items())


def collect(
    simulation: Simulation,
    ticks: int | None = None,
    *,
    metrics: Mapping[str, Metric] | None = None,
    tables: Sequence[str] | None = None,
    every: int = 1,
) -> Collected:
    """Run a simulation and return its tables.

    Args:
        simulation: goes on from where it is.
        ticks: whole ticks in all, as `Simulation.run` takes them.
        metrics: further metrics by name.
        tables: which ones.
        every: the tables of agents and metrics have only ticks that are divisible by this.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    every = integer(every, 1, TICKS_MAX, "every")
    header = header_of(simulation, ticks=planned_ticks(simulation, ticks))
    chosen = {**simulation.metrics_by_name, **(metrics or {})}
    rows = Rows(simulation.domain, simulation.world, chosen, tables or NAMES, simulation.llm)
    batches = [
        rows.of(simulation.world, tick_of(report, header), report.plans, simulation.registry, every)
        for report in simulation.reports(ticks)
    ]
    return Collected(rows.schemas, batches)


def collected(
    source: Source | Iterable[Frame],
    *,
    metrics: Mapping[str, Metric] | None = None,
    tables: Sequence[str] = NAMES,
    every: int = 1,
    plugin_files: Sequence[Path] = (),
) -> Collected:
    """Run a replay again and return its tables; a metric written today runs on an old recording.

    Raises:
        MissingExtra: pyarrow is not installed.
        ReplayError: as `frames`; also where the replay has no tick.
    """
    seen = frames(source, plugin_files) if isinstance(source, str | Path | bytes) else source
    batches: list[Batches] = []
    schemas: Mapping[str, Any] = {}
    for rows, batch, _ in ticks_of(seen, tables, (), metrics or {}, every):
        schemas = rows.schemas
        batches.append(batch)
    return Collected(schemas, batches)
