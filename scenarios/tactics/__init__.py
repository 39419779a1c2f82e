"""The tactical game: squads on a grid map, forty verbs, objectives and morale. `domain` binds it to the framework."""
