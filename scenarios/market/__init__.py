"""A market day: villagers buy, sell, talk and sleep, planned by a language model or by rules."""
