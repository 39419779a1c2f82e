"""What the tactical game says to a language model besides what follows from its declarations."""

from __future__ import annotations

from typing import Final

from ai.actions import PromptText

PROMPT: Final = PromptText(
    role="You plan for agents on a grid map. Reach the objective, remove threats, keep risk low.",
    rules=(
        "Take cover before you engage; smoke blocks sight.",
        "Reload when ammo is 0; heal or retreat when hp is low; retreat when morale is below 30.",
        "Name only enemies and allies listed in that agent's own row, by id; name only cells on the map.",
    ),
)
