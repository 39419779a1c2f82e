"""Views in a real browser: every domain, a run with a model, two runs, strangers' text, and what a redraw costs."""

from __future__ import annotations

import contextlib
import io
import json
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from sim import Simulation, load
from sim.cli import invoke
from sim.run.domains import available_domains
from sim.viewer.replays import Shown, serve, view
from tests.sim.viewer.conftest import Tab
from tests.sim.viewer.test_page import data_of

SCENARIOS: Final = {"tactics": "skirmish"}
EVIL: Final = (
    '</script><img src=x onerror="window.broken=1"><script>window.broken=1</script>&lt;b\x00\x1b[31m\u202e\u2028'
)
"""A text that a page must show and never act on."""


@pytest.mark.parametrize("name", available_domains())
def test_every_domain_is_shown(name: str, tab: Tab, recorded: Callable[..., Path], file_of: Callable[..., str]) -> None:
    """It plays to its end, scrubs, draws agents or a table, and shows the values of an agent that is clicked."""
    page = tab.open(file_of(recorded(SCENARIOS.get(name, name), "--ticks", "20", "--seed", "1")))
    last = tab.ask("tickweave.last")
    tab.wait("document.querySelector('#now').textContent === 'start'")
    page.select_option("#speed", "60")
    page.click("#play")
    tab.wait("tickweave.tick === tickweave.last && !tickweave.playing")
    page.fill("#time", "4")
    tab.wait("document.querySelector('#now').textContent.startsWith('tick 4 of')")
    page.press("body", "ArrowRight")
    tab.wait("tickweave.tick === 5 && location.hash === '#t=5'")
    assert last >= 5
    if page.query_selector(".pane canvas:not([hidden])") is None:
        assert page.query_selector_all(".table tr.agent")
        page.click(".table tr.agent >> nth=2")
    else:
        # The middle of the last agent that was drawn lies above all others.
        x, y = tab.ask("tickweave.panes[0].hits.at(-1).slice(1, 3)")
        page.click(".pane canvas", position={"x": x, "y": y})
    tab.wait("tickweave.agent !== null && !/^Tick/.test(document.querySelector('#panel h2').textContent)")
    key = tab.ask("tickweave.agent")
    assert re.match(rf"\w+ {key}\n", tab.text("#panel"))
    assert page.query_selector_all("#panel td")
    assert len(page.query_selector_all("#charts canvas")) == len(tab.ask("tickweave.runs[0].about.metrics")[:12])
    tab.picture(name)
    assert [url for url in tab.asked if not url.startswith("file:")] == []


def test_the_prompt_and_the_reply_of_a_model_are_shown(tab: Tab, modelled: Path, file_of: Callable[..., str]) -> None:
    """A deep link opens tick and agent; what it knew, prompt, reply, steps and what they did are those of `show`."""
    address = file_of(modelled)
    found = data_of(Path(address.removeprefix("file://")).read_text("utf-8"))[0]["frames"]
    tick, key = next((frame["t"], int(key)) for frame in found[2:] for key in frame.get("o", {}))
    page = tab.open(f"{address}#t={tick}&a={key}")
    assert tab.ask("[tickweave.tick, tickweave.agent]") == [tick, key]
    shown = json.loads(_output(["show", str(modelled), "--tick", str(tick), "--agent", str(key), "--json"]))
    assert (shown["planned_at"], shown["tier"].endswith("_llm")) == (tick, True)
    assert tab.text("#panel .tier") == shown["tier"]
    for name, said in (("Prompt", shown["prompt"]["user"]), ("Reply", shown["reply"])):
        assert page.inner_text(f"details[data-name='{name}'] pre").split() == said.split()
    page.click("details[data-name='What it knew'] summary")
    assert json.loads(page.inner_text("details[data-name='What it knew'] pre")) == shown["snapshot"]
    steps = page.query_selector_all("ol.steps li")
    assert [each.inner_text().split()[0] for each in steps] == [step["act"] for step in shown["steps"]]
    for line, step in zip(steps, shown["steps"], strict=True):
        ticks = [each["tick"] for each in step["ticks"]]
        assert (f"{ticks[0]}" if ticks else "not reached") in line.query_selector("small").inner_text()
    tab.picture("model")
    page.evaluate("location.hash = '#t=6&a=4'")
    tab.wait("tickweave.tick === 6 && tickweave.agent === 4")
    page.fill("#search", "talk")
    tab.wait("document.querySelectorAll('.hits button').length > 0")
    page.click(".hits button >> nth=0")
    tab.wait("tickweave.agent !== null")


def test_two_replays_part_where_diff_says(
    tab: Tab, recorded: Callable[..., Path], file_of: Callable[..., str], tmp_path: Path
) -> None:
    """The first difference is marked, a key goes to it, and the values that differ stand beside each other."""
    inputs = tmp_path / "inputs.jsonl"
    inputs.write_text('{"tick": 7, "input": {"kind": "control", "agent": 3, "on": true}}\n')
    one = recorded("market", "--ticks", "15", "--seed", "2")
    two = recorded("market", "--ticks", "15", "--seed", "2", "--inputs", str(inputs))
    page = tab.open(file_of(one, two))
    found = json.loads(_output(["diff", str(one), str(two), "--json"], code=1))
    assert tab.text("#panel").count(f"They part in tick {found['first']['tick']}") == 1
    page.press("body", "d")
    tab.wait(f"tickweave.tick === {found['first']['tick']}")
    assert len(page.query_selector_all(".pane")) == 2
    assert tab.text("#panel").count("Control.taken") == 1
    page.click("#panel tr.agent >> nth=1")
    tab.wait("tickweave.agent === 3 && document.querySelectorAll('#panel td.differs').length > 0")
    tab.picture("two")
    page.press("body", "Escape")
    tab.wait("tickweave.agent === null")


