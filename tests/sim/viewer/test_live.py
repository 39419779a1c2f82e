"""Live views: a page and a terminal show a run while it goes on, and cannot change, stop or slow it."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from rich.console import Console

from ai.clients import client_from_spec
from ai.clients.scripted import ScriptedClient
from ai.fake.server import FakeSettings, serving
from ai.llm.price import Price
from sim import Simulation, load
from sim.cli import invoke
from sim.replay.writer import Recorder, open_replay
from sim.viewer.live import Live
from sim.viewer.share import AT_ONCE_S, MOST, Share
from sim.viewer.watch import Watch
from tests.sim.viewer.conftest import Tab
from tests.sim.viewer.test_collect import Decoder


class Clock:
    """Says what it is set to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def events(address: str) -> Iterator[dict[str, Any]]:
    """Yield what a page is sent until the run is over."""
    parts = urlsplit(address)
    assert parts.hostname is not None
    with closing(HTTPConnection(parts.hostname, parts.port, timeout=20)) as connection:
        connection.request("GET", f"{parts.path}events")
        for line in connection.getresponse():
            if line.startswith(b"data: "):
                said: dict[str, Any] = json.loads(line[6:])
                yield said
                if "over" in said:
                    return


def so_far(address: str) -> dict[str, Any]:
    parts = urlsplit(address)
    assert parts.hostname is not None
    with closing(HTTPConnection(parts.hostname, parts.port, timeout=20)) as connection:
        connection.request("GET", f"{parts.path}frames")
        found: list[dict[str, Any]] = json.loads(connection.getresponse().read())
        return found[0]


def roots(*listeners: object, ticks: int = 15) -> list[str]:
    """Return the roots of a run that these listeners hear of."""
    with Simulation(load("foraging"), seed=3, listeners=listeners) as simulation:
        for each in listeners:
            if isinstance(each, Live | Watch):
                each.begin(simulation, ticks)
        return [report.digest.root for report in simulation.reports(ticks)]


def test_a_page_gets_every_tick_and_the_end(tmp_path: Path) -> None:
    """Frames of a live run decode to its last state, whether a page was there from the start or came later."""
    live = Live(tmp_path / "a.replay.jsonl", clock=Clock())
    try:
        with Simulation(load("foraging"), seed=3, listeners=[live]) as simulation:
            live.begin(simulation, 15)
            heard: list[dict[str, Any]] = []
            early = threading.Thread(target=lambda: heard.extend(events(live.address)))
            early.start()
            simulation.run(15)
            live.end("enough")
            early.join(20)
            late = list(events(live.address))
            begun = so_far(live.address)
            for said in (heard, late):
                decoder = Decoder(begun["about"])
                frames = [*begun["frames"], *(each["frame"] for each in said if "frame" in each)]
                for frame in frames:
                    decoder.add(frame)
                assert [frame["t"] for frame in frames] == list(range(-1, 15))
                assert said[-1] == {"over": "enough"}
                assert decoder.alive == simulation.world.keys.tolist()
                place: Any = next(each for each in simulation.world.components if each.__name__ == "Place")
                assert decoder.of("Place.cell") == simulation.world[place].cell.tolist()
    finally:
        live.close()


def test_displays_change_nothing(tmp_path: Path) -> None:
    """The roots of a run are the same with and without displays, and with displays that fail."""

    class Broken(Live):
        def _keep(self, frame: dict[str, Any]) -> None:
            if frame["t"] >= 0:
                raise RuntimeError("a fault of a display")
            super()._keep(frame)

    live, broken = Live(tmp_path / "a.replay.jsonl"), Broken(tmp_path / "a.replay.jsonl")
    try:
        assert roots(live, Watch(), broken) == roots()
    finally:
        live.close()
        broken.close()


