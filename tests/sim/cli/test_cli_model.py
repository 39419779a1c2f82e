"""`run --llm` and the server behind it: told at the start, required unless said otherwise, kept in the report."""

import importlib
import json
import logging
import pkgutil
from pathlib import Path

import pytest

import ai.clients
import ai.llm
from ai.fake.faults import Fault
from ai.fake.model import Plans
from ai.fake.server import FakeSettings, serving
from ai.llm.price import price_of
from sim.cli import invoke


def run(spec: str, replay: Path, *more: str) -> int:
    return invoke(["run", "skirmish", "--ticks", "2", "--llm", spec, "--out", str(replay), *more])


def test_the_verdict_is_told_and_kept_in_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr says what the server does; the report has it, the replay has no address."""
    replay = tmp_path / "a.replay.jsonl"
    with serving(FakeSettings(slots=2)) as server:
        assert run(f"ollama:fake@{server.url}", replay, "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["tiers"]["simplified_llm"] > 0
    assert "ollama:fake: ollama, 8,192 tokens of context, schemas are enforced" in err
    report = json.loads((tmp_path / "a.report.json").read_text())
    assert report["endpoint"]["schema"] == "enforced"
    assert "127.0.0.1" not in replay.read_text() + json.dumps(report)


def test_a_server_that_is_down_stops_the_run_unless_it_is_optional(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing listens: one sentence and exit code 1; with --llm-optional the rules plan."""
    with serving() as server:
        specs = f"openai:fake@{server.openai_url}", f"ollama:other@{server.url}"
        assert run(specs[1], tmp_path / "a.replay.jsonl") == 1
        assert "has no such model" in capsys.readouterr().err
    assert run(specs[0], tmp_path / "a.replay.jsonl") == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--llm-optional" in err
    assert not (tmp_path / "a.replay.jsonl").exists()
    assert run(specs[0], tmp_path / "a.replay.jsonl", "--llm-optional", "--json") == 0
    out, err = capsys.readouterr()
    assert "rules plan" in err
    assert json.loads(out)["tiers"]["heuristic"] > 0


def test_a_server_that_ignores_schemas_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run goes on with such a server, and the person at the terminal knows what to expect."""
    with serving(FakeSettings(faults={Fault.WRONG: 1.0})) as server:
        assert run(f"openai:fake@{server.openai_url}", tmp_path / "a.replay.jsonl") == 0
    assert "schemas are IGNORED" in capsys.readouterr().err


def test_tokens_are_summed_by_tier_and_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The object and the summary say what a plan of each tier took, the report what each round took."""
    with serving(FakeSettings(plans=Plans.RULES)) as server:
        spec = f"openai:fake@{server.openai_url}"
        assert run(spec, tmp_path / "a.replay.jsonl", "--json") == 0
        llm = json.loads(capsys.readouterr().out)["llm"]
        assert run(spec, tmp_path / "b.replay.jsonl") == 0
        assert "tokens read and" in " ".join(capsys.readouterr().out.split())
    tier, rounds = llm["by_tier"]["simplified_llm"], json.loads((tmp_path / "a.report.json").read_text())["llm_rounds"]
    assert tier["plans"] > 0
    assert tier["prompt_tokens_per_plan"] == round(tier["prompt_tokens"] / tier["plans"], 2)
    for name in ("calls", "agents", "prompt_tokens", "completion_tokens"):
        assert llm[name] == sum(each[name] for each in llm["by_tier"].values()) == sum(each[name] for each in rounds)
    assert llm["budget"] is None


