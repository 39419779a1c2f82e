"""`tickweave fake-llm`: serve a model interface without a model, for tests and integrations."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Annotated

import typer

from ai.errors import ContractError
from ai.fake.faults import Fault, parse_faults
from ai.fake.model import Plans
from ai.fake.server import FakeServer, FakeSettings
from sim.cli.common import AsJson, print_result, usage

_KINDS = ", ".join(fault.value for fault in Fault)


def fake_llm(
    *,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on loopback; 0: any free one.")] = 0,
    latency_ms: Annotated[float, typer.Option(min=0, help="Time from a free slot to the first token.")] = 200,
    tokens_per_s: Annotated[float, typer.Option(min=0, help="Tokens a second in each slot; 0: no limit.")] = 50,
    slots: Annotated[int, typer.Option(min=1, max=4096, help="Calls at the same time; further calls wait.")] = 8,
    context: Annotated[
        int, typer.Option(min=1, max=2**24, help="Context of a slot, in tokens of 4 characters.")
    ] = 8192,
    plan_tokens: Annotated[int, typer.Option(min=1, max=4096, help="Tokens of one agent's plan.")] = 22,
    plans: Annotated[Plans, typer.Option(help="Random plans, or the plans of the calling run's rules.")] = Plans.DRAWN,
    seed: Annotated[int, typer.Option(min=0, help="Seed of random plans and faults.")] = 0,
    model: Annotated[str, typer.Option(help="Name of the model that it pretends to have.")] = "fake",
    fail: Annotated[
        str | None, typer.Option(metavar="SPEC", help=f"Share of calls that fail: KIND=SHARE,... Kinds: {_KINDS}.")
    ] = None,
    enforce: Annotated[bool, typer.Option(help="Obey the schema or grammar of a call.")] = True,
    as_json: AsJson = False,
) -> None:
    """Serve a stand-in for a language model, until Ctrl-C.

    It has the interfaces of Ollama and OpenAI, on this machine only.

    It answers every prompt of this program with legal plans, after the times that the options set.
    """
    try:
        settings = FakeSettings(
            model=model,
            latency_s=latency_ms / 1000,
            tokens_per_s=tokens_per_s,
            slots=slots,
            context=context,
            plan_tokens=plan_tokens,
            plans=plans,
            seed=seed,
            enforce=enforce,
            faults={} if fail is None else parse_faults(fail),
        )
    except ContractError as error:
        raise usage(f"fake-llm: {error}") from None
    asyncio.run(_serve(FakeServer(settings, port=port), as_json=as_json))


async def _serve(server: FakeServer, *, as_json: bool) -> None:
    """Serve until the process is interrupted or ended."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with server:
        model = server.settings.model
        specs = {"openai": f"openai:{model}@{server.openai_url}", "ollama": f"ollama:{model}@{server.url}"}
        lines = [f"{server.url} answers as model {model}, until Ctrl-C"]
        lines += [f"tickweave run SCENARIO --llm {spec}" for spec in specs.values()]
        print_result({"url": server.url, "model": model, "llm": specs}, "\n".join(lines), as_json=as_json)
        sys.stdout.flush()
        await ended.wait()
    counts = server.counts
    sys.stderr.write(
        f"tickweave: {counts.calls:,} calls, {counts.prompt_tokens:,} tokens read ({counts.cached_tokens:,} from the "
        f"cache), {counts.completion_tokens:,} written, {counts.faults.total():,} spoiled\n"
    )
