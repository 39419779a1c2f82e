"""Scenarios: the start of a run, as data. A name or a path in, a validated `Scenario` out.

A scenario file has the engine's keys at the top (`Head`) and everything of the domain under `[settings]`. It is
complete: its canonical JSON stands in every replay's header, so a replay needs no other file but the domain's code.
One sentence says what is wrong with a file: the file, the dotted key, the reason.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, JsonValue
from pydantic_core import PydanticCustomError

from ai.entries import installed
from ai.planners.playbook import Playbook
from ai.planners.scripted import Script
from ai.rules import Rule, Rules
from sim.engine.values import native
from sim.errors import ScenarioError
from sim.messages import one_line, problem_sentence, quoted, shown, suggestion
from sim.run import domains
from sim.run.checks import check_head
from sim.run.context import no_plans
from sim.run.data_files import DataFiles, home_of
from sim.run.domain import Domain, inputs_of
from sim.run.domains import LoadedDomain
from sim.run.files import parsed_toml, read_text
from sim.run.inputs import InputSet, TimedInput
from sim.run.planning import Planning, check_groups, check_rules, tier_order
from sim.run.settings import Name, Part, Text, validated

TICKS_MAX: Final = 10_000_000
"""Ticks a run may last."""
PLUGINS_MAX: Final = 16
"""Plug-ins of a scenario."""
INPUTS_MAX: Final = 100_000
"""Timed inputs of a scenario or of a file of inputs."""
ENTRY_POINTS: Final = "tickweave.scenarios"
"""Entry point group for scenarios of other packages: each names a `Scenario`, or the path of a TOML file."""

FileOrName = Annotated[str, Field(max_length=128, pattern=r"^(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+(?:\.py)?$")]
"""A Python file beside the scenario's own or in a folder there, or the name of something installed."""


class Head(Part):
    """The keys of a scenario file."""

    domain: FileOrName = Field(description="The domain: its name, or a Python file beside this one (`wealth.py`).")
    name: Name = Field(description="Name of the scenario; replays are named after it.")
    description: Text = Field("", description="One sentence for `tickweave scenarios`.")
    ticks: int | None = Field(None, ge=1, le=TICKS_MAX, description="Ticks that a run lasts at most.")
    ticks_per_second: int | None = Field(None, ge=1, le=1000, description="Ticks of one simulated second.")
    seed: int = Field(1, ge=0, lt=2**63, description="Seed of all random draws, unless `run --seed` gives another.")
    plugins: tuple[FileOrName, ...] = Field(
        (), max_length=PLUGINS_MAX, description="Python files beside this one, or names of installed plug-ins."
    )
    planning: Planning = Field(Planning(), description="How plans are made.")
    rules: Rules | None = Field(None, description="Rules by which agents plan without a model; else the domain's.")
    script: Script = Field(Script(), description="Plans written down beforehand, for the tier `scripted`.")
    inputs: tuple[dict[str, JsonValue], ...] = Field(
        (), max_length=INPUTS_MAX, description="Inputs from outside, each with its tick."
    )
    settings: dict[str, JsonValue] = Field({}, description="The settings of the domain.")


