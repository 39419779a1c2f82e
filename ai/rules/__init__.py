"""Rules over declared fields: `conditions` reads texts, `picks` chooses targets and cells, `rule` makes steps.

Import every public name from here.
"""

from ai.rules.conditions import Condition, Facts, Test, entry_count, fact_test, number_of
from ai.rules.rule import (
    RULES_MAX,
    Bound,
    Draft,
    Drafting,
    Fitted,
    Fitting,
    Moves,
    Rule,
    Rules,
    Step,
    fitting,
    plans_by_rules,
    rule_test,
    verb_of,
    write,
)

__all__ = [
    "RULES_MAX",
    "Bound",
    "Condition",
    "Draft",
    "Drafting",
    "Facts",
    "Fitted",
    "Fitting",
    "Moves",
    "Rule",
    "Rules",
    "Step",
    "Test",
    "entry_count",
    "fact_test",
    "fitting",
    "number_of",
    "plans_by_rules",
    "rule_test",
    "verb_of",
    "write",
]
