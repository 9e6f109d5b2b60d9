"""The examples do what they say."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import Vendor, a_prompt, answer, calling, tool_call

EXAMPLES = Path(__file__).parents[4] / "examples"


def example(name: str) -> Any:
    """The module; importing it does not start the service."""
    spec = spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_waiter_asks_the_cook(ready: Ready, vendor: Vendor):
    """A user's agent hands the turn off to another one, which answers."""
    vendor.will(calling(tool_call("transfer_to_cook")), answer("Leek."))
    model = await ready(agent=example("own_agent").waiter)
    reply = await model.reply(a_prompt("What is in the soup?"))
    first, second = (body["messages"][0]["content"] for body in vendor.bodies)

    assert reply.content == "Leek."
    assert first.startswith("You are a waiter.")
    assert second.startswith("You are the cook.")


async def test_a_turn_that_runs_again_books_one_table(ready: Ready, vendor: Vendor):
    """A user's tool knows the turn and acts once for it."""
    booked = tool_call("book_table", '{"time": "20:00", "guests": 4}')
    vendor.will(*[calling(booked), answer("Done.")] * 2)
    module = example("own_tools")
    model = await ready(tools=(module.book_table,))
    for _ in range(2):
        await model.reply(a_prompt("A table for four at eight."))
    told = [body["messages"][-1]["content"] for body in vendor.bodies]

    assert told[1] == told[3] == "Table 1 is booked for ada at 20:00, for 4."
    assert len(module.TABLES) == 1
