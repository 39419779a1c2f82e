"""Verifies the golden corpus and a few runs under other versions of Python and NumPy, and on a plainer processor.

Run it from anywhere with Python 3.11 or newer: `python tests/matrix/run.py`. Each combination gets a virtual
environment of its own under `.matrix/`, which is kept for the next time. Interpreters are looked for on the PATH, or
named in `MATRIX_PYTHONS` (paths, separated by spaces); what is missing is skipped and said. The exit code is 1 where
anything differs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".matrix"
PYTHONS = ("3.11", "3.12", "3.13")
NUMPYS = {"1.26": "numpy==1.26.*", "2": "numpy>=2,<3"}
UNAVAILABLE = {("3.13", "1.26"): "NumPy 1.26 has no build for Python 3.13"}
NEEDED = ("hypothesis", "pytest", "pytest-xdist", "py-trees")
CORPUS = ("tests/golden", "tests/released")
"""What is run in every way: the recordings."""
RUNS = ("tests/properties/test_determinism.py", "tests/sim/engine/test_rng.py")
"""What is run once in every environment: it starts processes with other settings by itself."""
DISPATCHED = (
    "import numpy as np; u = getattr(np, '_core', None) or np.core; u = u._multiarray_umath; "
    "print(' '.join(name for name in u.__cpu_dispatch__ if u.__cpu_features__[name]))"
)
"""Prints the processor's features that this NumPy has faster code for."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment and what it was asked to hold."""

    python: str
    numpy: str
    program: Path

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run its Python in the root of the repository."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NPY_", "VIRTUAL"))}
        command = [str(self.program), *arguments]
        return subprocess.run(command, cwd=ROOT, env={**kept, **variables}, capture_output=True, text=True, check=False)

    def version(self, package: str) -> str:
        """Return the version of a package in it."""
        code = f"from importlib.metadata import version; print(version({package!r}))"
        return self.run("-c", code).stdout.strip()


def interpreters() -> dict[str, str]:
    """Return the path of an interpreter by version; say which are missing."""
    named = os.environ.get("MATRIX_PYTHONS", "").split()
    candidates = named or [f"python{version}" for version in PYTHONS]
    found: dict[str, str] = {}
    for candidate in (*candidates, sys.executable):
        path = shutil.which(candidate)
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        asked = path and subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
        if path and asked and asked.returncode == 0:
            found.setdefault(asked.stdout.strip(), path)
    for version in PYTHONS:
        if version not in found:
            print(f"skipped: no Python {version} here that starts (name one in MATRIX_PYTHONS)", flush=True)
    return {version: found[version] for version in PYTHONS if version in found}


def environment(version: str, path: str, numpy: str) -> Environment | None:
    """Return the environment of a combination, made or brought up to date; None, and said, where that fails."""
    folder = FOLDER / f"python{version}-numpy{numpy}"
    made = Environment(version, numpy, folder / "bin" / "python")
    if not made.program.exists():
        subprocess.run([path, "-m", "venv", str(folder)], check=True)
    # Built again each time, and not as a link: what runs is what stands here now, and nothing else is touched.
    pip = ("-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "install")
    done = made.run(*pip, NUMPYS[numpy], *NEEDED, str(ROOT))
    if done.returncode:
        print(f"skipped: Python {version} with NumPy {numpy}: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return None
    return made


def tested(where: Environment, paths: tuple[str, ...], **variables: str) -> tuple[str, str]:
    """Run tests and return `ok` or `FAILED` with the count and the seconds, and what was printed."""
    began = time.perf_counter()
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:benchmark", "-n", "0")
    there = [path for path in paths if (ROOT / path).exists()]
    done = where.run("-m", "pytest", *options, "--hypothesis-seed=1", *there, HYPOTHESIS_PROFILE="dev", **variables)
    last = (done.stdout.strip().splitlines() or ["nothing was printed"])[-1]
    word = "ok" if done.returncode == 0 else "FAILED"
    return f"{word} ({last.split(' in ')[0]}, {time.perf_counter() - began:.0f} s)", done.stdout + done.stderr


def main() -> int:
    """Run everything and print one table."""
    rows, failures = [], 0
    for version, path in interpreters().items():
        for numpy in NUMPYS:
            if (version, numpy) in UNAVAILABLE:
                print(f"skipped: {UNAVAILABLE[version, numpy]}", flush=True)
                continue
            where = environment(version, path, numpy)
            if where is None:
                continue
            features = where.run("-c", DISPATCHED).stdout.strip()
            ways: list[tuple[str, tuple[str, ...], dict[str, str]]] = [
                ("as it is", (*CORPUS, *RUNS), {}),
                ("one BLAS thread", CORPUS, {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}),
            ]
            if features:
                ways.append(("CPU dispatch off", CORPUS, {"NPY_DISABLE_CPU_FEATURES": features}))
            full = where.run("-c", "import platform; print(platform.python_version())").stdout.strip()
            for way, paths, variables in ways:
                said, printed = tested(where, paths, **variables)
                row = (full, where.version("numpy"), where.version("scipy"), way, said)
                print(*row, sep=" | ", flush=True)
                rows.append(row)
                if said.startswith("FAILED"):
                    failures += 1
                    print(printed[-6000:], flush=True)
    print("\n| Python | NumPy | SciPy | how | result |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    return 1 if failures or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