class Scenario:
    """A whole run's start: the engine's keys, a domain with its settings, and timed inputs.

    Attributes:
        head: the engine's keys, of which these are also attributes of the scenario: `name`, `description`, `ticks`
            (that a run lasts at most), `ticks_per_second`, `seed`, `planning`, `script` and `plugins`.
        domain: the domain with its `settings`, which are also an attribute of the scenario.
        loaded: the domain's class, digest and folder.
        inputs: the inputs from outside, each with its tick.
        folder: where files that the scenario names are; None where it was not read from a file.
        data: where the data files are that its settings declare.

    Raises:
        ScenarioError: settings, inputs or groups do not fit the domain; one sentence.
    """

    def __repr__(self) -> str:
        return f"Scenario({self.head.name!r}, {self.head.domain}, {self.head.ticks:,} ticks, seed {self.head.seed})"

    def __init__(
        self,
        head: Head,
        loaded: LoadedDomain,
        source: str = "scenario",
        folder: Path | None = None,
        data: DataFiles | None = None,
    ) -> None:
        self.loaded = loaded
        self.folder = folder
        home = home_of(loaded.kind) or Path()
        self.data = DataFiles([home if folder is None else folder]) if data is None else data
        check_head(loaded.kind)
        self.domain = loaded.kind(validated(loaded.kind.settings, head.settings, source, "settings"))
        self.settings: Any = self.domain.settings
        self.name, self.description, self.seed = head.name, head.description, head.seed
        self.planning, self.script, self.plugins = head.planning, head.script, head.plugins
        self.ticks = loaded.kind.ticks if head.ticks is None else head.ticks
        self.ticks_per_second = head.ticks_per_second or loaded.kind.ticks_per_second
        self.head = head.model_copy(update={"ticks": self.ticks, "ticks_per_second": self.ticks_per_second})
        self.input_set = InputSet(inputs_of(self.domain))
        self.inputs = tuple(self._timed(place, each, source) for place, each in enumerate(head.inputs))
        check_groups(head.planning, self.domain.group_names, source)
        try:
            tier_order(head.planning, self.domain.group_names)
            self.domain.check(self)
        except PydanticCustomError as error:
            raise ScenarioError(one_line(f"{source}: {problem_sentence(error)}")) from None

    def _timed(self, place: int, data: object, source: str) -> TimedInput:
        try:
            return self.timed_input(data)
        except ScenarioError as error:
            raise ScenarioError(one_line(f"{source}: inputs[{place}].{error}")) from None

    def timed_input(self, data: object) -> TimedInput:
        """Read a timed input of this scenario from plain data.

        Raises:
            ScenarioError: it is not valid; the sentence begins with the dotted key.
        """
        timed = self.input_set.read_timed(data)
        try:
            self.domain.check_input(timed.input)
        except PydanticCustomError as error:
            raise ScenarioError(one_line(f"input{_dotted(error)}")) from None
        return timed

    @classmethod
    def of(cls, domain: Domain, **head: Any) -> Scenario:
        """Return the scenario of a domain that is at hand; other keys of `Head` by name.

        Raises:
            ScenarioError: a key does not fit.
        """
        given: object = domain
        if not isinstance(given, Domain):
            name, hint = repr(given), ""
            if isinstance(given, type):
                name = given.__name__
                hint = f"; make one with {name}()"
            elif isinstance(given, str | Path):
                hint = f"; read it with load({name})"
            raise ScenarioError(one_line(f"a domain or a Scenario is expected, not {name:.80}{hint:.80}"))
        found = domains.loaded(type(domain))
        data = {"domain": found.name, "name": found.name, **head, "settings": domain.settings.model_dump(mode="json")}
        folders = [home_of(type(domain)) or Path(), Path()]
        return cls(validated(Head, data, "scenario"), found, data=DataFiles(folders))

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Rules by which agents plan without a model: the file's, else the domain's."""
        return self.domain.playbook().rules if self.head.rules is None else self.head.rules

    def playbook(self) -> Playbook:
        """Return the domain's playbook with the file's rules and script."""
        own = {name: group.rules for name, group in self.planning.groups.items() if group.rules is not None}
        return replace(self.domain.playbook(), rules=self.rules, group_rules=own, script=self.script)

    @cached_property
    def agents(self) -> int:
        """Entities that a run starts with."""
        from sim.run.simulation import Simulation

        known = self.domain.agents
        if known is not None:
            return known
        # Plug-ins add to what entities have, not to how many there are; no agent plans before the first tick.
        with Simulation(self.replaced(plugins=[]), timeline=False, source=no_plans()) as simulation:
            return simulation.world.n

    @property
    def digest(self) -> str:
        """Thirty-two hex digits that name this scenario: equal digests, equal scenarios."""
        text = json.dumps(self.canonical(), sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=16, person=b"tickweave-scen").hexdigest()

    def canonical(self) -> dict[str, Any]:
        """Return the scenario as plain JSON data, defaults included; a replay's header holds it."""
        data = self.head.model_dump(mode="json")
        data["settings"] = self.settings.model_dump(mode="json")
        data["inputs"] = [timed.model_dump(mode="json") for timed in self.inputs]
        return data

    def replaced(self, **head: Any) -> Scenario:
        """Return this scenario with other values for some keys, given as plain data.

        Raises:
            ScenarioError: a value does not fit.
        """
        data = validated(Head, {**self.canonical(), **native(head)}, self.name)
        return Scenario(data, self.loaded, self.name, self.folder, self.data)

    @classmethod
    def from_canonical(
        cls,
        data: object,
        source: str = "scenario",
        *,
        folder: Path | None = None,
        files: Sequence[Path] = (),
        recorded: Mapping[str, str] | None = None,
    ) -> Scenario:
        """Read what `canonical` returned; `source` stands first in a refusal.

        Args:
            data: plain data.
            source: where it comes from.
            folder: where files that it names are.
            files: for a scenario without a folder: its Python files, and folders of its data files.
            recorded: the digests of its data files by name, where a recording has them.

        Raises:
            ScenarioError: the data is not a valid scenario; one sentence.
        """
        head = validated(Head, data, source)
        try:
            found = domains.find_domain(head.domain, folder, tuple(files))
        except ScenarioError as error:
            raise ScenarioError(one_line(f"{source}: domain: {error}")) from None
        if folder is not None:
            return cls(head, found, source, folder)
        folders = [path if path.is_dir() else path.parent for path in files]
        return cls(head, found, source, data=DataFiles([*folders, home_of(found.kind) or Path()], recorded))


