"""What tests of the game and of its plug-ins use: arenas for verbs, and strategies for scenarios, inputs and plans."""
