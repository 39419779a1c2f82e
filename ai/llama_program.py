"""A llama-server out of the Python package xllamacpp, as a program: it takes the options that we give to llama-server.

Run as a file and in a process of its own, never imported: a model that brings its engine down ends this process alone.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence

PACKAGE = "xllamacpp"


def main(options: Sequence[str]) -> int:
    """Serve until the process is ended; returns 1 where the package is missing or the model cannot be loaded."""
    parser = argparse.ArgumentParser(prog=PACKAGE)
    parser.add_argument("--model", required=True)
    parser.add_argument("--host", required=True)
    for name in ("--port", "--ctx-size", "--parallel"):
        parser.add_argument(name, type=int, required=True)
    for name in ("--threads", "--n-gpu-layers"):
        parser.add_argument(name, type=int)
    asked = parser.parse_args(options)
    try:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path, params.hostnames, params.port = asked.model, [asked.host], asked.port
        params.n_ctx, params.n_parallel = asked.ctx_size, asked.parallel
        if asked.threads is not None:
            params.cpuparams.n_threads = asked.threads
        if asked.n_gpu_layers is not None:
            params.n_gpu_layers = asked.n_gpu_layers
        server = xllamacpp.Server(params)  # it serves from threads of its own as long as it is kept
    except Exception as error:  # after any failure, the parent shows the last words of this process
        sys.stderr.write(f"{PACKAGE}: {error}\n")
        return 1
    threading.Event().wait()
    del server
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
