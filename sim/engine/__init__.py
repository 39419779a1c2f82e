"""The engine: entities, columns, randomness, hashing. It knows no domain and no planner."""
