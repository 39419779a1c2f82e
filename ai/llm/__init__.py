"""Planning by a language model: prompts, replies, and the calls into which a batch is cut.

`prompt` and `prompt_rows` say what agents know and may do, `encodings` how a reply writes plans, `parse` how it is
read, `context_window` and `sharding` how a batch is cut, `executor` makes the calls, `tiers` are the planners,
`probe` finds out about a server before a run.
"""
