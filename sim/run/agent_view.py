"""One agent as an object: components by type, and its plan as `Action`s."""

from __future__ import annotations

from ai.actions import Action, ToolRegistry
from sim.engine.entity import EntityView
from sim.engine.tables import Table
from sim.run.payloads import Payloads
from sim.run.plan_columns import BOOKKEEPING, ActionSteps


def agent_view(registry: ToolRegistry, payloads: Payloads) -> type[EntityView]:
    """Return the entity view of worlds whose plans are written with `registry` and `payloads`; it adds `steps`."""

    class AgentView(EntityView):
        """Shows one agent; `steps` is its plan."""

        __slots__ = ()

        def _shown(self, table: Table) -> bool:
            return table.component not in BOOKKEEPING and super()._shown(table)

        def __repr__(self) -> str:
            plan = "; ".join(map(str, self.steps)) if self.alive else ""
            return f"{super().__repr__()}{plan and f'; plan {plan}'}"

        @property
        def steps(self) -> tuple[Action, ...]:
            """The steps of the agent's plan, in order."""
            plan = self[ActionSteps]
            steps: list[Action] = []
            for step in range(plan.length):
                code, args = int(plan.kind[step]), [int(value) for value in plan.args[step]]
                spec = registry.spec(code)
                payload = payloads[args[spec.payload_place]] if spec.payload else b""
                steps.append(registry.decode(code, args, payload))
            return tuple(steps)

    return AgentView
