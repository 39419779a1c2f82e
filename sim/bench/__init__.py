"""The measurements of `tickweave bench`: ways of asking a real model server for the plans of a real scenario's agents.

`known` takes observations from a scenario, `strategies` asks for plans in different ways, `rounds` interleaves the
ways, `figures` computes medians and ratios, `report` and `plot` show them, `machine` describes the machine, and `proof`
records a short run with the model and verifies it without the model.
"""
