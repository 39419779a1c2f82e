"""Hypothesis profiles: `dev` (default, fast), `ci` (same examples every time), `nightly` (many, from a seed).

And coverage marks: a test that claims a refusal has to bring it about (`tests/support/marks.py`).
"""

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.marks import claims_of, keeping

# Tests load local plug-ins all the time; those of consent take this away again.
os.environ["TICKWEAVE_TRUST"] = "1"
settings.register_profile("dev", max_examples=25, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True, print_blob=True)
settings.register_profile(
    "nightly",
    max_examples=int(os.environ.get("NIGHTLY_EXAMPLES", "2000")),
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Let a test that is marked fail when it does not bring about what it claims."""
    claims = claims_of(pyfuncitem)
    if not claims:
        return (yield)
    with keeping(claims):
        return (yield)


@pytest.fixture
def processes_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let other processes pay from the second item of shared work on, on any machine."""
    from sim.run import workers

    monkeypatch.setattr(workers, "PAYS_S", 0.0)
    monkeypatch.setattr(workers, "START_S", 0.0)
    monkeypatch.setattr(workers, "SHARE", 0.0)
    monkeypatch.setattr(workers, "cores", lambda: 2)
