"""A viewer's data of a run: its description, and then, frame by frame, the changes. Plain data, ready for JSON.

A page of a whole replay and a live view take the same frames. A frame holds differences from the frame before, so that
a thousand agents over hundreds of ticks fit into a file that can be mailed. The keys of a frame:

| key | what |
| --- | --- |
| `t` | the tick; -1 for the start |
| `b`, `d` | keys born and gone, as gaps between them |
| `c` | `[series, gaps or null for all agents, differences]`, or values themselves with a fourth entry 1 |
| `l` | the same for the cells of layers |
| `m` | metrics, in the order of `about.metrics` |
| `p` | the agents that each tier planned for, as runs of keys |
| `q` | `[key, [steps]]`: numbers of texts |
| `o` | the origin of model plans, by key: knowledge, prompt, reply |
| `r`, `g` | the agents that a model was asked for, and those that another tier bridges, as runs of keys |
| `a` | attempts that failed: tier, outcome, keys, error |
| `i` | inputs, as texts; refused ones with the reason |
| `u` | calls and tokens of models |
| `e` | how the run ended |
| `s` | texts that are new, numbered in the order in which they occur |
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ai.observation import ObservationBatch
from sim.replay.format import Header, Tick, keys_of, plain
from sim.replay.show import origin
from sim.run.portrayal import COLOUR, GROUP, KEY, Layer, Look, cells_of
from sim.run.simulation import Simulation
from sim.run.world import World
from sim.space import Grid
from sim.viewer.series import ABSENT, Series, StringTable, differences, series_of

VERSION: Final = 1
"""Of the form that is described above."""
CELLS_MAX: Final = 1 << 18
"""Cells of a layer; of a larger one every second, third ... row and column is shown."""
LINKS_MAX: Final = 20_000
"""Links of a network that are drawn."""
NODES_MAX: Final = 100_000
"""Nodes of a network that is drawn; of a larger one the page shows the table alone."""
CHANGES_MAX: Final = 40_000_000
"""Values that a page may hold; the memory of a browser is the limit."""
ORIGIN_CHARS_MAX: Final = 20_000_000
"""Characters of knowledge, prompts and replies in one page."""
TEXT_CHARS_MAX: Final = 100_000
"""Characters of one knowledge, prompt or reply."""


class Collector:
    """Turns a run into frames.

    Args:
        simulation: the run, before its first tick.
        header: the header of its replay.
        details: False leaves out what a viewer can ask for instead: plans of rules and the values that are not drawn.

    Attributes:
        about: the description of the run.
        changes: values in all frames so far.
    """

    def __init__(self, simulation: Simulation, header: Header, *, details: bool = True) -> None:
        world, portrayal = simulation.world, simulation.portrayal
        self._strings = StringTable()
        self._groups = tuple(simulation.domain.groups(world)[0])
        every = series_of(world, portrayal, self._groups, self._strings)
        self.series = [each for each in every if each.shown or details]
        self._details = details
        self._layers = [_Cells(layer, world) for layer in portrayal.layers]
        self._keys: NDArray[np.int64] = np.zeros(0, np.int64)
        self._origins = 0
        self.changes = 0
        self._metrics = list(numbers_of(simulation))
        self.about = {
            "version": VERSION,
            "scenario": simulation.scenario.name,
            "description": simulation.scenario.description,
            "domain": type(simulation.domain).name,
            "seed": simulation.seed,
            "ticks": header.ticks,
            "ticks_per_second": simulation.scenario.ticks_per_second,
            "model": header.llm,
            "tiers": list(simulation.tiers),
            "groups": list(self._groups),
            "spaces": self._spaces(simulation),
            "series": [{"name": each.name, "shown": each.shown, **each.about} for each in self.series],
            "looks": [self._look(look) for look in portrayal.looks],
            "layers": [layer.about for layer in self._layers],
            "metrics": self._metrics,
        }

    def _look(self, look: Look) -> dict[str, Any]:
        """Return a look with numbers of series in place of columns; -1 stands for the key."""
        numbers = {KEY: -1, **{each.name: number for number, each in enumerate(self.series)}}
        colour = look.colour or (GROUP if self._groups else "")
        return {
            "name": look.title,
            "glyph": look.mark,
            "space": look.space,
            "place": [numbers[place] for place in look.places],
            "colour": numbers.get(colour),
            "fixed": colour if COLOUR.fullmatch(colour) else None,
            "names": list(look.names),
            "size": numbers[look.size] if look.size else None,
            "label": numbers[look.label] if look.label else None,
        }

    def _spaces(self, simulation: Simulation) -> list[dict[str, Any]]:
        """Return the spaces that agents or layers are in; a grid of the layers' shape where the domain has none."""
        portrayal, spaces = simulation.portrayal, simulation.run_context.spaces
        used = {look.space: look for look in portrayal.looks if look.places}
        found = []
        for name in dict.fromkeys([*used, *(layer.space for layer in portrayal.layers)]):
            if getattr(spaces.get(name), "kind", "") == "network" and spaces[name].size > NODES_MAX:
                continue  # too many nodes to draw: the table is left
            if name:
                found.append({"name": name, **described(spaces[name])})
            else:
                shape = next((each.shape for each in self._layers if not each.layer.space), None)
                size = {} if shape is None else {"width": shape[1], "height": shape[0]}
                found.append({"name": "", "kind": "grid", "torus": False, "many": True, **size})
        return found

    def start(self, simulation: Simulation) -> dict[str, Any]:
        """Return the frame of a run before its first tick, or of one that is joined later."""
        return self._frame(simulation, simulation.world.tick - 1)

    def frame(self, simulation: Simulation, record: Tick, batch: ObservationBatch[Any] | None = None) -> dict[str, Any]:
        """Return the frame of the tick that was run last.

        Args:
            simulation: the run after the tick.
            record: the record of the tick.
            batch: the knowledge of the agents that were planned for in it.
        """
        frame = self._frame(simulation, record.t)
        if record.planned:
            frame["p"] = dict(record.planned)
            self._plans(simulation, record, batch, frame)
        if record.bridged:
            frame["g"] = record.bridged
        if record.asked:
            frame["r"] = record.asked
        if record.attempts:
            frame["a"] = [[each.tier, each.outcome, each.keys, each.error] for each in record.attempts]
        if record.inputs:
            why = {refused.at: refused.why for refused in record.refused}
            frame["i"] = [[json.dumps(plain(item)), why.get(at)] for at, item in enumerate(record.inputs)]
        if record.usage is not None:
            frame["u"] = plain(record.usage)
        if record.outcome is not None:
            frame["e"] = record.outcome
        new = self._strings.take()
        if new:
            frame["s"] = [*frame.get("s", ()), *new]
        return frame

    def _frame(self, simulation: Simulation, tick: int) -> dict[str, Any]:
        world = simulation.world
        frame: dict[str, Any] = {"t": tick}
        born = np.setdiff1d(world.keys, self._keys, assume_unique=True)
        gone = np.setdiff1d(self._keys, world.keys, assume_unique=True)
        self._keys = world.keys.copy()
        for name, keys in (("b", born), ("d", gone)):
            if len(keys):
                frame[name] = np.diff(keys, prepend=0).tolist()
        both: dict[str, Sequence[Series | _Cells]] = {"c": self.series, "l": self._layers}
        for name, parts in both.items():
            found = [[number, *changed] for number, each in enumerate(parts) if (changed := each.changes(world))]
            self.changes += sum(len(change[2]) for change in found)
            if found:
                frame[name] = found
        if self._metrics:
            now = numbers_of(simulation)
            frame["m"] = [now.get(name) for name in self._metrics]
        new = self._strings.take()
        if new:
            frame["s"] = new
        return frame

    def _plans(
        self, simulation: Simulation, record: Tick, batch: ObservationBatch[Any] | None, frame: dict[str, Any]
    ) -> None:
        """Add the plans: the steps of all agents, and the origin of model plans."""
        world, steps, origins = simulation.world, [], {}
        for key in sorted(key for text in record.planned.values() for key in keys_of(text).tolist()):
            modelled = str(key) in record.texts
            if (modelled or self._details) and world.row_of(key) >= 0:
                view: Any = world.entity(key)  # an `agent_view`
                steps.append([key, [self._strings(words_of(step.model_dump(mode="json"))) for step in view.steps]])
            if modelled and self._origins < ORIGIN_CHARS_MAX:
                origins[str(key)] = self._origin(simulation, record, batch, key)
        if steps:
            frame["q"] = steps
        if origins:
            frame["o"] = origins

    def _origin(
        self, simulation: Simulation, record: Tick, batch: ObservationBatch[Any] | None, key: int
    ) -> dict[str, int]:
        found = origin(simulation, batch, record, key)
        prompt = found["prompt"] or {}
        texts = {
            "knowledge": json.dumps(found["snapshot"], ensure_ascii=False),
            "system": prompt.get("system"),
            "user": prompt.get("user"),
            "reply": found["reply"],
        }
        self._origins += sum(len(text) for name, text in texts.items() if text is not None and name != "system")
        return {name: self._strings(text[:TEXT_CHARS_MAX]) for name, text in texts.items() if text is not None}


