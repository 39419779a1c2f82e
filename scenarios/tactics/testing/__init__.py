"""Tools for tests of the game and its plug-ins: arenas for verbs, and strategies for scenarios, inputs and plans."""
