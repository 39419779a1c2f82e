"""Where cells run: in processes of this machine, or on a Ray cluster. Both look like `concurrent.futures`."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, Final, TypeVar

from sim.extras import extra
from sim.run.workers import Processes

T = TypeVar("T")
EXECUTORS: Final = ("local", "ray")
"""The executors by name."""


def executor_of(name: str, jobs: int) -> Executor:
    """Return an executor by its name.

    Raises:
        MissingExtra: Ray is not installed.
    """
    return RayExecutor(jobs) if name == "ray" else Processes(jobs)


class RayExecutor(Executor):
    """Runs calls as Ray tasks, one processor each.

    It joins the cluster that `RAY_ADDRESS` names, or starts one on this machine. All machines see the same files under
    the same paths, and have Tickweave installed.

    Args:
        jobs: tasks at once on a cluster that is started here.
    """

    def __init__(self, jobs: int) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        self._ray = extra("ray", "--executor ray")
        self._own = not self._ray.is_initialized()
        if self._own:
            here: dict[str, Any] = (
                {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": jobs, "include_dashboard": False}
            )
            self._ray.init(log_to_driver=False, logging_level="error", **here)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Start a task."""
        reference = self._ray.remote(fn).options(num_cpus=1, max_retries=1).remote(*args, **kwargs)
        future: Future[T] = reference.future()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the interface's
        """Leave the cluster; one that was started here ends."""
        del wait, cancel_futures
        if self._own:
            self._ray.shutdown()
