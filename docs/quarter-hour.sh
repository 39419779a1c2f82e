#!/usr/bin/env bash
# A person's first quarter of an hour with Tickweave: from nothing to a model, a picture, tables, a sweep and a comparison.
# Run it in a terminal, in an empty folder. QUARTER_HOUR_INSTALL is what pip installs, `/path/to/checkout[tables,plot]` for
# example; empty, it uses the `tickweave` that is installed already.
set -euo pipefail

INSTALL=${QUARTER_HOUR_INSTALL-tickweave[tables,plot]}
if [ -n "$INSTALL" ]; then
    python3 -m venv .venv
    .venv/bin/pip install --quiet "$INSTALL"
    PATH=$PWD/.venv/bin:$PATH
fi

tickweave new wealth          # a model of your own, with a test
cd wealth
tickweave run wealth.py --ticks 200 --watch --out wealth.replay.jsonl
tickweave verify wealth.replay.jsonl
tickweave view wealth.replay.jsonl --out wealth.html
tickweave export wealth.replay.jsonl --to csv
tickweave plot wealth.replay.jsonl --out wealth.png
tickweave sweep wealth.py --seeds 20 --ticks 200 --grid agents=50,100 --out wealth.sweep
tickweave plot wealth.sweep --out sweep.png
tickweave versus foraging --a utility --b heuristic --seeds 5
