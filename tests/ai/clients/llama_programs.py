"""Small programs that stand in for llama-server: one that works, and some that do not."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

WORKS = """
import argparse, asyncio, os, pathlib, signal, subprocess, sys
sys.path.insert(0, {root!r})
from ai.fake.server import FakeServer, FakeSettings
parser = argparse.ArgumentParser()
for name in ("--model", "--host"):
    parser.add_argument(name)
for name in ("--port", "--ctx-size", "--parallel", "--threads", "--n-gpu-layers"):
    parser.add_argument(name, type=int)
asked = parser.parse_args()
helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path({pids!r}).write_text(f"{{os.getpid()}} {{helper.pid}}")
pathlib.Path({pids!r} + ".env").write_text(" ".join(os.environ))
{more}
async def serve():
    name, context = pathlib.Path(asked.model).name, asked.ctx_size // asked.parallel
    settings = FakeSettings(model=name, slots=asked.parallel, context=context)
    async with FakeServer(settings, port=asked.port):
        await asyncio.Event().wait()
print("loading " + asked.model, flush=True)
asyncio.run(serve())
"""
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
"""More for the one that works: it does not end when it is asked to."""
DIES = "import sys; sys.exit('error: unknown model architecture')"
"""Ends at its start and says why."""


def install(folder: Path, source: str = WORKS, *, more: str = "", name: str = "llama-server") -> Path:
    """Write a program that can be called by name from `folder/bin`; returns the file with its process numbers."""
    pids = folder / "pids"
    program = folder / "bin" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!{sys.executable}\n{source.format(root=str(ROOT), pids=str(pids), more=more)}")
    program.chmod(0o755)
    return pids


def model(folder: Path) -> Path:
    """Write what passes for a model."""
    file = folder / "tiny.gguf"
    file.write_bytes(b"GGUF\x03\x00\x00\x00")
    return file


def running(pid: int) -> bool:
    """Say whether a process still runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
