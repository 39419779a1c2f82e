#!/usr/bin/env bash
# The run against a real language-model server: install it, start it on loopback, run the skirmish with it, stop it,
# and verify the replay with no server there. The server is an external process in an environment of its own.
set -euo pipefail
cd "$(dirname "$0")/../.."

ticks=${TICKS:-40}
port=${PORT:-8089}
env=.venv-llm
out=out/llm
replay=$out/skirmish.replay.jsonl
mkdir -p "$out"

model=$(bash tests/llm/install.sh)

"$env/bin/llama-cpp-server" --model "$model" --host 127.0.0.1 --port "$port" --ctx-size 32768 >"$out/server.log" 2>&1 &
server=$!
stop() {
    # The command starts the server as a child of its own.
    pkill -P "$server" 2>/dev/null || true
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
}
trap stop EXIT

healthy() { .venv/bin/python -c "import httpx, sys; sys.exit(httpx.get('http://127.0.0.1:$port/health').status_code != 200)" 2>/dev/null; }
for _ in $(seq 120); do
    healthy && break
    kill -0 "$server" 2>/dev/null || { echo "the server ended; see $out/server.log" >&2; exit 1; }
    sleep 0.5
done
healthy || { echo "the server is not healthy after a minute; see $out/server.log" >&2; exit 1; }

.venv/bin/tickweave run skirmish --ticks "$ticks" --llm "openai:smollm2-135m@http://127.0.0.1:$port/v1" \
    --out "$replay" --force --json | tee "$out/run.json"
stop
trap - EXIT
if healthy; then
    echo "the server still answers; the replay must be verified without it" >&2
    exit 1
fi
.venv/bin/tickweave verify "$replay"
.venv/bin/python tests/llm/check.py "$out/run.json"

# The same with a server that the program starts and stops itself.
PATH="$PWD/$env/bin:$PATH" TICKWEAVE_TEST_MODEL="$PWD/$model" .venv/bin/python -m pytest -q -m llm tests/llm
