"""The domain contract: a domain binds a world to planning. Everything in it has a default.

The framework instantiates a domain with its settings, works through it, and knows nothing more about the model. A first
domain is one file:

>>> from sim.engine.columns import Component, column, i32
>>> from sim.engine.system import System
>>> class Counter(Component):
...     value: i32 = column(default=0)
>>> class Count(System):
...     def process(self, world, run):
...         world[Counter].value += 1
>>> class Counting(Domain):
...     components, systems = (Counter,), (Count,)
...     metrics = {"sum": lambda world: int(world[Counter].value.sum())}
...     def setup(self, world, run):
...         world.spawn({Counter: {}}, count=3)
>>> Counting().name
'counting'
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ai.actions import PromptText, ToolRegistry
from ai.errors import ContractError
from ai.observation import Observation
from ai.planners.playbook import Branch, Goal, Operator, Option, Playbook
from ai.rules import Facts, Moves, Rule
from sim.engine.columns import Component
from sim.errors import ScenarioError
from sim.messages import one_line, sentence
from sim.run.checks import measured
from sim.run.inputs import Act, Control, Input, Kill, Spawn
from sim.run.portrayal import Portrayal
from sim.run.settings import Settings

if TYPE_CHECKING:
    from sim.engine.system import System
    from sim.run.actions import Action
    from sim.run.context import Run
    from sim.run.scenario_file import Scenario
    from sim.run.world import World

Metric = Callable[[Any], Any]
"""A number of a world: called with the world, returns one number."""


class Domain:
    """A model: the parts of its world, the systems of a tick, and the knowledge and verbs of its agents.

    Attributes:
        name: how scenarios and replays call it; the class name in kebab case unless set.
        version: raise it when the same settings, seed and inputs come to another result, while all declarations stay as
            they are: recordings of earlier versions are then inconclusive instead of different.
        ticks: how long a run is unless the scenario says otherwise.
        ticks_per_second: ticks in one simulated second.
        every: ticks from one round of model calls to the next unless the scenario says otherwise; None for one second.
        settings: a subclass of `Settings`; on an instance, the settings themselves.
        components: the components that entities can have.
        resources: state that belongs to no entity.
        tables: names by table, for columns with `per`, for facts and for arguments of verbs.
        inputs: the kinds of input from outside, in addition to the framework's own.
        actions: the verbs of agents that plan.
        systems: the whole tick, in order. Where agents plan it includes `Inputs`, `Observe`, `Plan` and `Act`.
        observation: the knowledge of an agent; None where no agent plans.
        idle: a step that is always possible.
        prompt: the domain's part of a prompt.
        rules: the heuristic tier; the first rule first.
        facts: named conditions for rules, goals and branches.
        moves: named functions that make steps.
        goals: the goals of `goap`, with `operators`.
        options: the options that `utility` weighs.
        tree: the branches of `behaviour`.
        metrics: numbers of a world by name.
        portrayal: how viewers draw a world; the rest is guessed.
        isolates: True where unrelated agents never affect each other; the doctor then checks it.

    Raises:
        ScenarioError: the settings do not fit; one sentence that names the key.
    """

    name: ClassVar[str] = "domain"
    version: ClassVar[int] = 1
    ticks: ClassVar[int] = 300
    ticks_per_second: ClassVar[int] = 1
    every: ClassVar[int | None] = None
    settings: Any = Settings
    components: Sequence[type[Component]] = ()
    resources: Sequence[Any] = ()
    tables: Mapping[str, Sequence[str]] = {}
    inputs: Sequence[type[Input]] = ()
    actions: Sequence[type[Action]] = ()
    systems: Sequence[type[System]] = ()
    observation: ClassVar[type[Observation] | None] = None
    idle: Any = None
    prompt: PromptText = PromptText()
    rules: Sequence[Rule] = ()
    facts: Facts = MappingProxyType({})
    moves: Moves = MappingProxyType({})
    goals: Sequence[Goal] = ()
    operators: Sequence[Operator] = ()
    options: Sequence[Option] = ()
    tree: Sequence[Branch] = ()
    metrics: ClassVar[Mapping[str, Metric]] = {}
    portrayal: Portrayal = Portrayal()
    isolates: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        """Derive `name`."""
        super().__init_subclass__(**options)
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()

    def __init__(self, settings: Settings | None = None, **values: Any) -> None:
        model = type(self).settings
        if settings is None:
            try:
                settings = model(**values)
            except ValidationError as error:
                reason = sentence(error, model.model_json_schema())
                raise ScenarioError(one_line(f"{type(self).__name__}: settings.{reason}")) from None
        elif values or not isinstance(settings, model):
            raise ScenarioError(f"{type(self).__name__} takes one {model.__name__}, or its values by name")
        self.settings = settings

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings!r})"

    # -- what a world starts from ----------------------------------------------------------------------------------

    def setup(self, world: World, run: Run) -> None:
        """Fill the world from settings and seed: resources and entities. Queued births are flushed afterwards."""

    def spaces(self, run: Run) -> Mapping[str, Any]:
        """Return the spaces of a run by name: grids, networks, planes. They are constants of the run."""
        del run
        return {}

    def check(self, scenario: Scenario) -> None:
        """Check what settings, rules and inputs cannot know alone.

        Raises:
            PydanticCustomError: something does not fit (`sim.messages.problem` with the dotted key).
        """

    def advice(self, scenario: Scenario) -> Sequence[str]:
        """Return a sentence for each thing in a scenario that is valid and surely not meant."""
        del scenario
        return ()

    def check_input(self, item: Input) -> None:
        """Check what can be known of an input before the run.

        Raises:
            PydanticCustomError: it does not fit; the key is relative to the input.
        """

    # -- planning --------------------------------------------------------------------------------------------------

    def registry(self, plugin_actions: Sequence[type[Action]] = ()) -> ToolRegistry | None:
        """Return the verbs with all that prompts and legality need; None where no agent plans."""
        verbs = [*self.actions, *plugin_actions]
        if not verbs:
            return None
        if self.idle is None:
            raise ContractError(f"{type(self).__name__} has actions and no idle step; name one that is always possible")
        return ToolRegistry(verbs, idle=self.idle, prompt=self.prompt, tables=self.tables)

    def playbook(self) -> Playbook:
        """Return the declarations for the planners that think by themselves."""
        return Playbook(
            rules=tuple(self.rules),
            facts=self.facts,
            moves=self.moves,
            goals=tuple(self.goals),
            operators=tuple(self.operators),
            options=tuple(self.options),
            tree=tuple(self.tree),
        )

    @property
    def plans(self) -> bool:
        """Whether agents plan."""
        return bool(self.actions)

    def observe(self, world: World, rows: NDArray[np.intp]) -> Any:
        """Return what the agents at `rows` know, as an observation batch."""
        del world, rows
        raise ContractError(f"{type(self).__name__} has actions and no observe(); return what agents know")

    def plannable(self, world: World) -> NDArray[np.bool_]:
        """Return which entities may plan at all, `[n]`."""
        return np.ones(world.n, np.bool_)

    def alert(self, world: World, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return 0 or an alert value for each row; a change to another nonzero value invalidates the plan."""
        del world
        return np.zeros(len(rows), np.int64)

    def groups(self, world: World) -> tuple[Sequence[str], NDArray[np.integer[Any]]]:
        """Return the names of the groups, and the index of each entity's group, `[n]`."""
        return (), np.zeros(world.n, np.int64)

    @property
    def group_names(self) -> Sequence[str]:
        """The names of the groups that tiers and rules may differ by."""
        return ()

    # -- what a run comes to ---------------------------------------------------------------------------------------

    def outcome(self, world: World) -> str | None:
        """Return the reason to stop, None to go on."""
        del world
        return None

    def scores(self, world: World) -> Mapping[str, float]:
        """Return scores by name, at the end of a run or now; by default the metrics that are one number."""
        found = {name: measured(name, metric, world, self) for name, metric in self.metrics.items()}
        return {name: float(value) for name, value in found.items() if np.ndim(value) == 0}

    def details(self, world: World) -> Mapping[str, Any]:
        """Return more that `run` reports, as plain data by name."""
        del world
        return {}

    def invariants(self, world: World) -> None:
        """Raise `AssertionError` where the world is in a state that must never be; tests and the doctor call it."""

    def declarations(self) -> dict[str, Any]:
        """Return what else a recording must be compared with, as plain data by part."""
        return {}

    # -- for tests and tools ---------------------------------------------------------------------------------------

    @property
    def agents(self) -> int | None:
        """How many entities a run starts with, None where only `setup` knows."""
        agents = getattr(self.settings, "agents", None)
        return agents if isinstance(agents, int) else None

    @classmethod
    def examples(cls) -> Iterator[Settings]:
        """Yield settings that the doctor and strategies try; by default the defaults."""
        yield cls.settings()

    def bystanders(self) -> tuple[Settings, Settings] | None:
        """Return settings to compare: without and with agents that are unrelated to all others, spawned after them.

        Nothing that depends on the whole world, such as an end by numbers, may differ between the two.
        """
        return None


def inputs_of(domain: type[Domain] | Domain) -> tuple[type[Input], ...]:
    """Return every kind of input of a domain: the framework's, replaced by the domain's of the same kind."""
    plans = bool(domain.actions)
    own: Sequence[type[Input]] = (Kill, Spawn, *((Act, Control) if plans else ()))
    kinds = {each.kind: each for each in (*own, *domain.inputs)}
    return tuple(kinds[kind] for kind in sorted(kinds))
