"""The shipped scenarios: TOML files beside this one, each known by its name. `sim.scenario.load` reads them."""
