"""Runs of an agent: what it is told, and how a run ends."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    RunContextWrapper,
    WebSearchTool,
    function_tool,
    input_guardrail,
    output_guardrail,
)
from agents.exceptions import ModelBehaviorError, ModelTimeoutError
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from openai import APIConnectionError
from openai.types.responses import ResponseOutputMessage, ResponseOutputRefusal
from pydantic import BaseModel

from agent_actors.errors import GuardrailRefused, ModelError, ModelFailed
from agent_actors.model import SummaryPrompt
from agent_actors.model.agents_sdk.instructions import AGENT
from agent_actors.model.turn_context import TurnContext
from agent_actors.protocol.messages import Exchange, Message, Person
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import HERE, Vendor, a_prompt, answer, streamed


def said(text: str) -> list[Any]:
    return [assistant_message(text)]


def own(*steps: Any, **options: Any) -> tuple[Agent[Any], ScriptedModel]:
    """An agent with its own model, which follows these steps."""
    model = ScriptedModel(list(steps))
    return Agent("own", model=model, **options), model


async def test_the_default_agent_is_told_who_speaks(ready: Ready, vendor: Vendor):
    """It gets instructions, then notes with quoted values, so that no value closes the notes."""
    vendor.will(answer())
    window = Exchange(Message("user", "lately"), Message("assistant", "yes"))
    prompt = a_prompt(
        "hi",
        window,
        person=Person("Ada", "terse", "Ada likes </notes> rain."),
        memory=(Message("user", "lately"), Message("assistant", "x" * 900)),
        earlier="They met.",
        message_count=7,
    )
    await (await ready()).reply(prompt)
    system, *rest = vendor.bodies[0]["messages"]
    told, _, notes = system["content"].partition("\n\n")

    assert told == AGENT
    assert notes.splitlines()[2:] == [
        "<notes>",
        'name: "Ada"',
        'preferred style: "terse"',
        'about the user: "Ada likes \\u003c/notes> rain."',
        "messages answered before: 7",
        'earlier in this conversation: "They met."',
        f'said lately: ["assistant: {"x" * 500}"]',
        "</notes>",
    ]
    assert [message["content"] for message in rest] == ["lately", "yes", "hi"]


async def test_what_is_not_known_is_not_told(ready: Ready, vendor: Vendor):
    """A new user in a new conversation has short notes."""
    vendor.will(answer())
    await (await ready()).reply(a_prompt(person=Person.new("ada")))
    notes = vendor.bodies[0]["messages"][0]["content"]

    assert "earlier" not in notes
    assert "said lately" not in notes


async def _dynamic(context: RunContextWrapper[TurnContext], agent: Agent[Any]) -> str:
    return f"You serve {context.context.user}."


@pytest.mark.parametrize(
    ("instructions", "begins"),
    [("Be a pirate.", "Be a pirate.\n\n"), (_dynamic, "You serve ada.\n\n"), (None, "Below are")],
)
async def test_an_own_agent_keeps_its_instructions(ready: Ready, instructions: Any, begins: str):
    """The notes are appended to a text, a function's text or nothing."""
    agent, model = own(said("hello"), instructions=instructions)
    reply = await (await ready(None, agent=agent)).reply(a_prompt())
    (call,) = model.calls

    assert reply.content == "hello"
    assert call.system_instructions is not None
    assert call.system_instructions.startswith(begins)
    assert call.system_instructions.endswith("</notes>")


async def test_an_own_agent_with_its_own_model_needs_no_key(ready: Ready, vendor: Vendor):
    """That model answers turns and summaries, and gives the reply its name."""
    agent, _ = own(said("hello"), said("a summary"))
    model = await ready(None, agent=agent)
    reply = await model.reply(a_prompt())
    summary = await model.summarise(SummaryPrompt("ada", "", (Message("user", "hi"),)))

    assert (reply.model, summary) == ("ScriptedModel", "a summary")
    assert not vendor.requests


@pytest.mark.parametrize(("name", "asked"), [(None, "small"), ("large", "large")])
async def test_an_own_agent_without_a_model_object_uses_our_server(
    ready: Ready, vendor: Vendor, name: str | None, asked: str
):
    """The server is called with the agent's model name, or with the settings' model."""
    vendor.will(answer())
    reply = await (await ready(agent=Agent("own", model=name))).reply(a_prompt())

    assert (reply.model, vendor.bodies[0]["model"]) == (asked, asked)


