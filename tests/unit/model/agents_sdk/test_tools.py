"""Tools of an agent: what they may take, and what the model is told of them."""

import asyncio
import logging
import re
from typing import Any

import pytest
from agents import Agent, FunctionTool, Tool, ToolOutputText, function_tool, handoff
from agents.testing import ScriptedModel, assistant_message, function_call
from agents.tool import ToolOutputImage

from agent_actors.model.agents_sdk import tools
from tests.fakes import eventually
from tests.hand_clock import HandClock
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import Vendor, a_prompt, answer, calling, tool_call

DONE = [assistant_message("done")]
LOUD = "the password is 1234"


def calls(*names: str, arguments: Any = None) -> list[Any]:
    """One step of a model that calls these."""
    given = {} if arguments is None else arguments
    return [function_call(name, given, call_id=f"{name}{n}") for n, name in enumerate(names)]


async def results(
    ready: Ready, *steps: Any, offered: list[Any], **options: Any
) -> tuple[list[Any], ScriptedModel]:
    """The tool results that the model got."""
    model = ScriptedModel([*steps, DONE])
    agent = Agent[Any]("own", model=model, tools=offered)
    await (await ready(None, agent=agent, **options)).reply(a_prompt())
    return told(model), model


def told(model: ScriptedModel) -> list[Any]:
    asked = model.calls[-1].input
    return [item["output"] for item in asked if item.get("type") == "function_call_output"]


@function_tool
def loud() -> str:
    """Fails."""
    raise ValueError(LOUD)


def by_hand(invoke: Any) -> FunctionTool:
    return FunctionTool("by_hand", "", {"type": "object", "properties": {}}, invoke)


@function_tool(failure_error_function=None)
def louder() -> str:
    """Fails, and disables the SDK's error handling."""
    raise ValueError(LOUD)


async def _raises(context: Any, arguments: str) -> str:
    raise ValueError(LOUD)


async def _cancels(context: Any, arguments: str) -> str:
    raise asyncio.CancelledError


async def test_the_time_is_the_clocks(ready: Ready, vendor: Vendor):
    """The default agent's tool returns it in UTC."""
    vendor.will(calling(tool_call("get_current_time")), answer("noon"))
    await (await ready()).reply(a_prompt())

    assert vendor.bodies[1]["messages"][-1]["content"] == "2026-01-01 00:00:00 UTC"


async def test_own_tools_are_offered_beside_the_default_one(ready: Ready, vendor: Vendor):
    """A tool of the same name replaces it."""

    @function_tool
    def get_current_time() -> str:
        """Always noon."""
        return "noon"

    vendor.will(answer(), answer())
    await (await ready(tools=(loud,))).reply(a_prompt())
    await (await ready(tools=(get_current_time,))).reply(a_prompt())
    offered = [[tool["function"] for tool in body["tools"]] for body in vendor.bodies]

    assert [each["name"] for each in offered[0]] == ["get_current_time", "loud"]
    assert [each["description"] for each in offered[1]] == ["Always noon."]


@pytest.mark.parametrize("tool", [loud, louder, by_hand(_raises), by_hand(_cancels)])
async def test_a_tool_that_fails_is_told_to_the_model(
    ready: Ready, caplog: pytest.LogCaptureFixture, tool: FunctionTool
):
    """The model gets a sentence without the error's text; the log has the text and its place."""
    caplog.set_level(logging.INFO)
    found, _ = await results(ready, calls(tool.name), offered=[tool])

    assert found == [tools.FAILED]
    raised = re.search(rf"raised \w+ at \S+test_tools\.py:\d+: {LOUD}", caplog.text)
    assert (raised is None) is (tool.on_invoke_tool is _cancels)


async def test_a_tool_that_is_not_there_is_told_to_the_model(ready: Ready):
    """The model can call another one, or answer."""
    found, _ = await results(ready, calls("nothing"), offered=[loud])

    assert found == [tools.UNKNOWN]


@pytest.mark.parametrize("arguments", ["{", '{"number": "x"}', "[]", ""])
async def test_arguments_that_make_no_sense_are_told_to_the_model(ready: Ready, arguments: str):
    """The tool does not run with broken JSON, or with a value of another type."""
    ran: list[int] = []

    @function_tool
    def count(number: int) -> str:
        ran.append(number)
        return "counted"

    found, _ = await results(ready, calls("count", arguments=arguments), offered=[count])

    assert found == [tools.SENSELESS]
    assert not ran


async def test_a_tool_that_takes_too_long_is_ended(ready: Ready, clock: HandClock):
    """After the tool time the tool is cancelled, and the model gets a sentence that says so."""
    ended = asyncio.Event()

    @function_tool
    async def hang() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    running = asyncio.create_task(results(ready, calls("hang"), offered=[hang], tool_time=3.0))
    await eventually(lambda: clock.waiting)
    await clock.advance(2.9)

    assert not ended.is_set()

    await clock.advance(0.1)
    found, _ = await running

    assert found == [tools.LATE]
    assert ended.is_set()


