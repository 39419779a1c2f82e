"""The tactical game: squads on a grid map."""