@pytest.mark.parametrize("scenario", ["market", "skirmish"])
def test_a_budget_ends_the_use_of_the_model_and_not_the_run(
    scenario: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rules plan from then on; stderr, object and summary say so; the replay needs no budget to be the same again."""
    replay = str(tmp_path / "a.replay.jsonl")
    with serving(FakeSettings(plans=Plans.RULES)) as server:
        asked = ["run", scenario, "--ticks", "12", "--llm", f"openai:fake@{server.openai_url}", "--out", replay]
        assert invoke([*asked, "--max-tokens", "2000", "--json"]) == 0
        assert (
            server.counts.prompt_tokens + server.counts.completion_tokens < 3000
        )  # the probe's calls are not the run's
        told, said = capsys.readouterr()
        assert invoke([*asked, "--max-tokens", "2000", "--force"]) == 0
        assert "and rules planned from then on" in " ".join(capsys.readouterr().out.split())
    found = json.loads(told)
    assert found["tiers"]["simplified_llm"] > 0
    assert found["tiers"]["heuristic"] > 0
    assert found["llm"]["budget"]["tokens"] <= 2000
    assert found["llm"]["budget"]["over"] == "the budget of 2,000 tokens is used up"
    assert said.count("rules plan from now on") == 1
    assert invoke(["verify", replay]) == 0


def test_money_is_limited_only_at_a_known_price(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server of one's own has no price: one sentence that names the other limit."""
    for more in (["--max-cost", "1"], ["--max-cost", "0"]):
        assert run("openai:fake@http://127.0.0.1:9/v1", tmp_path / "a.replay.jsonl", *more) == 64
    assert "this model has no known price; use --max-tokens" in capsys.readouterr().err


def test_money_ends_the_use_of_the_model_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the price of the model's provider; summary and object have the dollars."""
    monkeypatch.setattr("sim.cli.run.price_of", lambda spec: price_of("openai:gpt-4o-mini"))
    with serving(FakeSettings(plans=Plans.RULES)) as server:
        asked = ["run", "market", "--ticks", "12", "--llm", f"openai:fake@{server.openai_url}", "--max-cost", "0.0005"]
        assert invoke([*asked, "--json", "--out", str(tmp_path / "a.replay.jsonl")]) == 0
    budget = json.loads(capsys.readouterr().out)["llm"]["budget"]
    assert budget["over"] == "the budget of 0.0005 US dollars is used up"
    assert 0 < budget["cost"] <= 0.0005


def test_models_of_groups_share_the_money(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit holds for the sum of what all models cost."""
    monkeypatch.setattr("sim.cli.run.price_of", lambda spec: price_of("openai:gpt-4o-mini"))
    with serving(FakeSettings(plans=Plans.RULES)) as server:
        groups = [
            word for name in ("red", "blue") for word in ("--group", f"{name}=llm:openai:fake@{server.openai_url}")
        ]
        asked = ["run", "skirmish", "--ticks", "20", *groups, "--max-cost", "0.0005"]
        assert invoke([*asked, "--json", "--out", str(tmp_path / "a.replay.jsonl")]) == 0
    found = json.loads(capsys.readouterr().out)["llm"]
    assert found["budget"]["over"] == "the budget of 0.0005 US dollars is used up"
    assert 0 < found["budget"]["cost"] <= 0.0005


def test_a_log_says_what_is_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing without -v, rounds and calls with it, requests and answers with two; as JSON one object a line."""
    with serving() as server:
        spec = f"openai:fake@{server.openai_url}"
        lines = []
        for place, more in enumerate([(), ("-v",), ("-vv",), ("-v", "--log-json")]):
            assert run(spec, tmp_path / f"{place}.replay.jsonl", "--quiet", *more) == 0
            lines.append(capsys.readouterr().err.splitlines())
    quiet, calls, detail, objects = lines
    assert quiet == []
    assert any("a call for" in line and "tokens read" in line for line in calls)
    assert not any("POST /chat/completions" in line for line in calls)
    assert any("POST /chat/completions: 200" in line for line in detail)
    assert "127.0.0.1" not in str(lines)
    told = [json.loads(line) for line in objects]
    assert {each["logger"] for each in told} >= {"tickweave.ai.llm.executor", "tickweave.sim.run.planning_service"}
    assert all(list(each) == ["time", "level", "logger", "message"] for each in told)
    assert not logging.getLogger("tickweave").handlers


def test_every_working_part_of_the_model_layer_has_its_logger() -> None:
    """Each logs under its own name below `tickweave`; what only reads and writes texts has nothing to log."""
    silent = {"redaction", "refusals", "reply", "scripts", "sse", "thinking", "scripted", "openai", "ollama"}
    silent |= {"models", "prompt", "prompt_rows", "price", "tokens"}
    for package in (ai.clients, ai.llm):
        for info in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            own = getattr(module, "logger", None)
            assert info.ispkg or (own is None) == (info.name in silent), info.name
            assert own is None or own.name == f"tickweave.{module.__name__}"
