"""`tickweave fake-llm`: a model server that needs no model, for people who write integrations."""

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
from sim.cli.common import AsJson, print_json, usage

_KINDS = ", ".join(fault.value for fault in Fault)


def fake_llm(
    *,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on loopback; 0 takes a free one.")] = 0,
    latency_ms: Annotated[float, typer.Option(min=0, help="Time to the first token of a call that has a slot.")] = 200,
    tokens_per_s: Annotated[float, typer.Option(min=0, help="Tokens a second in each slot; 0: no limit.")] = 50,
    slots: Annotated[int, typer.Option(min=1, max=4096, help="Calls at the same time; more of them queue.")] = 8,
    context: Annotated[int, typer.Option(min=1, max=2**24, help="Room of a slot, in tokens of 4 characters.")] = 8192,
    plan_tokens: Annotated[int, typer.Option(min=1, max=4096, help="Tokens of one agent's plan.")] = 22,
    plans: Annotated[
        Plans, typer.Option(help="Plans drawn at random, or what the rules of the calling run would plan.")
    ] = Plans.DRAWN,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawn plans and faults.")] = 0,
    model: Annotated[str, typer.Option(help="Name of the model it pretends to have.")] = "fake",
    fail: Annotated[
        str | None, typer.Option(metavar="SPEC", help=f"Share of calls spoiled: KIND=SHARE,... Kinds: {_KINDS}.")
    ] = None,
    enforce: Annotated[bool, typer.Option(help="Keep to the schema or grammar that a call asks for.")] = True,
    as_json: AsJson = False,
) -> None:
    """Serve a language model that is none: Ollama's and OpenAI's interfaces on loopback, until Ctrl-C.

    It answers every prompt of this program with legal plans, in the time that the options say.
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
    """Serve until somebody interrupts or ends the process."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with server:
        model = server.settings.model
        specs = {"openai": f"openai:{model}@{server.openai_url}", "ollama": f"ollama:{model}@{server.url}"}
        if as_json:
            print_json({"url": server.url, "model": model, "llm": specs})
        else:
            sys.stdout.write(f"{server.url} answers as model {model}, until Ctrl-C\n")
            sys.stdout.writelines(f"tickweave run SCENARIO --llm {spec}\n" for spec in specs.values())
        sys.stdout.flush()
        await ended.wait()
    counts = server.counts
    sys.stderr.write(
        f"tickweave: {counts.calls:,} calls, {counts.prompt_tokens:,} tokens read ({counts.cached_tokens:,} from the "
        f"cache), {counts.completion_tokens:,} written, {counts.faults.total():,} spoiled\n"
    )