class _Cells:
    """The values of one layer over time."""

    def __init__(self, layer: Layer, world: World) -> None:
        array = cells_of(world, layer.values)
        assert array is not None
        self.layer = layer
        space = world.run.spaces.get(layer.space)
        if isinstance(space, Grid):
            height, width = space.height, space.width
        else:
            height, width = array.shape if array.ndim == 2 else (1, array.size)
        self._stride = 1
        while -(-height // self._stride) * -(-width // self._stride) > CELLS_MAX:
            self._stride += 1
        self.shape = (height, width)
        self._last: NDArray[Any] | None = None
        self.about = {
            "name": layer.title,
            "space": layer.space,
            "colours": list(layer.colours),
            "low": layer.low,
            "high": layer.high,
            "width": -(-width // self._stride),
            "height": -(-height // self._stride),
            "float": array.dtype.kind == "f",
        }

    def changes(self, world: World) -> list[Any] | None:
        """Return what changed since the last call, as `Series.changes` does, with places in place of keys."""
        array = cells_of(world, self.layer.values)
        assert array is not None
        now = array.reshape(self.shape)[:: self._stride, :: self._stride].ravel()
        now = now.astype(np.float64 if now.dtype.kind == "f" else np.int64)
        before = np.full(len(now), np.nan if now.dtype.kind == "f" else ABSENT) if self._last is None else self._last
        places = (now != before).nonzero()[0]
        self._last = now
        if not len(places):
            return None
        gaps = None if len(places) == len(now) else np.diff(places, prepend=0).tolist()
        return [gaps, *differences(now[places], before[places])]


def described(space: Any) -> dict[str, Any]:
    """Return what a page needs to draw a space; of a network also where its nodes are and its links."""
    about: dict[str, Any] = space.describe()
    if about["kind"] == "network":
        x, y = space.layout()
        ends = np.repeat(np.arange(space.size), space.degree)
        once = ends < space.targets
        links = np.stack([ends[once], space.targets[once]], 1)[:LINKS_MAX]
        about |= {"x": x.tolist(), "y": y.tolist(), "ends": links.ravel().tolist()}
    return about


def words_of(step: dict[str, Any]) -> str:
    """Return a step as people read it.

    >>> words_of({"act": "Buy", "good": "bread", "count": 2})
    'Buy good=bread count=2'
    """
    values = {name: value for name, value in step.items() if name != "act"}
    told = (f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in values.items())
    return " ".join([str(step.get("act", "")), *told])


def numbers_of(simulation: Simulation) -> dict[str, float | None]:
    """Return the metrics that are one number; one that is not finite, or fails now, has no value.

    Of a domain without metrics these are its scores.
    """
    world, scores = simulation.world, {}
    if not simulation.metrics_by_name:
        with suppress(Exception):
            scores = dict(simulation.scores())
    found: dict[str, float | None] = {"agents": world.n}
    for name, metric in {**simulation.metrics_by_name, **scores}.items():
        try:
            value = np.asarray(metric(world) if callable(metric) else metric, float)
        except Exception:
            value = np.array(np.nan)
        if value.ndim == 0:
            found[name] = float(f"{float(value):.6g}") if np.isfinite(value) else None
    return found