def test_a_replay_full_of_markup_shows_as_text(tab: Tab, tmp_path: Path) -> None:
    """Names, texts, inputs, descriptions and outcomes of strangers are shown character by character, and do nothing."""
    strange = tmp_path / "strange.py"
    strange.write_text(f"EVIL = {EVIL!r}\n{STRANGE}", encoding="utf-8")
    (tmp_path / "strange.toml").write_text(
        f'domain = "strange.py"\nname = "strange"\nticks = 6\ndescription = {json.dumps(EVIL[:70])}\n'
        f'[[inputs]]\ntick = 1\ninput = {{ kind = "say", words = {json.dumps(EVIL[:60])} }}\n',
        encoding="utf-8",
    )
    replay = tmp_path / "strange.replay.jsonl"
    assert invoke(["run", str(tmp_path / "strange.toml"), "--out", str(replay), "--quiet", "--trust"]) == 0
    shown = view(replay, plugin_files=[strange])
    assert not any(part in shown.html for part in ("onerror=", "broken", "&lt;b"))
    page = tab.open(f"{shown.save(tmp_path / '<b>page.html').as_uri()}#t=2&a=0")
    tab.wait("document.querySelector('#panel').textContent.includes('<img src=x')")
    text = tab.ask("document.body.textContent")
    assert "\\u202e" in text
    assert "\\u001b[31m" in text
    assert not any(character in text for character in "\x00\x1b\u202e\u2028")
    page.press("body", "Escape")
    for tick in range(-1, 6):
        page.evaluate(f"tickweave.go({tick})")
        page.wait_for_timeout(30)
    page.fill("#search", "<img")
    tab.wait("document.querySelectorAll('.hits button').length > 0")
    assert tab.ask("window.broken") is None
    assert page.query_selector("img, iframe, object, body script[src]") is None
    tab.picture("markup")


STRANGE: Final = '''
import numpy as np

from sim import Component, Domain, Input, Inputs, Look, Portrayal, System, i8, column


class Person(Component):
    kind: i8
    said: str
    heard: tuple[str, ...] = column(limit=3)


class Say(Input):
    """Says something."""

    words: str

    def apply(self, world, run):
        world[Person].said[:] = world.texts.intern(self.words.replace(chr(0), ""))
        return "no " + EVIL


class Talk(System):
    """Reads and writes Person. Order: alone."""

    def process(self, world, run):
        world.remember(world[Person].heard, np.arange(world.n), np.full(world.n, world.texts.intern(EVIL)))
        world[Person].kind[:] = (world.keys + world.tick) % 2


class Strange(Domain):
    components, systems, inputs = (Person,), (Inputs, Talk), (Say,)
    tables = {"kinds": (EVIL, EVIL + "2")}
    metrics = {EVIL: lambda world: world.tick}
    portrayal = Portrayal(looks=(Look(colour="Person.kind", names="kinds", label="Person.said", name=EVIL, glyph="<"),))

    def setup(self, world, run):
        world.spawn({Person: {}}, count=4)

    def outcome(self, world):
        return EVIL if world.tick == 5 else None
'''


def test_a_server_shows_what_a_page_leaves_out(tab: Tab, recorded: Callable[..., Path]) -> None:
    """With --serve a plan of rules also has what the agent knew; nothing but the server is asked."""
    server, address = serve([Shown(recorded("foraging", "--ticks", "20", "--seed", "1"))])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        page = tab.open(f"{address}#t=6&a=1")
        tab.wait("document.querySelector(\"details[data-name='What it knew']\") !== null")
        assert "bushes" in page.text_content("details[data-name='What it knew'] pre")
        assert all(url.startswith(address) for url in tab.asked)
        tab.picture("served")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_ten_thousand_agents_are_drawn_at_once(
    tab: Tab, recorded: Callable[..., Path], file_of: Callable[..., str]
) -> None:
    """Above 2,000 agents there is one fill for each colour and no label; `benchmarks/view.py` says what that takes."""
    size = ("--set", "width=112", "--set", "height=112", "--ticks", "6")
    tab.open(file_of(recorded("segregation", *size)))
    drawn: Any = tab.ask(
        """() => { const pane = tickweave.panes[0], c = pane.context, made = { fill: 0, fillText: 0, arc: 0 };
        for (const name of Object.keys(made)) {
          const own = c[name].bind(c); c[name] = (...all) => { made[name]++; own(...all); };
        }
        pane.draw();
        return { agents: pane.hits.length, ...made }; }"""
    )
    assert drawn["agents"] > 10_000
    assert (drawn["fill"], drawn["fillText"], drawn["arc"]) == (2, 0, 0)
    tab.picture("large")


def _output(command: list[str], code: int = 0) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert invoke(command) == code
    return said.getvalue()


def test_a_notebook_cell_shows_a_world(tab: Tab, tmp_path: Path) -> None:
    """The frame of a notebook's cell draws the world as it is now, without an address of its own."""
    with Simulation(load("foraging"), seed=3) as simulation:
        cell = simulation.run(6).show()._repr_html_()
    (tmp_path / "cell.html").write_text(f"<!doctype html><body>{cell}</body>", encoding="utf-8")
    tab.page.goto((tmp_path / "cell.html").as_uri())
    frame = tab.page.frames[1]
    for _ in range(200):
        if frame.evaluate("document.body !== null && document.body.dataset.ready === 'yes'"):
            break
        tab.page.wait_for_timeout(20)
    assert frame.inner_text("#panel h2") == "Tick 5"
    assert not frame.is_visible("footer")
    assert frame.evaluate("tickweave.panes[0].hits.length") == 39
    tab.picture("notebook")
