"""Systems: one a file; their order is `sim.schedule.SCHEDULE`."""
