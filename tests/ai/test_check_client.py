"""The checker of clients: each broken rule is found and named."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from ai.llm_types import LlmChunk, LlmRequest
from ai.testing import check_client

LAST = LlmChunk(finish="stop")


class Client:
    """Streams the given chunks."""

    def __init__(self, *chunks: LlmChunk, label: str = "mine") -> None:
        self.label = label
        self.chunks = chunks

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        for chunk in self.chunks:
            yield chunk


class Leaky(Client):
    """Leaves a task behind with every call."""

    async def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        self.task = asyncio.create_task(asyncio.sleep(60))
        yield LlmChunk("x")
        yield LAST


class Deaf:
    """Its stream cannot be closed."""

    label = "deaf"

    def stream(self, request: LlmRequest) -> AsyncIterator[LlmChunk]:
        class Stream:
            left = 3

            def __aiter__(self) -> AsyncIterator[LlmChunk]:
                return self

            async def __anext__(self) -> LlmChunk:
                if not self.left:
                    raise StopAsyncIteration
                self.left -= 1
                return LAST if not self.left else LlmChunk("x")

        return Stream()


def test_a_client_that_keeps_the_rules_passes() -> None:
    """Nothing is found where nothing is wrong."""
    check_client(Client(LlmChunk("{"), LlmChunk(thinking="hm"), LlmChunk("}"), LAST))


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (Client, "without a chunk"),
        (lambda: Client(LlmChunk("x")), "exactly the last"),
        (lambda: Client(LAST, LAST), "exactly the last"),
        (lambda: Client(LAST, LlmChunk("x")), "exactly the last"),
        (lambda: Client(LlmChunk(finish="")), "must say how"),
        (lambda: Client("x", LAST), "must yield LlmChunk"),  # type: ignore[arg-type]
        (lambda: Client(LlmChunk(b"x"), LAST), "is not text"),  # type: ignore[arg-type]
        (lambda: Client(LlmChunk("x" * 10_000), LAST), "tokens were asked for"),
        (lambda: Client(LlmChunk("\ud83d"), LAST), "half a character"),
        (lambda: Client(LlmChunk("x", usage={}), LAST), "on the last chunk only"),
        (lambda: Client(LlmChunk(finish="stop", usage={"prompt_tokens": -1})), "left out"),
        (lambda: Client(LAST, label=""), "not empty"),
        (lambda: Client(LAST, label="m@http://host"), "no host"),
        (lambda: Client(LAST, label="m:/home/me/m.gguf"), "holds a path"),
        (Leaky, "tasks running"),
        (Deaf, "continues after"),
    ],
)
def test_each_broken_rule_is_named(make: Callable[[], Client | Deaf], rule: str) -> None:
    """A client that breaks one rule is refused with a sentence about that rule."""
    with pytest.raises(AssertionError, match=rule):
        check_client(make())
