"""Counts the tokens of what is sent and answered with a real tokenizer, and writes them down for the tests.

`python -m tests.llm.count http://127.0.0.1:8080` asks a llama-server's `/tokenize`; run it when prompts change.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import httpx

from ai.llm.tiers import FullLlm, SimplifiedLlm
from tests.ai.llm.token_texts import AGENTS, answered, asked

FILE = Path(__file__).parent.parent / "fixtures" / "tokens.json"
SAMPLE_CHARS = 1800
"""Characters of each sample on which the estimate is tested."""


def main(url: str) -> int:
    """Count, write the file, and print what an agent costs."""

    def tokens(text: str) -> int:
        reply = httpx.post(f"{url}/tokenize", json={"content": text}, timeout=60)
        return len(reply.raise_for_status().json()["tokens"])

    model = httpx.get(f"{url}/v1/models", timeout=10).raise_for_status().json()["data"][0]["id"]
    sent = {tier.name: asked(tier) for tier in (FullLlm, SimplifiedLlm)}
    rules, _, rows = sent[FullLlm.name][0].partition("\nMap: ")
    samples = {
        "rules of a prompt": rules[-SAMPLE_CHARS:],
        "rows of a prompt": rows[:SAMPLE_CHARS],
        "pretty snapshot": sent[FullLlm.name][1][-SAMPLE_CHARS:],
        **{name: text[:SAMPLE_CHARS] for name, text in answered().items()},
    }
    counted: dict[str, Any] = {
        "tokenizer": Path(model).name,
        "made": "python -m tests.llm.count, which asks llama-server's /tokenize, each text as content",
        "asked": {
            tier: {"together": tokens(together), "each": tokens(each)} for tier, (together, each) in sent.items()
        },
        "answered": {name: tokens(text) for name, text in answered().items()},
        "samples": {name: {"tokens": tokens(text), "text": text} for name, text in samples.items()},
    }
    FILE.write_text(json.dumps(counted, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    for tier, counts in counted["asked"].items():
        one, many = counts["together"] / AGENTS, counts["each"] / AGENTS
        print(f"asked by {tier}: {one:.0f} tokens an agent together, {many:.0f} each, {many / one:.1f} times as many")
    for name, count in counted["answered"].items():
        print(f"answered in {name}: {count / AGENTS:.1f} tokens a plan")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1].rstrip("/")))
