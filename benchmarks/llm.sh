#!/usr/bin/env bash
# Ways of asking a real language-model server, measured: see docs/reference/bench-llm.md. Wants a quiet machine. More options of
# `tickweave bench llm` may follow; the last of two counts. Without any it takes about a quarter of an hour on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."

# One slot with both cores of a small machine: on a CPU slots share them, and each reads again what agents share.
slots=${SLOTS:-1}
threads=${THREADS:-2}
model=$(bash tests/llm/model.sh)

.venv/bin/python -m sim bench llm \
    --llm "llama-server:$model?slots=$slots&context=8192&threads=$threads" \
    --note "xllamacpp 2026.10.11549, CPU only, $slots slot(s), $threads threads; SmolLM2-135M-Instruct Q4_1" \
    --agents 5,10,20 --rounds 3 --naive-rounds 1 --encodings line --max-seconds 900 \
    --out "${OUT:-out/bench-llm}" "$@"
