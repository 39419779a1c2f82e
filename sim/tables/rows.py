"""The rows that one tick adds to each table.

| table | one row for each |
| --- | --- |
| `agents` | agent alive after each tick: its columns |
| `plans` | plan given to an agent: the tier, the steps, and the reply of a model |
| `attempts` | failed try of a tier for an agent: the outcome and the error |
| `calls` | call of a model: the agents asked, how the reply ended, tokens |
| `inputs` | input from outside, and why it was refused |
| `metrics` | tick: the value of every metric, and the result of the tick |

Ticks are counted as everywhere: a row of tick 5 holds what was true after tick 5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from ai.plans import BatchPlans
from sim.errors import ScenarioError
from sim.extras import extra
from sim.messages import quoted
from sim.replay.format import Tick
from sim.replay.record import attempted, tried
from sim.run.checks import measured
from sim.run.domain import Domain, Metric
from sim.run.world import World
from sim.tables.columns import Out, arrow_type, outs_of, values

VERSION: Final = 1
"""Version of the tables' content; a higher one may have other columns."""
NAMES: Final = ("agents", "plans", "attempts", "calls", "inputs", "metrics")
"""The tables."""
UNITS: Final = {"tick": "ticks", "prompt_tokens": "tokens", "completion_tokens": "tokens"}
"""Units of columns that are the same in every domain."""

Batches = dict[str, Any]
"""Arrow record batches by table, of tables that have rows."""


class Rows:
    """Turns ticks into rows.

    Args:
        domain: the domain of the run.
        world: its world, set up.
        metrics: the metrics by name.
        tables: which tables are wanted.
        llm: the label of the run's model, None without one.

    Attributes:
        schemas: the Arrow schema of each table, with units and version.
    """

    def __init__(
        self, domain: Domain, world: World, metrics: Mapping[str, Metric], tables: Sequence[str], llm: str | None
    ) -> None:
        wrong = next((name for name in tables if name not in NAMES), None)
        if wrong is not None:
            raise ScenarioError(f"no table {quoted(wrong)}; tables: {', '.join(NAMES)}")
        self._domain, self._metrics, self._llm = domain, dict(metrics), llm
        self._makers = {
            "agents": self._agents,
            "plans": self._plans,
            "attempts": self._attempts,
            "calls": self._calls,
            "inputs": self._inputs,
            "metrics": self._measures,
        }
        self._outs: tuple[Out, ...] = outs_of(world)
        self._wide = {name for name, value in self._measured(world).items() if np.ndim(value)}
        self.schemas = {name: self._schema(name) for name in tables}

    def _measured(self, world: World) -> dict[str, Any]:
        return {name: measured(name, metric, world, self._domain) for name, metric in self._metrics.items()}

    def _schema(self, table: str) -> Any:
        pa = extra("pyarrow", "a table")
        text, tick, count = pa.string(), pa.int32(), pa.int64()
        fields: dict[str, list[tuple[str, Any]]] = {
            "agents": [("tick", tick), ("key", count), *((out.name, arrow_type(out)) for out in self._outs)],
            "plans": [("tick", tick), ("key", count), ("tier", text), ("steps", tick), ("plan", text), ("reply", text)],
            "attempts": [("tick", tick), ("key", count), ("tier", text), ("outcome", text), ("error", text)],
            "calls": [
                ("tick", tick), ("call", tick), ("tier", text), ("agents", tick), ("first", count), ("last", count),
                ("finish", text), ("prompt_tokens", count), ("completion_tokens", count), ("call_record", text),
            ],
            "inputs": [("tick", tick), ("place", tick), ("kind", text), ("input", text), ("refused", text)],
            "metrics": [
                ("tick", tick), ("agents", count), ("outcome", text),
                *((name, pa.list_(pa.float64()) if name in self._wide else pa.float64()) for name in self._metrics),
            ],
        }  # fmt: skip
        units = {**UNITS, **{out.name: out.spec.unit for out in self._outs if out.spec.unit}}
        return pa.schema(
            [
                pa.field(name, kind, metadata={"unit": units[name]} if name in units else None)
                for name, kind in fields[table]
            ],
            metadata={"tickweave_tables": str(VERSION), "table": table, "domain": self._domain.name},
        )

    def of(self, world: World, tick: Tick, plans: BatchPlans | None, registry: Any, every: int = 1) -> Batches:
        """Return the rows of a tick, as Arrow record batches by table.

        Agents and metrics have rows only in ticks divisible by `every`.
        """
        pa = extra("pyarrow", "a table")
        found: Batches = {}
        for table, schema in self.schemas.items():
            if tick.t % every and table in ("agents", "metrics"):
                continue
            columns = self._makers[table](world, tick, plans, registry)
            if columns and len(columns[0]):
                found[table] = pa.record_batch(
                    [
                        each if isinstance(each, pa.Array) else pa.array(each, kind)
                        for each, kind in zip(columns, schema.types, strict=True)
                    ],
                    schema=schema,
                )
        return found

    def _agents(self, world: World, tick: Tick, *_: Any) -> list[Any]:
        pa = extra("pyarrow", "a table")
        return [
            pa.array(np.full(world.n, tick.t, np.int32)),
            pa.array(world.keys.copy()),
            *(values(out, world) for out in self._outs),
        ]

    def _plans(self, world: World, tick: Tick, plans: BatchPlans | None, registry: Any) -> list[Any]:
        del world
        if plans is None:
            return []
        given = plans.plans.take((plans.plans.tier >= 0).nonzero()[0])
        keys = given.keys.tolist()
        steps = [[step.model_dump(mode="json") for step in given.steps(row, registry)] for row in range(len(keys))]
        return [
            [tick.t] * len(keys),
            keys,
            [plans.tiers[number] for number in given.tier.tolist()],
            given.length.tolist(),
            [json.dumps(each, ensure_ascii=False) for each in steps],
            [tick.texts.get(str(key)) for key in keys],
        ]

    def _attempts(self, world: World, tick: Tick, *_: Any) -> list[Any]:
        del world
        rows = [
            (tick.t, key, each.tier, each.outcome, each.error)
            for each in tried(tick, self._llm)
            for key in attempted(tick, each).tolist()
        ]
        return _turned(rows)

    def _calls(self, world: World, tick: Tick, *_: Any) -> list[Any]:
        del world
        rows = []
        for number, call in enumerate(tick.shards):
            first, last = call.get("agents", (None, None))
            usage = call.get("usage") or {}
            rows.append(
                (
                    tick.t, number, call.get("tier"), call.get("k"), first, last, call.get("finish"),
                    usage.get("prompt_tokens"), usage.get("completion_tokens"), json.dumps(call, ensure_ascii=False),
                )
            )  # fmt: skip
        return _turned(rows)

    def _inputs(self, world: World, tick: Tick, *_: Any) -> list[Any]:
        del world
        refused = {each.at: each.why for each in tick.refused}
        rows = [
            (tick.t, place, str(each.get("kind")), json.dumps(each, ensure_ascii=False), refused.get(place))
            for place, each in enumerate(tick.inputs)
        ]
        return _turned(rows)

    def _measures(self, world: World, tick: Tick, *_: Any) -> list[Any]:
        found = self._measured(world)
        return [
            [tick.t],
            [world.n],
            [tick.outcome],
            *(
                [np.asarray(value, np.float64).ravel().tolist()] if name in self._wide else [float(value)]
                for name, value in found.items()
            ),
        ]


def _turned(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [list(column) for column in zip(*rows, strict=True)]
