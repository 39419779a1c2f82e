"""A replay as files for other tools: Parquet or CSV, one file a table, and one that describes the columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from sim.extras import extra
from sim.replay.format import Header
from sim.replay.frames import Frame, frames
from sim.replay.reader import Progress, Source, untold
from sim.run.domain import Metric
from sim.run.writing import whole
from sim.tables.metrics import metrics_of
from sim.tables.rows import NAMES, VERSION, Batches, Rows

Form = Literal["parquet", "csv"]
ROWS: Final = 100_000
"""Rows that are held in memory before they are written."""
DESCRIPTION: Final = "tables.json"
"""The file that describes the columns."""


@dataclass(slots=True)
class Made:
    """The result of an export: rows by table, the files, and ticks."""

    rows: dict[str, int]
    files: list[Path]
    ticks: int = 0


def export(
    source: Source,
    folder: Path,
    *,
    form: Form = "parquet",
    tables: Sequence[str] = NAMES,
    metrics: Sequence[str] = (),
    more: Mapping[str, Metric] | None = None,
    every: int = 1,
    plugin_files: Sequence[Path] = (),
    progress: Progress = untold,
) -> Made:
    """Run a replay again and write its tables into a folder, which has to be there.

    Args:
        source: the replay.
        folder: where the files go.
        form: `parquet`, or `csv` (lists and records as JSON).
        tables: which ones.
        metrics: as `sim.tables.metrics.metrics_of` takes them.
        more: further metrics by name.
        every: the tables of agents and metrics have only ticks that are divisible by this.
        plugin_files: the local files of its domain and plug-ins.
        progress: receives ticks done and ticks planned.

    Raises:
        MissingExtra: pyarrow is not installed.
        ReplayError: as `frames`.
        ScenarioError: there is no such metric.
    """
    made = Made(dict.fromkeys(tables, 0), [])
    with ExitStack() as stack:
        writers: dict[str, _Writer] = {}
        for rows, batches, header in ticks_of(
            frames(source, plugin_files, progress), tables, metrics, more or {}, every
        ):
            if not writers:
                for name, schema in rows.schemas.items():
                    file = stack.enter_context(whole(folder / f"{name}.{form}", replace=True))
                    writers[name] = _Writer(file, form, schema)
                    stack.callback(writers[name].give_up)
                about = stack.enter_context(whole(folder / DESCRIPTION, replace=True))
                about.write(_description(rows, header))
            made.ticks += 1
            for name, batch in batches.items():
                writers[name].write(batch)
                made.rows[name] += batch.num_rows
        for writer in writers.values():
            writer.close()
        made.files = [folder / name for name in (DESCRIPTION, *(f"{name}.{form}" for name in writers)) if writers]
    return made


def ticks_of(
    seen: Iterable[Frame], tables: Sequence[str], metrics: Sequence[str], more: Mapping[str, Metric], every: int
) -> Iterator[tuple[Rows, Batches, Header]]:
    """Yield the rows of each tick; `Rows` is the same every time."""
    rows: Rows | None = None
    for frame in seen:
        simulation = frame.playback.simulation
        if rows is None:
            chosen = {**metrics_of(metrics, simulation.metrics_by_name), **more}
            rows = Rows(simulation.domain, frame.world, chosen, tables, frame.playback.header.llm)
        assert frame.playback.report is not None
        batches = rows.of(frame.world, frame.record, frame.playback.report.plans, simulation.registry, every)
        yield rows, batches, frame.playback.header


def _description(rows: Rows, header: Header) -> bytes:
    columns = {
        name: {
            field.name: {
                "type": str(field.type),
                **({"unit": field.metadata[b"unit"].decode()} if field.metadata else {}),
            }
            for field in schema
        }
        for name, schema in rows.schemas.items()
    }
    about = {
        "tickweave_tables": VERSION,
        "tickweave": version("tickweave"),
        "scenario": header.scenario["name"],
        "domain": header.scenario["domain"],
        "seed": header.seed,
        "run": header.run,
        "ticks_per_second": header.scenario.get("ticks_per_second"),
        "tables": columns,
    }
    return (json.dumps(about, indent=1) + "\n").encode()


class _Writer:
    """Writes one table; batches are gathered so that a file has few row groups."""

    def __init__(self, file: BinaryIO, form: Form, schema: Any) -> None:
        self._form, self._schema = form, schema
        self._held: list[Any] = []
        self._rows = 0
        if form == "csv":
            self._flat = _flat_schema(schema)
            self._file = extra("pyarrow.csv", "an export").CSVWriter(file, self._flat)
        else:
            parquet = extra("pyarrow.parquet", "an export")
            self._file = parquet.ParquetWriter(file, schema, compression="zstd")

    def write(self, batch: Any) -> None:
        self._held.append(batch)
        self._rows += batch.num_rows
        if self._rows >= ROWS:
            self._flush()

    def _flush(self) -> None:
        pa = extra("pyarrow", "an export")
        if not self._held:
            return
        table = pa.Table.from_batches(self._held, self._schema)
        if self._form == "csv":
            table = pa.table([_flat(column) for column in table.columns], schema=self._flat)
        self._file.write_table(table)
        self._held, self._rows = [], 0

    def close(self) -> None:
        """Write what is left."""
        self._flush()
        self._file.close()

    def give_up(self) -> None:
        """Close a table that failed while its file is open: its library would try later, and print what it meets."""
        with suppress(Exception):
            self._file.close()


def _flat_schema(schema: Any) -> Any:
    """Return the schema of a CSV file: lists as texts."""
    pa = extra("pyarrow", "an export")
    return pa.schema(
        [pa.field(each.name, pa.string() if pa.types.is_list(each.type) else each.type) for each in schema]
    )


def _flat(column: Any) -> Any:
    """Return a column with lists written as JSON."""
    pa = extra("pyarrow", "an export")
    if not pa.types.is_list(column.type):
        return column
    texts = [None if each is None else json.dumps(each, ensure_ascii=False) for each in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])
