"""Pictures of runs: a page with everything that a replay holds, live views, and a map for terminals.

Nothing here knows a domain: what is drawn comes from its portrayal, spaces, groups and metrics.
"""
