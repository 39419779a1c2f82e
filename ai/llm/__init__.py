"""Planning by a language model: prompts, replies, and the calls into which a batch is cut.

`prompt` and `prompt_rows` write the knowledge and the verbs of agents, `encodings` are the forms of plans in a reply,
`parse` reads replies, `context_window` and `sharding` cut a batch, `executor` makes the calls, `tiers` are the
planners, and `probe` examines a server before a run.
"""
