"""Reply text to plans: a streaming scanner, the check of one plan, and the reading of a whole reply.

Pure functions of text, slots and registry; no client is known here. Three rules hold everywhere:

- Only closed plans count. A reply that ends early never gives an unfinished plan.
- Nothing is repaired. A plan's text is kept exactly as written, so a replay parses the same text again.
- For every text the result is plans or `ParseError`; every size has a limit (`intake`).

`scanner` finds plans in a stream, `reply` in a whole text, `strict` decodes their JSON, `steps` interprets a decoded
step. Import every public name from here.
"""

from ai.llm.parse.intake import (
    DEPTH_MAX,
    ELEMENT_CHARS_MAX,
    REPLY_CHARS_MAX,
    WHITESPACE_RUN_MAX,
    ReplyScanner,
    SlotText,
)
from ai.llm.parse.reply import find_plans, raw_steps
from ai.llm.parse.scanner import SLOT_NAME, SlotScanner
from ai.llm.parse.steps import argument_names, parse_steps
from ai.llm.parse.strict import decode_at

__all__ = [
    "DEPTH_MAX",
    "ELEMENT_CHARS_MAX",
    "REPLY_CHARS_MAX",
    "SLOT_NAME",
    "WHITESPACE_RUN_MAX",
    "ReplyScanner",
    "SlotScanner",
    "SlotText",
    "argument_names",
    "decode_at",
    "find_plans",
    "parse_steps",
    "raw_steps",
]