def test_a_browser_that_goes_away_stops_nothing(tmp_path: Path) -> None:
    """A page that is closed in the middle of the events leaves the run and the server as they were."""
    live = Live(tmp_path / "a.replay.jsonl")
    try:
        with Simulation(load("foraging"), seed=3, listeners=[live]) as simulation:
            live.begin(simulation, 15)
            simulation.run(5)
            next(events(live.address))
            simulation.run(15)
            live.end("enough")
            assert list(events(live.address))[-1] == {"over": "enough"}
    finally:
        live.close()


def test_a_display_keeps_to_its_share() -> None:
    """However long a look takes, looks cost no more than the share of a long run, and come again after a pause."""
    for look_s in (0.001, 0.1, 1.0):
        clock = Clock()
        share = Share(clock)
        spent = looks = 0.0
        for _ in range(20_000):
            clock.now += 0.01
            if share.due():
                with share.spent():
                    clock.now += look_s
                spent += look_s
                looks += 1
        assert looks > 1
        assert spent <= MOST * clock.now + AT_ONCE_S + look_s


def test_a_busy_run_is_shown_less_often(tmp_path: Path) -> None:
    """With its share of time used up, a live view leaves ticks out, and still shows the last one."""
    clock = Clock()
    live = Live(tmp_path / "a.replay.jsonl", clock=clock)
    try:
        with Simulation(load("epidemic"), seed=7, listeners=[live]) as simulation:
            live.begin(simulation, 300)
            with live._share.spent():
                clock.now += 1e6
            simulation.run(30)
            live.end("enough")
            ticks = [said["frame"]["t"] for said in events(live.address) if "frame" in said]
            assert ticks == [simulation.world.tick - 1]
    finally:
        live.close()


def test_an_agent_is_looked_up_in_the_recording(tmp_path: Path) -> None:
    """While a run goes on, its page can ask for any agent; a wrong question is answered in a sentence."""
    target = tmp_path / "a.replay.jsonl"
    live = Live(target)
    parts = urlsplit(live.address)
    assert parts.hostname is not None

    def asked(query: str) -> dict[str, Any]:
        with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=60)) as connection:
            connection.request("GET", f"{parts.path}agent?{query}")
            found: dict[str, Any] = json.loads(connection.getresponse().read())
            return found

    try:
        with Simulation(load("foraging"), seed=3, listeners=[live]) as simulation, open_replay(target) as writer:
            recorder = Recorder(simulation, writer)
            recorder.header()
            live.begin(simulation, 20)
            for report in simulation.reports(8):
                recorder.tick(report)
            assert asked("t=3&a=1")["agent"] == 1
            assert asked("t=3&a=999")["error"]
            assert asked("t=99&a=1")["error"]
            assert asked("a=1")["error"]
    finally:
        live.close()


def rendered(watch: Watch) -> str:
    """Return what a terminal shows."""
    sink = io.StringIO()
    Console(file=sink, width=100, color_system=None).print(watch)
    return sink.getvalue()


def test_a_terminal_shows_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tick, time, map, counts, tiers, tokens, cost where a price is known, and the plans of a model as they came."""
    monkeypatch.setattr(Price, "of", lambda *_: 0.5)
    clock = Clock()
    watch = Watch(60, 10, prices={"": Price("x/y", "y", "x")}, clock=clock)
    script = ScriptedClient([{"agent": "*", "steps": [{"act": "Rest", "ticks": 2}]}])
    with Simulation(load("foraging"), seed=3, client=script, listeners=[watch]) as simulation:
        watch.begin(simulation, 20)
        assert "tick 0 of 20  0:00:00" in rendered(watch)
        for _ in range(6):
            clock.now += 1.5
            simulation.tick()
        text = rendered(watch)
    assert "tick 6 of 20  0:00:09  0.7 ticks/s  39 agents" in text
    assert "* Bush 24" in text
    assert "a Ash 5" in text
    assert "plans  simplified_llm" in text
    assert re.search(r"model  (\d+) calls, .* tokens read, 0 written, ([0-9.]+) US dollars", text)
    calls, cost = re.findall(r"model  (\d+) calls.*, ([0-9.]+) US dollars", text)[0]
    assert float(cost) == 0.5 * int(calls)
    assert "agent 14: Rest ticks=2" in text


def test_the_cost_of_two_models_is_the_sum_where_both_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tier's tokens have the price of its own model; an unknown price leaves the sum out."""
    monkeypatch.setattr(Price, "of", lambda self, *_: float(self.name))
    calls = [{"tier": "full_llm@red"}, {"tier": "full_llm@blue"}, {"tier": "full_llm"}]
    prices = {"": Price("1", "", ""), "red": Price("10", "", ""), "blue": Price("100", "", "")}
    for known, cost in ((prices, 111.0), ({**prices, "blue": None}, None), ({"": prices[""]}, 3.0)):
        watch = Watch(prices=known)
        watch._add_costs(calls)
        assert watch._cost == cost


