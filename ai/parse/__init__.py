"""Reply text to plans: a streaming scanner, the check of one plan, and the reading of a whole reply.

Pure functions of text, slots and registry; no client is known here. Three rules hold everywhere:

- Only closed objects count. A reply that ends anywhere never gives a plan that it did not finish writing.
- Nothing is repaired. A plan's text is kept exactly as written, so a replay parses the same text again.
- Whatever the text, the answer is plans or `ParseError`; every size has a limit (`limits`).

`scanner` finds plans in a stream, `reply` in a whole text, `strict` decodes their JSON. Everything public is imported
from here.
"""

from ai.parse.limits import DEPTH_MAX, ELEMENT_CHARS_MAX, REPLY_CHARS_MAX, WAITING_CHARS_MAX, WHITESPACE_RUN_MAX
from ai.parse.reply import FoundPlans, ParsedReply, find_plans, parse_plan, parse_reply, raw_steps
from ai.parse.scanner import SlotScanner, SlotText
from ai.parse.strict import decode_at

__all__ = [
    "DEPTH_MAX",
    "ELEMENT_CHARS_MAX",
    "REPLY_CHARS_MAX",
    "WAITING_CHARS_MAX",
    "WHITESPACE_RUN_MAX",
    "FoundPlans",
    "ParsedReply",
    "SlotScanner",
    "SlotText",
    "decode_at",
    "find_plans",
    "parse_plan",
    "parse_reply",
    "raw_steps",
]
