"""One agent as an object: components by type, and its plan as `Action`s."""

from __future__ import annotations

from ai.actions import Action, ToolRegistry
from sim.engine.entity import EntityView
from sim.run.payloads import Payloads
from sim.run.plan_columns import ActionSteps


def agent_view(registry: ToolRegistry, payloads: Payloads) -> type[EntityView]:
    """Return the entity view of worlds whose plans are written with `registry` and `payloads`; it adds `steps`."""

    class AgentView(EntityView):
        """Shows one agent; `steps` is its plan."""

        __slots__ = ()

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
