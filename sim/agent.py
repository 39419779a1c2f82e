"""One agent as an object: components by type, and its plan as `ActionStep`s."""

from __future__ import annotations

from ai.actions import ActionStep, ToolRegistry
from sim.components import ActionSteps
from sim.entity import EntityView


def agent_view(registry: ToolRegistry) -> type[EntityView]:
    """Return the entity view of worlds whose plans are written with `registry`; it adds `steps`."""

    class AgentView(EntityView):
        """Shows one agent; `steps` is its plan."""

        @property
        def steps(self) -> tuple[ActionStep, ...]:
            """The steps of the agent's plan, in order."""
            plan = self[ActionSteps]
            return tuple(
                registry.decode(int(plan.kind[step]), [int(value) for value in plan.args[step]])
                for step in range(plan.length)
            )

    return AgentView
