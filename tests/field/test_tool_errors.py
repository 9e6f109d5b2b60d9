"""Tools that fail, and tools that nobody can approve: who learns what. Tried by hand."""

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from agents import Agent, function_tool

from agent_actors.errors import ModelFailed
from tests.field.dialect import call, streamed, whole
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import Vendor, a_prompt, answer


class Rude(Exception):
    """Its text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


def chained() -> Exception:
    """An error with another one as its cause."""
    error = LookupError("no such table")
    error.__cause__ = KeyError("t9")
    return error


ERRORS: list[tuple[Callable[[], BaseException], str]] = [
    (lambda: RuntimeError("the book is closed"), "RuntimeError at HERE: the book is closed"),
    (lambda: ValueError(), "ValueError at HERE: "),
    (lambda: ValueError("first\nsecond: secret"), "ValueError at HERE: first"),
    (lambda: ValueError("x" * 999), f"ValueError at HERE: {'x' * 200}"),
    (lambda: ValueError("half \ud83d"), "ValueError at HERE: half \\ud83d"),
    (chained, "LookupError at HERE: no such table"),
    (lambda: ExceptionGroup("two", [ValueError("a")]), "ExceptionGroup at HERE: two"),
    (Rude, "Rude at HERE: <exception str() failed>"),
    (lambda: OSError(2, "No such file", "/t"), "FileNotFoundError at HERE: [Errno 2] No such"),
]


@pytest.mark.parametrize(("make", "words"), ERRORS)
async def test_a_developer_finds_the_place(
    ready: Ready,
    vendor: Vendor,
    caplog: pytest.LogCaptureFixture,
    make: Callable[[], BaseException],
    words: str,
):
    """The log has type, place and the first line of the text; the model learns none of it."""

    @function_tool(failure_error_function=None)
    async def book_table(name: str) -> str:
        """Books a table."""
        raise make()

    caplog.set_level(logging.INFO)
    calls = {"content": None, "tool_calls": [call("book_table", {"name": "Ada"}, id="a")]}
    vendor.will(whole(calls, "tool_calls"), answer("done"))
    reply = await (await ready(tools=(book_table,))).reply(a_prompt())
    line = re.search(r"the tool book_table raised (.*)", caplog.text)

    assert line is not None
    assert re.sub(r" at \S+test_tool_errors\.py:\d+:", " at HERE:", line[1]).startswith(words)
    assert "secret" not in caplog.text
    assert "Ada" not in line[1]
    assert reply.content == "done"
    assert vendor.bodies[1]["messages"][-1]["content"] == "The tool failed; it gave no result."


async def dear(context: Any, arguments: Any, call_id: str) -> bool:
    """Whether somebody must look at this call."""
    return True


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("needed", [True, dear], ids=["always", "if dear"])
@pytest.mark.parametrize("handed", [False, True], ids=["own", "handed"])
async def test_what_needs_an_approval_is_no_turn_to_repeat(
    ready: Ready, vendor: Vendor, needed: Any, handed: bool, streams: bool
):
    """The tool does not run, and a client that obeys the advice does not loop."""
    paid: list[str] = []

    @function_tool(needs_approval=needed)
    def pay() -> str:
        """Pays."""
        paid.append("paid")
        return "paid"

    cashier = Agent("cashier", tools=[pay])
    asked = [call("pay", {}, id="b", index=0)]
    over = [call("transfer_to_cashier", {}, id="a", index=0)]
    for each in [over, asked] if handed else [asked]:
        said = {"content": None, "tool_calls": each}
        vendor.will(streamed(said, finish="tool_calls") if streams else whole(said, "tool_calls"))
    agent = Agent("waiter", handoffs=[cashier]) if handed else cashier
    with pytest.raises(ModelFailed, match="approval") as caught:
        await (await ready(agent=agent, model_stream=streams)).reply(a_prompt())

    assert (caught.value.retry, paid) == ("no", [])
