"""The texts that the tactical game adds to the prompt of a language model."""

from __future__ import annotations

from typing import Final

from ai.actions import PromptText
from scenarios.tactics.actions.defensive import Heal, ThrowSmoke
from scenarios.tactics.actions.equipment import Reload
from scenarios.tactics.actions.movement import MoveTo, Speed
from scenarios.tactics.actions.offensive import Attack

PROMPT: Final = PromptText(
    role="You plan for agents on a grid map. Reach the objective, remove threats, keep risk low.",
    rules=(
        "Take cover before you engage; smoke blocks sight.",
        "Reload when ammo is 0; heal or retreat when hp is low; retreat when morale is below 30.",
    ),
    examples=(
        (MoveTo(x=3, y=4, speed=Speed.RUN), Attack(target_id=7), Reload()),
        (Heal(target_id=2), ThrowSmoke(x=3, y=4)),
    ),
)
