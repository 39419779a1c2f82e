"""Families gather berries that run out and grow back slowly, and carry them home."""
