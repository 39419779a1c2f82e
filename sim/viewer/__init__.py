"""Pictures of runs: a page with everything that a replay holds, live views, and a map for terminals.

Nothing here knows a domain: its portrayal, spaces, groups and metrics say what to draw.
"""
