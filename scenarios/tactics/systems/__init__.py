"""Systems: one a file; their order is `sim.run.schedule.SCHEDULE`."""
