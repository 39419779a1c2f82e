"""A market day: villagers buy, sell, talk and sleep. A language model plans for them, or rules do."""
