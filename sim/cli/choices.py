"""Options that change a scenario: `--set`, `--tiers`, `--group`, `--plugin`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ai.llm.models import tiers_of_model
from sim.cli.common import require_file, usage
from sim.cli.consent import remember
from sim.errors import ScenarioError
from sim.messages import shown
from sim.run.choices import MODEL, read_choice, tiers_of, with_tiers, with_values
from sim.run.plugins import Plugin, load_plugins
from sim.run.scenario_file import Scenario


def chosen(
    scenario: Scenario,
    values: Sequence[str] | None = None,
    tiers: str | None = None,
    groups: Sequence[str] | None = None,
    plugins: Sequence[str] | None = None,
) -> tuple[Scenario, tuple[Plugin, ...]]:
    """Return a scenario with the changes of these options, and its plug-ins.

    Raises:
        ExitError: an option has the wrong form.
        ScenarioError: a change does not fit the scenario.
    """
    scenario = with_choices(scenario, values)
    scenario = with_tiers(scenario, None if tiers is None else tiers_of(tiers), dict(map(_group, groups or ())))
    files = [Path(each) for each in plugins or () if each.endswith(".py")]
    for file in files:
        require_file(str(file))
    remember([file.absolute().parent for file in files])  # a path that a person typed is consent
    if plugins:
        more = [Path(each).name if each.endswith(".py") else each for each in plugins]
        scenario = scenario.replaced(plugins=[*scenario.plugins, *more])
    return scenario, load_plugins(scenario, files)


def group_models(groups: Sequence[str] | None) -> dict[str, str]:
    """Return the specs of the models that `--group NAME=llm:SPEC` names, by group.

    Raises:
        ExitError: an option is not of its form.
    """
    parted = [_parted(text) for text in groups or ()]
    return {name: tiers.removeprefix(MODEL) for name, tiers in parted if tiers.startswith(MODEL)}


def with_choices(scenario: Scenario, values: Sequence[str] | None) -> Scenario:
    """Return a scenario with the settings of `--set`.

    Raises:
        ExitError: one has the wrong form, or does not fit.
    """
    try:
        return with_values(scenario, dict(read_choice(scenario, text) for text in values or ()))
    except ScenarioError as error:
        raise usage(f"--set: {error}") from None


def _group(text: str) -> tuple[str, list[str]]:
    name, tiers = _parted(text)
    return name, list(tiers_of_model(name)) if tiers.startswith(MODEL) else tiers_of(tiers)


def _parted(text: str) -> tuple[str, str]:
    name, equals, tiers = text.partition("=")
    if not (name and equals and tiers):
        raise usage(f"--group: {shown(text)} is not of the form NAME=TIERS, as in red=goap,heuristic or red=llm:MODEL")
    return name, tiers
