"""Arguments of another kind than `create_app` and `Settings` take: refused at the call, in words.

Each row is a call as somebody writes it. Sources: incidentfox/incidentfox #14 and
huggingface/smolagents #15 (plain functions as tools), openai/openai-agents-python #794 (in an
agent), pymmcore-plus/useq-schema #77 and pydantic/pydantic #13 (settings).
"""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from agents import (
    Agent,
    FunctionTool,
    GuardrailFunctionOutput,
    InputGuardrail,
    OpenAIChatCompletionsModel,
    OutputGuardrail,
    WebSearchTool,
    function_tool,
    handoff,
)
from agents.mcp import MCPServerStdio
from openai import AsyncOpenAI

from agent_actors import Settings, create_app
from agent_actors.clock import SystemClock
from agent_actors.errors import StartupError
from agent_actors.model import Model, Prompt
from agent_actors.model.agents_sdk import AgentsModel
from agent_actors.protocol.messages import Reply
from tests.conftest import Serve
from tests.fakes import QuickModel


def book_table(name: str) -> str:
    return f"A table for {name}."


booking = function_tool(book_table)
cook = Agent("cook", tools=[book_table])  # type: ignore[list-item]
served = OpenAIChatCompletionsModel("m", AsyncOpenAI(api_key="k", base_url="http://127.0.0.1:9"))


class Silent(Model):
    """It cannot answer."""


def agent(**parts: Any) -> Agent[Any]:
    return Agent("a", **parts)


def named(name: str) -> FunctionTool:
    return dataclasses.replace(booking, name=name)


def check(*_: object) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(None, tripwire_triggered=False)


incoming, outgoing = InputGuardrail(check), OutputGuardrail(check)


async def described(context: object, agent: object) -> str:
    return f"{context} {agent}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tools": [book_table]}, "@function_tool"),
        ({"tools": [lambda: ""]}, "@function_tool"),
        ({"tools": [QuickModel().reply]}, "@function_tool"),
        ({"tools": [Agent("cook")]}, "as_tool"),
        ({"tools": ["book_table"]}, "not a tool"),
        ({"tools": booking}, "pass a list"),
        ({"tools": "book_table"}, "pass a list"),
        ({"tools": None}, "pass a list"),
        ({"agent": cook}, "the agent 'cook' has 'book_table'"),
        ({"agent": Agent("waiter", handoffs=[cook])}, "the agent 'cook' has 'book_table'"),
        ({"agent": "waiter"}, "pass an Agent"),
        ({"agent": Agent}, "pass an Agent"),
        ({"agent": object()}, "pass an Agent"),
        ({"settings": Agent("waiter")}, "create_app(agent=…)"),
        ({"settings": Settings}, "Settings()"),
        ({"settings": {"model": "echo"}}, "Settings(**it)"),
        ({"settings": "echo"}, "Settings(…)"),
        ({"model": "gpt-4o"}, "Settings(model='gpt-4o')"),
        ({"model": QuickModel}, "QuickModel()"),
        ({"model": served}, "create_app(agent=Agent(…, model=it))"),
        ({"model": object()}, "subclass"),
        ({"model": Silent()}, "reply(self, prompt)"),
        ({"agent": agent(handoffs=["cook"])}, "have 'cook'; list agents"),
        ({"agent": agent(handoffs=[Agent])}, "have 'Agent'; list agents"),
        ({"agent": agent(handoffs=[None])}, "have 'NoneType'; list agents"),
        ({"agent": agent(input_guardrails=[check])}, "have 'check'; decorate"),
        ({"agent": agent(input_guardrails=[outgoing])}, "@input_guardrail"),
        ({"agent": agent(output_guardrails=[check])}, "@output_guardrail"),
        ({"agent": agent(handoffs=[agent(output_guardrails=[check])])}, "@output_guardrail"),
        ({"agent": agent(instructions=lambda: "")}, "(context, agent)"),
        ({"agent": agent(instructions=lambda context: "")}, "(context, agent)"),
        ({"agent": agent(instructions=lambda context, agent, more: "")}, "(context, agent)"),
        ({"agent": agent(instructions=lambda context, agent, more=1: "")}, "(context, agent)"),
        ({"agent": agent(instructions=lambda context, *, agent: "")}, "(context, agent)"),
        ({"agent": agent(instructions=dict)}, "(context, agent)"),
        ({"runtime": "dapr"}, "agent_actors.runtime"),
        ({"clock": SystemClock}, "agent_actors.clock"),
        ({"clock": 0}, "agent_actors.clock"),
        ({"tracer_provider": "otlp"}, "TracerProvider"),
    ],
)
def test_an_argument_of_another_kind_is_a_type_error(arguments: dict[str, Any], words: str):
    """The text names the argument and what to pass; nothing has been opened."""
    with pytest.raises(TypeError) as refused:
        create_app(**arguments)

    assert str(refused.value).startswith("create_app: ")
    assert words in str(refused.value)
    assert not Path(".agent-actors").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tools": [booking, booking]}, "two tools are named 'book_table'"),
        ({"agent": Agent("a", tools=[booking]), "tools": [booking]}, "'book_table'"),
        ({"agent": Agent("a", tools=[booking, booking])}, "'book_table'"),
        ({"tools": [named("a b")]}, "'a b', which models refuse"),
        ({"tools": [named("")]}, "'', which models refuse"),
        ({"tools": [named("é")]}, "'é', which models refuse"),
        ({"tools": [named("a\n")]}, "which models refuse"),
        ({"tools": [named("n" * 65)]}, "which models refuse"),
        ({"agent": Agent("a", handoffs=[Agent("b", tools=[named("a.b")])])}, "'a.b'"),
        ({"agent": Agent("a"), "model": QuickModel()}, "leave out"),
        ({"tools": [booking], "model": QuickModel()}, "leave out"),
    ],
)
def test_arguments_that_contradict_each_other_are_a_value_error(
    arguments: dict[str, Any], words: str
):
    """They are all of their kind, but cannot be used together."""
    with pytest.raises(ValueError, match=r"create_app: .*") as refused:
        create_app(**arguments)

    assert words in str(refused.value)