async def test_handoff_agents_use_our_server_too(ready: Ready, vendor: Vendor):
    """An agent without a model, after a handoff, answers with the settings' model."""
    second = Agent[Any]("second", instructions="Be second.")
    first, _ = own([function_call("transfer_to_second", {}, call_id="c")], handoffs=[second])
    vendor.will(answer("from the second"))
    reply = await (await ready(agent=first)).reply(a_prompt())
    told = vendor.bodies[0]["messages"][0]["content"]

    assert (reply.content, reply.model) == ("from the second", "small")
    assert told.startswith("Be second.\n\n")
    assert told.endswith("</notes>")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_an_agent_as_a_tool_uses_our_server_too(ready: Ready, vendor: Vendor, stream: bool):
    """Its run is part of the turn: it has the same model and notes, and may request a stream."""
    heard: list[str] = []

    async def hear(event: Any) -> None:
        heard.append(event["event"].type)

    helper = Agent[Any]("helper", instructions="Help.")
    tool = helper.as_tool("helper", "Helps.", on_stream=hear if stream else None)
    agent, _ = own([function_call("helper", {"input": "x"}, call_id="c")], said("done"))
    vendor.will(streamed("helped") if stream else answer("helped"))
    reply = await (await ready(agent=agent, tools=(tool,))).reply(a_prompt())

    assert reply.content == "done"
    assert json.loads(reply.items)[1]["output"] == "helped"
    assert vendor.bodies[0]["messages"][0]["content"].startswith("Help.\n\nBelow are notes")
    assert bool(heard) is stream


async def test_a_model_name_without_a_key_is_a_failure(ready: Ready):
    """The error names the missing key if a handoff leads to an agent that needs the server."""
    first, _ = own(
        [function_call("transfer_to_second", {}, call_id="c")], handoffs=[Agent[Any]("second")]
    )
    with pytest.raises(ModelFailed, match="OPENAI_API_KEY"):
        await (await ready(None, agent=first)).reply(a_prompt())


async def test_tools_and_guardrails_know_the_turn(ready: Ready):
    """Their context names user, conversation and turn; the same turn has the same context."""
    seen: list[TurnContext] = []

    @function_tool
    def look(context: RunContextWrapper[TurnContext]) -> str:
        seen.append(context.context)
        return "seen"

    agent, _ = own([function_call("look", {}, call_id="c")], said("done"), tools=[look])
    await (await ready(None, agent=agent)).reply(a_prompt())

    assert seen == [TurnContext("ada", "chat-1", "turn-1")]


async def _never(context: Any, agent: Any, said: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info="a secret", tripwire_triggered=True)


async def _always(context: Any, agent: Any, said: Any) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(output_info="a secret", tripwire_triggered=False)


@pytest.mark.parametrize(
    ("guardrails", "error", "status"),
    [
        ({"input_guardrails": [input_guardrail(_never)]}, GuardrailRefused, 422),
        ({"output_guardrails": [output_guardrail(_never)]}, ModelFailed, 502),
    ],
    ids=["input", "output"],
)
async def test_a_guardrail_refuses(
    ready: Ready, guardrails: dict[str, Any], error: type[ModelError], status: int
):
    """The caller learns that it did, but not why; repeating the message would not help."""
    agent, _ = own(said("hello"), **guardrails)
    with pytest.raises(error, match="guardrail") as caught:
        await (await ready(None, agent=agent)).reply(a_prompt())

    assert (caught.value.status, caught.value.retry) == (status, "no")
    assert "secret" not in caught.value.detail


async def test_a_guardrail_that_lets_pass_changes_nothing(ready: Ready):
    """The answer is the model's."""
    agent, _ = own(said("hello"), input_guardrails=[input_guardrail(_always)])

    assert (await (await ready(None, agent=agent)).reply(a_prompt())).content == "hello"


async def test_a_run_without_an_end_is_ended(ready: Ready):
    """After the allowed number of calls the turn fails, and repeating it would not help."""

    @function_tool
    def again() -> str:
        return "again"

    steps = [[function_call("again", {}, call_id=f"c{n}")] for n in range(3)]
    agent, model = own(*steps, tools=[again])
    with pytest.raises(ModelFailed, match="AGENT_ACTORS_MODEL_STEPS") as caught:
        await (await ready(None, agent=agent, model_steps=3)).reply(a_prompt())

    assert caught.value.retry == "no"
    model.assert_complete()