async def test_a_turn_has_only_so_many_tool_calls(ready: Ready):
    """Further calls get a sentence instead, whether in one step or over many."""
    ran: list[str] = []

    @function_tool
    def step() -> str:
        ran.append("step")
        return "stepped"

    steps = [calls("step", "step"), [function_call("step", {}, call_id="last")]]
    found, _ = await results(ready, *steps, offered=[step], tool_calls=2)
    again, _ = await results(ready, *steps, offered=[step], tool_calls=2)

    assert found == again == ["stepped", "stepped", tools.NO_MORE]
    assert len(ran) == 4


async def test_no_tool_calls_at_all_may_be_allowed(ready: Ready):
    """With a limit of 0 no tool runs."""
    found, _ = await results(ready, calls("loud"), offered=[loud], tool_calls=0)

    assert found == [tools.NO_MORE]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ("x" * 256, "x" * 256),
        ("x" * 257, "x" * (256 - len(tools.CUT)) + tools.CUT),
        ("☃" * 86, "☃" * ((256 - len(tools.CUT)) // 3) + tools.CUT),
        ("half \ud83d", "half ?"),
        (["y" * 300], "['" + "y" * (254 - len(tools.CUT)) + tools.CUT),
        (12, "12"),
        (None, "None"),
        (ToolOutputImage(image_url="data:" + "z" * 300), tools.TOO_LARGE),
    ],
)
async def test_a_result_is_cut(ready: Ready, result: Any, expected: str):
    """It is cut to the limit, note included, between two characters, and only if it is too long."""

    @function_tool
    def tell() -> Any:
        return result

    found, _ = await results(ready, calls("tell"), offered=[tell], tool_result_bytes=256)

    assert found == [expected]
    assert len(found[0].encode()) <= 256


async def test_a_text_with_a_type_is_cut_too(ready: Ready):
    """It keeps its type."""

    @function_tool
    def tell() -> Any:
        return ToolOutputText(text="x" * 300)

    found, _ = await results(ready, calls("tell"), offered=[tell], tool_result_bytes=256)

    assert found == [[{"type": "input_text", "text": "x" * (256 - len(tools.CUT)) + tools.CUT}]]


async def test_a_picture_that_fits_is_passed_on(ready: Ready):
    """A small result of another type is not changed."""

    @function_tool
    def show() -> Any:
        return ToolOutputImage(image_url="data:,x")

    found, _ = await results(ready, calls("show"), offered=[show])

    assert found == [[{"type": "input_image", "image_url": "data:,x"}]]


@pytest.mark.parametrize("dynamic", [False, True])
async def test_agents_that_are_handed_a_turn_keep_the_limits(ready: Ready, dynamic: bool):
    """All agents of a turn share its tool calls, also after a handoff back."""
    scripted = ScriptedModel()
    second = Agent[Any]("second", model=scripted, tools=[loud])
    first = Agent[Any]("first", model=scripted, tools=[loud])
    first.handoffs = [handoff(second) if dynamic else second]
    second.handoffs = [handoff(first) if dynamic else first]
    scripted.extend(
        [
            [function_call("loud", {}, call_id="a")],
            [function_call("transfer_to_second", {}, call_id="b")],
            [function_call("loud", {}, call_id="c")],
            [function_call("transfer_to_first", {}, call_id="d")],
            [function_call("loud", {}, call_id="e")],
            DONE,
        ]
    )
    await (await ready(None, agent=first, tool_calls=2)).reply(a_prompt())
    found = [output for output in told(scripted) if "assistant" not in output]

    assert found == [tools.FAILED, tools.FAILED, tools.NO_MORE]


async def test_an_agent_made_for_one_handoff_keeps_the_limits(ready: Ready):
    """A handoff may make its agent when it is called."""
    scripted = ScriptedModel(
        [
            [function_call("transfer_to_second", {}, call_id="a")],
            [function_call("loud", {}, call_id="b")],
            DONE,
        ]
    )
    made = handoff(Agent[Any]("second"))

    async def make(context: Any, arguments: str) -> Agent[Any]:
        return Agent("second", model=scripted, tools=[loud])

    made.on_invoke_handoff = make
    first = Agent[Any]("first", model=scripted, handoffs=[made])
    await (await ready(None, agent=first, tool_calls=0)).reply(a_prompt())

    assert told(scripted)[-1] == tools.NO_MORE


async def test_what_a_user_made_is_not_changed(ready: Ready):
    """Agents, their lists and their tools are copied, so the originals work as before."""
    second = Agent[Any]("second", tools=[loud])
    made = handoff(second)
    offered: list[Tool] = [loud]
    model = ScriptedModel([DONE])
    first = Agent[Any]("first", model=model, tools=offered, handoffs=[second, made])
    before = (loud.on_invoke_tool, made.on_invoke_handoff, first.instructions)
    extra = by_hand(_raises)
    await (await ready(None, agent=first, tools=(extra,))).reply(a_prompt())

    assert (loud.on_invoke_tool, made.on_invoke_handoff, first.instructions) == before
    assert first.tools is offered
    assert (offered, first.handoffs[0]) == ([loud], second)
    assert [tool.name for tool in model.calls[0].tools] == ["loud", "by_hand"]
