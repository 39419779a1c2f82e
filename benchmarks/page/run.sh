#!/usr/bin/env bash
# How fast Tickweave is, beside Mesa, esper, mesa-frames and ambr: see README.md here.
# The peers go into an environment of their own, .peers; Tickweave depends on none of them.
set -euo pipefail
cd "$(dirname "$0")/../.."

python=${PYTHON:-python3}
here=benchmarks/page
stamp=.peers/installed
if [ ! -e "$stamp" ] || [ "$here/requirements.txt" -nt "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    [ -x .peers/bin/python ] || "$python" -m venv .peers
    pip=(.peers/bin/python -m pip --disable-pip-version-check --quiet)
    "${pip[@]}" install --require-hashes --requirement requirements/run.txt
    "${pip[@]}" install --no-deps --no-build-isolation --editable .
    "${pip[@]}" install --requirement "$here/requirements.txt"
    # It asks for NumPy 1.26 and works with the newer one that everybody else here runs on. What is not installed is
    # left out of the tables.
    "${pip[@]}" install --no-deps mesa-frames==0.1.0a0 || echo "mesa-frames cannot be installed here" >&2
    touch "$stamp"
fi

# One thread each: processor time is compared.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 POLARS_MAX_THREADS=1 RAYON_NUM_THREADS=1 PYTHONWARNINGS=ignore
exec .peers/bin/python "$here" "$@"
