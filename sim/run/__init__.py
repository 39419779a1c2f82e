"""One run of any domain."""