@pytest.mark.parametrize("where", ["the agent", "a handoff", "its handoff", "a circle"])
def test_the_mcp_servers_of_an_agent_are_refused(tmp_path: Path, where: str):
    """Every turn would fail, since nobody connects them; the text says what to do."""
    owner = Agent("cook", mcp_servers=[MCPServerStdio({"command": "true"})])
    agent = {
        "the agent": owner,
        "a handoff": Agent("waiter", handoffs=[owner]),
        "its handoff": Agent("waiter", handoffs=[Agent("chef", handoffs=[owner])]),
        "a circle": (circle := Agent("waiter", handoffs=[owner])),
    }[where]
    owner.handoffs.append(circle)
    with pytest.raises(StartupError, match=r"'cook' has mcp_servers.*not supported yet.*tools"):
        create_app(Settings(data=tmp_path / "data"), agent=agent)

    assert not (tmp_path / "data").exists()


@pytest.mark.usefixtures("fresh_registry")
@pytest.mark.parametrize(
    "arguments",
    [
        {"tools": (booking, WebSearchTool())},
        {"agent": Agent("a", handoffs=[Agent("b", tools=[booking])]), "tools": [booking]},
        {"agent": Agent("a", model=served)},
        {"tools": [named("n" * 64), named("Book-a_table2")]},
        {"agent": agent(handoffs=[handoff(Agent("b"))])},
        {"agent": agent(input_guardrails=[incoming], output_guardrails=[outgoing])},
        {"agent": agent(instructions=lambda context, agent: "")},
        {"agent": agent(instructions=described)},
        {"model": QuickModel(), "clock": SystemClock()},
    ],
    ids=[
        *("tools", "handoff", "served", "names", "made handoff", "guardrails", "instructions"),
        *("async instructions", "model"),
    ],
)
def test_arguments_of_the_right_kind_are_taken(tmp_path: Path, arguments: dict[str, Any]):
    """Also tools of the SDK that are no functions; two agents may have the same tool."""
    app = create_app(Settings(data=tmp_path / "data"), **arguments)

    assert isinstance(app.state.services.model, Model)
    assert isinstance(app.state.services.model, AgentsModel) == (
        getattr(arguments.get("agent"), "model", None) is served
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("idle_timout", "did you mean 'idle_timeout'?"),
        ("modle", "did you mean 'model'?"),
        ("AGENT_ACTORS_MODEL", "did you mean 'model'?"),
        ("openai_key", "did you mean 'openai_api_key'?"),
        ("port", "docs/settings.md"),
        ("temperature", "docs/settings.md"),
    ],
)
def test_a_setting_that_there_is_not_is_a_type_error(name: str, meant: str):
    """It was ignored before; now the near name is suggested."""
    given: Any = "300"
    with pytest.raises(TypeError, match=f"Settings has no '{name}'") as refused:
        Settings(**dict.fromkeys([name], given))

    assert meant in str(refused.value)


def test_other_variables_of_the_environment_are_no_arguments(monkeypatch: pytest.MonkeyPatch):
    """They are warned of at the start, and may belong to somebody else."""
    monkeypatch.setenv("AGENT_ACTORS_IDLE_TIMOUT", "300")
    monkeypatch.setenv("OPENAI_API_KEY", "o")

    assert Settings(idle_timeout=300).idle_timeout == 300


class Returns(Model):
    """A model of one's own, whose author has another idea of a reply."""

    def __init__(self, reply: Any) -> None:
        self._reply = reply

    async def reply(self, prompt: Prompt) -> Reply:
        return self._reply


NOTHING: Any = None


@pytest.mark.parametrize("reply", ["hi", None, {"content": "hi"}, Reply(NOTHING)])
async def test_a_reply_of_another_kind_ends_its_turn(
    serve: Serve, caplog: pytest.LogCaptureFixture, reply: Any
):
    """502 at once, and the log says what to return."""
    async with serve(model=Returns(reply)) as app:
        answer = await app.http.post("/chat/ada", json={"role": "user", "content": "hi"})

    assert answer.status_code == 502
    assert "return Reply(text)" in caplog.text
