"""What `tickweave bench` measures: ways of asking a real model server for the plans of a real scenario's agents.

`known` takes what agents know from a scenario, `strategies` asks for their plans in different ways, `rounds`
interleaves the ways, `figures` makes medians and ratios of what was measured, `report` and `plot` show them, `machine`
describes where they come from, and `proof` records a short run with the model and verifies it without.
"""
