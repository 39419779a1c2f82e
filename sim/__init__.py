"""The deterministic world: entities, systems, scenarios, replays, command line. Imports `ai`, never the reverse."""
