"""Examples of every command, for the end of its help page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "run": (
        "tickweave run skirmish",
        "tickweave run foraging --set each=10 --tiers utility,heuristic",
        "tickweave run market --llm ollama:qwen3 --out market.replay.jsonl",
    ),
    "verify": (
        "tickweave verify market.replay.jsonl",
        "tickweave verify *.replay.jsonl --jobs 4",
    ),
    "show": (
        "tickweave show market.replay.jsonl",
        "tickweave show market.replay.jsonl --tick 5 --agent 3",
    ),
    "diff": ("tickweave diff a.replay.jsonl b.replay.jsonl",),
    "estimate": ("tickweave estimate market --llm openai:gpt-5@https://api.openai.com/v1",),
    "export": (
        "tickweave export market.replay.jsonl --to csv",
        "tickweave export market.replay.jsonl --metric gini.py:gini",
    ),
    "plot": (
        "tickweave plot a.replay.jsonl b.replay.jsonl --metric coins",
        "tickweave plot market.sweep",
    ),
    "view": (
        "tickweave view market.replay.jsonl --out market.html",
        "tickweave view market.replay.jsonl --serve",
    ),
    "fork": ("tickweave fork market.replay.jsonl --at 20 --out other.replay.jsonl",),
    "bundle": ("tickweave bundle market.replay.jsonl",),
    "minimise": (
        "tickweave minimise broken.replay.jsonl",
        "tickweave minimise skirmish --check restore",
    ),
    "recover": ("tickweave recover killed.replay.jsonl --out whole.replay.jsonl",),
    "pack": ("tickweave pack market.replay.jsonl",),
    "unpack": ("tickweave unpack market.replay.jsonl.zst",),
    "scenarios": (
        "tickweave scenarios",
        "tickweave scenarios --schema market",
    ),
    "check": ("tickweave check town.toml",),
    "new": (
        "tickweave new wealth",
        "tickweave new mine --from skirmish",
    ),
    "doctor": (
        "tickweave doctor wealth.py",
        "tickweave doctor market --check parts",
    ),
    "versus": (
        "tickweave versus skirmish --a goap --b heuristic --seeds 50",
        "tickweave versus market --a llm:ollama:qwen3 --b heuristic --metric mood --seeds 5",
    ),
    "sweep": (
        "tickweave sweep sweep.toml --jobs 4",
        "tickweave sweep market --seeds 20 --grid agents=10,50",
    ),
    "bench llm": ("tickweave bench llm --llm openai:MODEL@http://127.0.0.1:8080/v1 --max-seconds 300",),
    "fake-llm": ("tickweave fake-llm --port 8080",),
}
"""Command lines by command."""


def epilog(command: str) -> str | None:
    r"""Return what stands below a command's options; `\b` keeps the lines as they are."""
    lines = EXAMPLES.get(command)
    return None if lines is None else "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
