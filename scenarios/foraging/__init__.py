"""Families gather berries and carry them home; bushes run out and grow back slowly."""