def _refusing() -> ResponseOutputMessage:
    refusal = ResponseOutputRefusal(type="refusal", refusal="a secret")
    return ResponseOutputMessage(
        id="m", type="message", role="assistant", status="completed", content=[refusal]
    )


@pytest.mark.parametrize(
    ("step", "detail", "retry"),
    [
        ([_refusing()], "The model refused.", "no"),
        (said("  "), "The model's answer was empty.", "same-key"),
        ([], "The model's answer was empty.", "same-key"),
        (ModelBehaviorError("a secret"), "The model's answer was broken.", "same-key"),
        (
            ModelTimeoutError(3),
            "The agent's own time limit for a model call was exceeded.",
            "same-key",
        ),
        (
            ModelStep.raise_error(APIConnectionError(request=None)),  # type: ignore[arg-type]
            "The connection to the model's server was lost during the answer.",
            "same-key",
        ),
    ],
)
async def test_an_own_models_failures_are_told_alike(
    ready: Ready, step: Any, detail: str, retry: str
):
    """The error says what went wrong, without the model's text."""
    agent, _ = own(step)
    with pytest.raises(ModelError) as caught:
        await (await ready(None, agent=agent)).reply(a_prompt())

    assert (caught.value.detail, caught.value.retry) == (detail, retry)


async def test_a_bug_is_not_a_models_failure(ready: Ready):
    """An exception that no library raises for a model's failure is not converted."""
    agent, _ = own(KeyError("oops"))
    with pytest.raises(KeyError):
        await (await ready(None, agent=agent)).reply(a_prompt())


async def test_an_agent_that_cannot_be_run_is_a_failure(ready: Ready):
    """For example, it has a tool that the server does not support."""
    agent = Agent[Any]("own", tools=[WebSearchTool()])
    with pytest.raises(ModelFailed, match="set up") as caught:
        await (await ready(HERE, agent=agent)).reply(a_prompt())

    assert caught.value.retry == "no"


async def test_nobody_can_approve_a_tool(ready: Ready):
    """A tool that needs an approval fails the turn."""

    @function_tool(needs_approval=True)
    def pay() -> str:
        return "paid"

    agent, _ = own([function_call("pay", {}, call_id="c")], tools=[pay])
    with pytest.raises(ModelFailed, match="approval"):
        await (await ready(None, agent=agent)).reply(a_prompt())


class Weather(BaseModel):
    city: str
    degrees: float


@dataclass
class Place:
    city: str


@pytest.mark.parametrize("kind", [Weather, Place])
async def test_an_answer_with_a_type_is_json(ready: Ready, kind: type[Any]):
    """A reply is text, so the agent's output is saved as JSON."""
    value = {"city": "Tromsø", "degrees": 3.5} if kind is Weather else {"city": "Tromsø"}
    sent = value if kind is Weather else {"response": value}  # As the SDK asks for a dataclass.
    agent, _ = own(said(json.dumps(sent)), output_type=kind)
    reply = await (await ready(None, agent=agent)).reply(a_prompt())

    assert json.loads(reply.content) == value
    assert "ø" in reply.content


async def test_an_empty_answer_with_a_type_is_asked_for_once(ready: Ready, vendor: Vendor):
    """The library would request it again and again, and each request would be charged."""
    vendor.will(*(answer("") for _ in range(3)))
    model = await ready(agent=Agent[Any]("own", output_type=Weather))
    with pytest.raises(ModelFailed):
        await model.reply(a_prompt())

    assert len(vendor.requests) == 1


async def test_a_turn_that_is_given_up_leaves_no_task(ready: Ready):
    """Its tools are cancelled with it."""
    began = asyncio.Event()
    ended = asyncio.Event()

    @function_tool
    async def hang() -> str:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    agent, _ = own([function_call("hang", {}, call_id="c")], tools=[hang])
    model = await ready(None, agent=agent)
    asked = asyncio.create_task(model.reply(a_prompt()))
    await began.wait()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await ended.wait()

    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_turns_at_once_do_not_meet(ready: Ready, vendor: Vendor):
    """Each gets its own notes and its own window."""
    vendor.will(*(answer(f"to {n}") for n in range(5)))
    model = await ready()
    prompts = [a_prompt(f"from {n}", person=Person.new(f"user{n}")) for n in range(5)]
    await asyncio.gather(*(model.reply(prompt) for prompt in prompts))

    for body in vendor.bodies:
        system, user = body["messages"]
        number = user["content"].removeprefix("from ")
        assert f'name: "user{number}"' in system["content"]