def _dotted(error: PydanticCustomError) -> str:
    key = (error.context or {}).get("key")
    return f"{'.' if key else ': '}{problem_sentence(error)}"


# -- names and files ---------------------------------------------------------------------------------------------------


def load(name_or_path: str | Path) -> Scenario:
    """Read a scenario: by name (`skirmish`), from a TOML file, or from a Python file that defines one domain.

    A text with no directory in it that ends in neither `.toml` nor `.py` is a name: of a shipped scenario, of one that
    another package offers under the entry point group `tickweave.scenarios`, or of a domain, which stands for its
    defaults.

    Raises:
        ScenarioError: there is no such scenario, or the file is not a valid one; one sentence that says where and why.

    >>> load("skirmish").agents
    20
    """
    if not isinstance(name_or_path, str | Path):
        raise ScenarioError(f"{quoted(name_or_path)} is not a scenario; give its name or its file, as a text or a Path")
    if isinstance(name_or_path, Path) or _is_path(name_or_path):
        path = Path(name_or_path)
        if path.suffix == ".py":
            found = domains.domain_file(path)
            data = {"domain": found.name, "name": path.stem}
            return Scenario(validated(Head, data, shown(str(path))), found, shown(str(path)), path.parent)
        return from_toml(read_text(path), shown(str(path)), path.parent)
    for name, place in _offers():
        if name == name_or_path:
            return _offered(name, place)
    if name_or_path in domains.available_domains():
        try:
            return Scenario.from_canonical({"domain": name_or_path, "name": name_or_path}, name_or_path)
        except ScenarioError as error:
            hint = "or name a scenario of this domain (`tickweave scenarios` lists them)"
            raise ScenarioError(one_line(f"{error}, {hint}")) from None
    hint = suggestion(name_or_path, scenario_names(), "scenarios")
    # Unlike a path's own method, this also answers where a name is too long for a file.
    beside = [file for file in (f"{name_or_path}.py", f"{name_or_path}.toml") if os.path.isfile(file)]  # noqa: PTH113
    if beside:
        hint = f"did you mean {shown(beside[0])}?"
    elif os.path.lexists(name_or_path):
        hint = f"for the file of that name, write ./{shown(name_or_path)}"
    raise ScenarioError(one_line(f"no scenario {quoted(name_or_path)}; {hint}"))


def scenario_names() -> list[str]:
    """Return the names that `load` knows, sorted: scenarios and domains; nothing is read."""
    return sorted({*(name for name, _ in _offers()), *domains.available_domains()})


def is_scenario(name: str) -> bool:
    """Return whether `load` knows a name."""
    return name in scenario_names()


