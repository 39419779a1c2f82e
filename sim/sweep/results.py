"""The results of a sweep's cells: rows on disk while it runs, one table in the end.

Every worker appends its rows to a file of its own, a JSON object a line, so that nothing is shared and few files are
made. A line that a killed worker left unfinished counts as not written. Times stay in those files: the table holds only
what running a cell again gives.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from sim.errors import ReplayError
from sim.extras import extra
from sim.run.writing import whole
from sim.sweep.spec import ABOUT, FIXED
from sim.sweep.statistics import Estimate, estimate

RESULTS: Final = "results"
"""The folder of the workers' files."""
TABLE: Final = "results.csv"
"""The table."""
MEASURED: Final = ("wall_s",)
"""The columns that are measured, and so differ from run to run: they are not part of the table."""
FILES_MAX: Final = 100_000
"""Files of workers that one sweep may have."""

Row = dict[str, Any]


class RowFile:
    """The file that one worker appends rows to; it is made with the first row, under an unused name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: io.FileIO | None = None

    def append(self, row: Mapping[str, Any]) -> None:
        """Write one row and hand it to the operating system.

        Raises:
            OSError: it cannot be written.
        """
        if self._file is None:
            self._file = self._made()
        self._file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        self._file.flush()

    def _made(self) -> io.FileIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        number = 0
        while True:
            with suppress(FileExistsError):
                return io.FileIO(
                    os.open(self._folder / f"worker-{number:05d}.jsonl", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644),
                    "wb",
                )
            number += 1
            if number > FILES_MAX:
                raise ReplayError(f"{self._folder}: holds more than {FILES_MAX} files of workers")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def rows_in(folder: Path) -> dict[int, Row]:
    """Return the rows that workers wrote, by cell; of several for one cell, a finished one counts."""
    found: dict[int, Row] = {}
    for file in sorted(folder.glob("worker-*.jsonl")):
        for row in _whole_lines(file):
            number = row.get("cell")
            if isinstance(number, int) and (number not in found or found[number].get("status") != "done"):
                found[number] = row
    return found


def _whole_lines(file: Path) -> Iterator[Row]:
    for line in file.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            continue
        with suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict):
                yield row


@dataclass
class Results:
    """The table of a sweep.

    Attributes:
        rows: a row for each cell that has been run, put in order of cells.
        count: how many cells there are.
        settings: the columns that say what differs between cells.
        folder: where the sweep is kept; None where it is not.
    """

    rows: list[Row]
    count: int
    settings: tuple[str, ...] = ()
    folder: Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Sort the rows."""
        self.rows.sort(key=lambda row: int(row["cell"]))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of the table."""
        names = [name for row in self.rows for name in row if name not in MEASURED]
        return tuple(dict.fromkeys([*FIXED, *self.settings, *names]))

    @property
    def failed(self) -> list[Row]:
        """The rows of cells that failed."""
        return [row for row in self.rows if row["status"] != "done"]

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The columns of metrics and scores that are numbers."""
        own = [name for name in self.columns if name not in (*FIXED, *self.settings, *ABOUT)]
        return tuple(
            name for name in own if all(isinstance(row.get(name), int | float) for row in self.rows if name in row)
        )

    def csv(self) -> str:
        """Return the table as CSV."""
        sink = io.StringIO()
        writer = csv.DictWriter(sink, self.columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            writer.writerow({name: _cell(value) for name, value in row.items()})
        return sink.getvalue()

    def write(self, folder: Path) -> Path:
        """Write the table into a folder and return its file."""
        target = folder / TABLE
        with whole(target, replace=True) as file:
            file.write(self.csv().encode())
        return target

    def to_pandas(self) -> Any:
        """Return the table as a data frame.

        Raises:
            MissingExtra: pandas is not installed.
        """
        return extra("pandas", "a data frame").DataFrame(self.rows, columns=list(self.columns))

    @property
    def group_columns(self) -> tuple[str, ...]:
        """The columns by which runs with other seeds belong together."""
        varied = [name for name in ("planner", "model") if len({row[name] for row in self.rows}) > 1]
        return (*self.settings, *varied)

    def groups(self) -> dict[tuple[Any, ...], list[Row]]:
        """Return the finished rows by their settings, planner and model."""
        found: dict[tuple[Any, ...], list[Row]] = {}
        for row in self.rows:
            if row["status"] == "done":
                found.setdefault(tuple(_cell(row.get(name)) for name in self.group_columns), []).append(row)
        return found

    def used(self, rows: Sequence[Row]) -> tuple[int, float | None]:
        """Return the tokens that models read and wrote in some rows, and their cost, where all of it is known."""
        tokens = sum((row["prompt_tokens"] or 0) + (row["completion_tokens"] or 0) for row in rows)
        costs = [row["cost"] for row in rows if row["calls"]]
        return tokens, None if None in costs else sum(costs)

    def summary(self, metrics: Sequence[str] = ()) -> list[tuple[tuple[Any, ...], int, dict[str, Estimate]]]:
        """Return for each group its settings, the number of runs, and the mean of each metric with its interval."""
        return [
            (
                group,
                len(rows),
                {name: estimate([row[name] for row in rows if name in row]) for name in metrics or self.metrics},
            )
            for group, rows in self.groups().items()
        ]


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict | tuple) else value
