"""Systems, one per file; `scenarios.tactics.domain` has their order."""
