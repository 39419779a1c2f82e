"""Plans that were written down beforehand."""

from __future__ import annotations

from ai.planners.scripted import Script, Scripted
from ai.plans import Outcome
from tests.ai.llm.village import TABLES, Villager, villager
from tests.ai.planners.test_goap import ask, steps


def test_a_script_gives_the_last_line_that_counts() -> None:
    """An agent's own line goes before everyone's of the same tick, later ones before earlier, none before its tick."""
    lines = [
        {"tick": 0, "steps": [{"act": "Sleep"}]},
        {"agent": 1, "tick": 0, "steps": [{"act": "Buy", "good": "fish", "count": 2}]},
        {"agent": 2, "tick": 5, "steps": [{"act": "Sleep", "hours": 9}]},
    ]
    script = Scripted(Script.model_validate({"lines": lines}))
    pairs = [(key, villager()) for key in range(3)]
    now, later = (Villager.from_objects(pairs, tables=TABLES, tick=tick) for tick in (0, 5))
    assert steps(script, now) == [["Sleep(hours=1)"], ["Buy(good=fish, count=2)"], ["Sleep(hours=1)"]]
    assert steps(script, later) == [["Sleep(hours=1)"], ["Buy(good=fish, count=2)"], ["Sleep(hours=9)"]]


def test_a_wrong_line_costs_its_agents_alone() -> None:
    """What the registry cannot read is invalid, with the reason, and the next tier plans."""
    lines = [{"agent": 1, "steps": [{"act": "Fly"}]}, {"agent": 0, "steps": [{"act": "Sleep"}]}]
    batch = Villager.from_objects([(0, villager()), (1, villager()), (2, villager())], tables=TABLES)
    answer = ask(Scripted(Script.model_validate({"lines": lines})), batch)
    assert answer.outcome.tolist() == [Outcome.OK, Outcome.INVALID, Outcome.MISSING]
    assert "unknown verb 'Fly'" in answer.errors[1]