def file_of(name_or_path: str) -> Path | None:
    """Return the file that `load` reads for a name or path; None for a domain, or for what another package offers.

    Raises:
        ScenarioError: there is no such scenario.
    """
    if _is_path(name_or_path):
        return Path(name_or_path)
    found = dict(_offers()).get(name_or_path)
    if found is None and name_or_path not in domains.available_domains():
        load(name_or_path)  # it says what there is
    return found if isinstance(found, Path) else None


def _is_path(text: str) -> bool:
    return text.endswith((".toml", ".py")) or Path(text).name != text


def available() -> list[tuple[str, Scenario]]:
    """Return every scenario that `load` knows by name: the shipped ones, then those of other packages, in name order.

    Raises:
        ScenarioError: one of them cannot be read; the sentence names it.
    """
    return [(name, _offered(name, found)) for name, found in _offers()]


def from_toml(text: str, source: str, folder: Path | None = None) -> Scenario:
    """Read a scenario from TOML text; `source` stands first in a refusal.

    Raises:
        ScenarioError: it is not a valid scenario; one sentence.
    """
    scenario = Scenario.from_canonical(_parsed(text, source), source, folder=folder)
    if not scenario.plugins:  # those may bring verbs; a run checks its rules when it has them
        check_rules(scenario, scenario.domain.registry(), source)
    return scenario


def head_of(text: str, source: str) -> Head:
    """Read and check the engine's keys of a scenario file; nothing is executed.

    Raises:
        ScenarioError: they are not valid; one sentence.
    """
    return validated(Head, _parsed(text, source), source)


def _parsed(text: str, source: str) -> dict[str, Any]:
    """Parse a scenario file; in TOML a key below a table belongs to the table, which is easily forgotten."""
    data = parsed_toml(text, source)
    table = next((name for name, part in data.items() if isinstance(part, dict) and "domain" in part), None)
    if table is not None and "domain" not in data:
        raise ScenarioError(one_line(f"{source}: domain: is below [{shown(table)}]; write it above the first table"))
    return data


def python_files(data: Mapping[str, Any]) -> list[str]:
    """Return the Python files that a scenario names, from its keys as plain data: its domain and its plug-ins."""
    plugins = data.get("plugins", ())
    named = [data.get("domain"), *(plugins if isinstance(plugins, list | tuple) else ())]
    return [each for each in named if isinstance(each, str) and each.endswith(".py")]


def _offers() -> list[tuple[str, Path | EntryPoint]]:
    """Find what has a name, unread: the files beside installed domains in name order, then entry points."""
    found: dict[str, Path] = {}
    for point in installed(domains.ENTRY_POINTS):
        for path in _beside(point):
            found.setdefault(path.stem, path)
    offers: list[tuple[str, Path | EntryPoint]] = sorted(found.items())
    offers += [(point.name, point) for point in installed(ENTRY_POINTS)]
    names = [name for name, _ in offers]
    for name, place in offers:
        if names.count(name) > 1 and isinstance(place, EntryPoint):
            raise ScenarioError(
                f"entry point {place.value!r} offers scenario {name!r}, which there is already; rename it"
            )
    return offers


@cache
def _beside(point: EntryPoint) -> tuple[Path, ...]:
    """Return the scenario files in the package of a domain, without importing the domain."""
    package = point.module.rpartition(".")[0]
    if not package:
        return ()
    spec = importlib.util.find_spec(package)
    folders = () if spec is None else spec.submodule_search_locations or ()
    return tuple(path for folder in folders for path in sorted(Path(folder).glob("*.toml")))


def _offered(name: str, found: Path | EntryPoint) -> Scenario:
    if isinstance(found, Path):
        return from_toml(read_text(found), str(found), found.parent)
    source = f"scenario {name!r} of entry point {found.value!r}"
    try:
        offer = found.load()
    except Exception as error:
        raise ScenarioError(one_line(f"{source}: cannot be imported: {error!r}")) from error
    if isinstance(offer, Scenario):
        return offer
    if isinstance(offer, str | os.PathLike):
        return from_toml(read_text(Path(offer)), source, Path(offer).parent)
    raise ScenarioError(
        f"{source}: is of type {type(offer).__name__}; it must be a Scenario or the path of a TOML file"
    )