def test_calls_in_flight_are_shown(tmp_path: Path) -> None:
    """While a model works, the terminal and the page say how many calls are in flight, and how many are back."""
    watch, live = Watch(), Live(tmp_path / "a.replay.jsonl")
    with (
        closing(live),
        serving(FakeSettings(slots=4, latency_s=0.3, tokens_per_s=0)) as server,
        Simulation(
            load("market"), client=client_from_spec(f"openai:fake@{server.openai_url}"), listeners=[watch, live]
        ) as simulation,
    ):
        for each in (watch, live):
            each.begin(simulation, 2)
        seen, over = set(), threading.Event()

        def look() -> None:
            while not over.wait(0.02):
                seen.update(line for line in rendered(watch).splitlines() if line.startswith("round"))

        looking = threading.Thread(target=look)
        looking.start()
        simulation.run(1)
        over.set()
        looking.join()
        live.end("enough")
        notes = [said["note"] for said in events(live.address) if said.get("note")]
        assert any(re.search(r"^round 1, tick 0: [2-4] calls in flight, 0 back, 0 of 12 agents", each) for each in seen)
        assert "round" not in rendered(watch)
    assert notes == []  # over: nothing goes on


def test_what_a_model_wrote_cannot_act_on_a_terminal() -> None:
    """Controls in a plan's words are left out of what is shown."""
    watch = Watch()
    script = ScriptedClient([{"agent": "*", "steps": [{"act": "Talk", "to": 1, "words": "a\x1b[31mb[red]"}]}])
    with Simulation(load("market"), seed=3, client=script, listeners=[watch]) as simulation:
        watch.begin(simulation, 3)
        simulation.run(2)
    text = rendered(watch)
    assert "\x1b" not in text
    assert "b[red]" in text


def test_a_terminal_is_needed_for_watching(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without one the command ends with a sentence, before anything is written."""
    out = tmp_path / "a.replay.jsonl"
    assert invoke(["run", "market", "--ticks", "2", "--watch", "--out", str(out)]) == 64
    assert "--watch: standard error is not a terminal" in capsys.readouterr().err
    assert not out.exists()


def test_a_run_is_seen_in_a_browser_while_it_goes_on(tab: Tab, tmp_path: Path) -> None:
    """The page follows the run, shows a plan of the model with its prompt, says how it ended, and ends with Ctrl-C."""
    out = tmp_path / "a.replay.jsonl"
    with serving(FakeSettings(slots=4, latency_s=0.05, tokens_per_s=0)) as server:
        command = [sys.executable, "-m", "sim", "run", "market", "--ticks", "12", "--llm"]
        command += [f"openai:fake@{server.openai_url}", "--view", "--out", str(out), "--quiet"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            try:
                address = next(line.split()[-1] for line in process.stderr if "see the run at" in line)
                page = tab.open(address)
                tab.wait("tickweave.last >= 11 && tickweave.over !== undefined")
                assert tab.ask("tickweave.tick") == tab.ask("tickweave.last")
                page.evaluate("tickweave.choose(2)")
                tab.wait("document.querySelector(\"details[data-name='Prompt']\") !== null")
                assert tab.text("#state") == "the run has ended"
                tab.picture("live")
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(20)
    assert process.returncode == 0
    assert invoke(["verify", str(out)]) == 0
