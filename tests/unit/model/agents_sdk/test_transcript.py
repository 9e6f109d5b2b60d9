"""What a run leaves behind, and how it is shown to the next one."""

import json
from typing import Any

import pytest
from agents import Agent, Session, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call

from agent_actors.model.agents_sdk import transcript
from agent_actors.model.agents_sdk.transcript import BufferedSession, dump, items_of
from agent_actors.protocol.messages import Exchange, Message
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import a_prompt

PLAIN = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
CALL = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "seen"}
THOUGHT = {"type": "reasoning", "summary": [], "id": "r"}


def message(text: str = "hello", **more: Any) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "role": "assistant", "id": "m", "content": [part], **more}


def exchange(items: Any = "") -> Exchange:
    text = items if isinstance(items, str) else json.dumps(items)
    return Exchange(Message("user", "hi"), Message("assistant", "hello"), text)


@function_tool
def look() -> str:
    """Looks."""
    return "I see ☃"


def agent(*steps: Any, **options: Any) -> tuple[Agent[Any], ScriptedModel]:
    model = ScriptedModel(list(steps))
    return Agent("own", model=model, tools=[look], **options), model


async def test_a_plain_answer_leaves_nothing(ready: Ready):
    """The reply has no items beside its content."""
    own, _ = agent([assistant_message("hello")])

    assert (await (await ready(None, agent=own)).reply(a_prompt())).items == ""


async def test_a_tool_call_is_shown_to_the_next_turn(ready: Ready):
    """Call, result and answer follow the user's message unchanged."""
    first, _ = agent([function_call("look", {}, call_id="c")], [assistant_message("done")])
    reply = await (await ready(None, agent=first)).reply(a_prompt("one"))
    pair = Exchange(Message("user", "one"), Message("assistant", "done"), reply.items)
    second, model = agent([assistant_message("bye")])
    await (await ready(None, agent=second)).reply(a_prompt("two", exchange(), pair))
    shown = model.calls[0].input

    assert "☃" in reply.items
    assert ": " not in reply.items.replace("I see ", "")
    items = json.loads(reply.items)
    said = [{"role": "user", "content": text} for text in ("one", "two")]
    assert shown == [*PLAIN, said[0], *items, said[1]]
    assert [item["type"] for item in items] == [
        "function_call",
        "function_call_output",
        "message",
    ]


async def test_a_run_that_ends_with_a_tool_is_shown_with_its_answer(ready: Ready):
    """The next turn sees the tool's result as the assistant's answer."""
    own, _ = agent([function_call("look", {}, call_id="c")], tool_use_behavior="stop_on_first_tool")
    reply = await (await ready(None, agent=own)).reply(a_prompt("hi"))
    items = items_of(Exchange(Message("user", "hi"), Message("assistant", "seen"), reply.items))

    assert reply.content == "I see ☃"
    assert items[-1] == {"role": "assistant", "content": "seen"}
    assert [item.get("type", item.get("role")) for item in items] == [
        "user",
        "function_call",
        "function_call_output",
        "assistant",
    ]


@pytest.mark.parametrize(
    "items",
    [
        [CALL, OUTPUT, message()],
        [THOUGHT, CALL, OUTPUT, message()],
        [message(), CALL, OUTPUT, message(provider_data={"signature": "s"})],
        [message(provider_data={"model": "m", "signature": "s"})],
    ],
)
def test_items_are_recalled_as_they_were_kept(items: list[Any]):
    """Numbers, order and provider data survive as text."""
    assert items_of(exchange(dump(items))) == [PLAIN[0], *items]


@pytest.mark.parametrize(
    "items",
    [
        [],
        [message()],
        [message(provider_data={"model": "m", "response_id": "r"})],
        [THOUGHT, message()],
        [THOUGHT],
    ],
)
def test_what_adds_nothing_is_not_kept(items: list[Any]):
    """A plain answer is not saved as items, not even with common data or reasoning."""
    assert dump(items) == ""
    assert items_of(exchange("")) == PLAIN


@pytest.mark.parametrize(
    "items",
    [
        "{",
        "null",
        "[",
        "[" * 100_000,
        [],
        {},
        ["text"],
        [{}],
        [{"type": "message"}],
        [{"role": "assistant", "content": "hello"}],
        [message() | {"content": ["text"]}],
        [message() | {"content": [{"type": "output_text"}]}],
        [message() | {"role": "user"}],
        [CALL, message()],
        [OUTPUT, message()],
        [CALL, CALL, OUTPUT, message()],
        [CALL, OUTPUT, CALL, OUTPUT, message()],
        [CALL, OUTPUT | {"call_id": "d"}, message()],
        [CALL | {"call_id": ""}, OUTPUT | {"call_id": ""}, message()],
        [CALL | {"call_id": None}, OUTPUT, message()],
        [CALL | {"name": None}, OUTPUT, message()],
        [CALL, OUTPUT | {"output": None}, message()],
        [{"type": "web_search_call", "id": "w", "status": "completed"}, message()],
    ],
)
def test_items_that_no_server_would_take_are_not_shown(items: Any):
    """If they are broken or foreign, the plain exchange is used instead."""
    assert items_of(exchange(items)) == PLAIN


def test_items_that_are_too_many_are_not_kept(caplog: pytest.LogCaptureFixture):
    """The turn is saved without its tool calls, since it could not be saved with them."""
    items = [CALL, OUTPUT | {"output": "x" * transcript.KEPT_BYTES}, message()]

    assert dump(items) == ""
    assert "not kept" in caplog.text


def test_half_a_character_is_not_kept():
    """Saved text can always be encoded."""
    text = dump([CALL, OUTPUT | {"output": "half \ud83d"}, message()])

    assert json.loads(text)[1]["output"] == "half ?"


async def test_the_session_is_the_sdks():
    """It implements the SDK's protocol, and the window cannot be removed from it."""
    session = BufferedSession("chat", [exchange()])
    user: Any = {"role": "user", "content": "and?"}
    said: Any = message("so")
    await session.add_items([user, said])

    assert isinstance(session, Session)
    assert await session.get_items() == [*PLAIN, user, said]
    assert await session.get_items(limit=1) == [said]
    assert await session.get_items(limit=0) == []
    assert session.added() == [said]
    assert await session.pop_item() == said
    await session.add_items([said])
    await session.clear_session()
    assert await session.pop_item() is None
    assert await session.get_items() == PLAIN
    assert session.added() == []


async def test_a_changed_copy_changes_nothing():
    """The caller may change the returned items."""
    session = BufferedSession("chat", [exchange()])
    handed_out: Any = await session.get_items()
    handed_out[0].clear()

    assert await session.get_items() == PLAIN
