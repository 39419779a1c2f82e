"""A headless Chromium for tests of pages, and recordings to look at.

Where Chromium or playwright is missing, these tests are skipped with a sentence; with TICKWEAVE_GATE=1, as in the
gate, they fail instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from ai.fake.server import FakeSettings, serving
from sim.cli import invoke
from sim.viewer.replays import Shown, view_of

FLAGS: Final = (
    "--no-sandbox",  # the gate runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREENSHOTS: Final = Path(__file__).parents[3] / "out" / "screenshots"
"""Where the pictures of a test run are kept."""
NAMES: Final = ("chromium", "chromium-browser", "google-chrome")
READY_MS: Final = 30_000
POLL_MS: Final = 20


def missing() -> str | None:
    """Say what is not there, if anything."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "pages are not tested: playwright is not installed; pip install 'tickweave[test]'"
    if not any(map(shutil.which, NAMES)):
        return "pages are not tested: there is no Chromium; install the package chromium"
    return None


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Start a browser for all tests of a session."""
    reason = missing()
    if reason is not None:
        if os.environ.get("TICKWEAVE_GATE") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    path = next(filter(None, map(shutil.which, NAMES)))
    with ThreadPoolExecutor(1) as thread:
        playwright = thread.submit(sync_playwright().start).result()
        launched = thread.submit(playwright.chromium.launch, executable_path=path, args=list(FLAGS)).result()
        browser = Far(thread, launched)
        yield browser
        browser.close()
        thread.submit(playwright.stop).result()


class Far:
    """An object of playwright, which lives in a thread of its own: it would keep an event loop in the tests' thread."""

    def __init__(self, thread: ThreadPoolExecutor, thing: Any) -> None:
        self._thread, self._thing = thread, thing

    def __getattr__(self, name: str) -> Any:
        return self._near(self._thread.submit(getattr, self._thing, name).result())

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._near(self._thread.submit(self._thing, *args, **options).result())

    def _near(self, thing: Any) -> Any:
        if isinstance(thing, list):
            return [self._near(each) for each in thing]
        near = thing is None or isinstance(thing, str | int | float | dict)
        return thing if near else Far(self._thread, thing)


class Tab:
    """A page in a browser that must not say anything in its console."""

    def __init__(self, browser: Any) -> None:
        self.page = browser.new_page(viewport={"width": 1400, "height": 900})
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, address: str) -> Any:
        """Open an address, wait until the view is there, and return the page."""
        self.page.goto(address)
        self.wait("document.body.dataset.ready === 'yes'")
        return self.page

    def wait(self, condition: str) -> None:
        """Wait until JavaScript says yes; the page's policy forbids playwright's own way, which evaluates in it."""
        for _ in range(READY_MS // POLL_MS):
            if self.ask(condition):
                return
            self.page.wait_for_timeout(POLL_MS)
        raise AssertionError(f"not so after {READY_MS} ms: {condition}; the page said {self.said}")

    def ask(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; `tickweave` is the view."""
        return self.page.evaluate(expression)

    def text(self, selector: str) -> str:
        """Return the visible text of an element."""
        return str(self.page.inner_text(selector))

    def picture(self, name: str) -> None:
        """Keep a screenshot."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(150)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.fixture
def tab(chromium: Any) -> Iterator[Tab]:
    """Open an empty tab; afterwards its console must be empty."""
    opened = Tab(chromium)
    yield opened
    opened.page.close()
    assert opened.said == []


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that runs a scenario and returns its replay; the same run is made once."""
    folder = tmp_path_factory.mktemp("viewer")
    made: dict[tuple[str, ...], Path] = {}

    def run(scenario: str, *options: str) -> Path:
        if (scenario, *options) not in made:
            out = folder / f"{Path(scenario).stem}-{len(made)}.replay.jsonl"
            assert invoke(["run", scenario, "--out", str(out), "--quiet", *options]) == 0
            made[scenario, *options] = out
        return made[scenario, *options]

    return run


@pytest.fixture(scope="session")
def modelled(recorded: Callable[..., Path]) -> Path:
    """Return the replay of a run that a model planned."""
    with serving(FakeSettings(slots=2, latency_s=0, tokens_per_s=0)) as server:
        words = ("--every", "1", "--llm", f"openai:fake@{server.openai_url}", "--deadline-ms", "60000")
        return recorded("market", "--ticks", "12", *words)


@pytest.fixture
def file_of(tmp_path: Path) -> Callable[..., str]:
    """Return a function that writes the page of replays and returns its address."""

    def write(*replays: Path) -> str:
        out = tmp_path / "page.html"
        return view_of([Shown(each, (), each.name) for each in replays]).save(out).as_uri()

    return write
