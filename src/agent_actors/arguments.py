"""The arguments of `create_app`: a wrong one is refused at the call, in words.

Otherwise it would be met in every turn, far from the line that has to be changed.
"""

import inspect
import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from opentelemetry.trace import TracerProvider

from agent_actors.errors import StartupError
from agent_actors.model import Model
from agent_actors.settings import Settings

_RUNTIME = ("actor_client", "publish", "invoke_binding", "get_secret", "start", "stop", "unready")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""What OpenAI and servers like it accept; others get an error for the whole request."""
_CLOCK = ("now", "monotonic", "sleep", "timeout")


def require_settings(settings: object) -> None:
    """Refuses what is no `Settings`, with a `TypeError`."""
    if settings is None or isinstance(settings, Settings):
        return
    if settings is Settings:
        raise TypeError("create_app: settings is the class; pass an instance, Settings().")
    if isinstance(settings, dict):
        raise TypeError("create_app: settings is a dict; pass Settings(**it).")
    better = "an agent is passed as create_app(agent=…)" if _is_agent(settings) else ""
    raise TypeError(_wrong("settings", settings, better or "pass Settings(…), or nothing"))


def require_parts(runtime: object, model: object, clock: object, tracer: object) -> None:
    """Refuses a runtime, model, clock or tracer provider of another kind, with a `TypeError`."""
    if model is not None and not isinstance(model, Model):
        raise TypeError(_wrong("model", model, _instead_of_model(model)))
    if model is not None and getattr(model.reply, "__func__", None) is Model.reply:
        raise TypeError(_wrong("model", model, "give it a method reply(self, prompt) of its own"))
    if tracer is not None and not isinstance(tracer, TracerProvider):
        raise TypeError(_wrong("tracer_provider", tracer, "pass a TracerProvider of OpenTelemetry"))
    for name, given, members in (("runtime", runtime, _RUNTIME), ("clock", clock, _CLOCK)):
        missing = [each for each in members if given is not None and not hasattr(given, each)]
        if missing or isinstance(given, type):
            advice = f"pass an object with the methods of agent_actors.{name}"
            raise TypeError(_wrong(name, given, advice))


def require_agent(agent: object, tools: object, model: object) -> None:
    """Refuses an agent or tools that no turn could use.

    Raises:
        TypeError: One is of another kind, or has a part of another kind.
        ValueError: A tool has a name that models refuse, or that of another, or a model is given
            that would not use them.
        StartupError: An agent has MCP servers.
    """
    if agent is not None and not _is_agent(agent):
        raise TypeError(_wrong("agent", agent, "pass an Agent of the OpenAI Agents SDK"))
    if isinstance(tools, str) or not hasattr(tools, "__iter__"):
        raise TypeError(_wrong("tools", tools, "pass a list of tools, such as [book_table]"))
    given = list(tools)
    if model is not None and (agent is not None or given):
        raise ValueError(
            "create_app: a model of your own gets neither agent nor tools; leave out model, or"
            " those."
        )
    for tool in given:
        _require_tool(tool, "tools has")
    own: list[Any] = []
    for each in _reachable(agent):
        for tool in each.tools:
            _require_tool(tool, f"the agent {each.name!r} has")
        _require_members(each)
        _require_instructions(each)
        _require_no_servers(each)
        own = own or [*each.tools, *given]
    names = Counter(tool.name for tool in own or given)
    if twice := [name for name, number in names.items() if number > 1]:
        raise ValueError(f"create_app: two tools are named {twice[0]!r}; give each its own name.")


def _reachable(agent: Any) -> Iterator[Any]:
    """The agent, and those that it hands off to; an agent made on the spot is not known yet."""
    waiting, seen = [agent] if agent is not None else [], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [other for other in each.handoffs if _is_agent(other)]


def _require_tool(tool: object, where: str) -> None:
    kinds = [get_origin(kind) or kind for kind in get_args(_sdk().Tool)] if _sdk() else []
    if isinstance(tool, tuple(kinds)):
        _require_name(tool)
        return
    name = getattr(tool, "__name__", type(tool).__name__)
    if _is_agent(tool):
        remedy = "make it one by its as_tool(…), or list it in the handoffs of the agent"
    elif callable(tool):
        remedy = "decorate it with @function_tool (from agents import function_tool)"
    else:
        remedy = "use function_tool, or another tool of the OpenAI Agents SDK"
    raise TypeError(f"create_app: {where} {name!r}, which is not a tool; {remedy}.")


def _require_name(tool: Any) -> None:
    if not (isinstance(tool.name, str) and _TOOL_NAME.fullmatch(tool.name)):
        raise ValueError(
            f"create_app: a tool is named {tool.name!r}, which models refuse; a name has 1 to 64"
            " letters (a-z, A-Z), digits, _ and -: @function_tool(name_override=…)."
        )


def _require_members(agent: Any) -> None:
    """Each is what the SDK takes: it looks at them in a turn."""
    sdk = _sdk()
    for name, kinds, remedy in (
        ("handoffs", (sdk.Agent, sdk.Handoff), "list agents, or what handoff(…) makes of them"),
        ("input_guardrails", (sdk.InputGuardrail,), "decorate the function with @input_guardrail"),
        (
            "output_guardrails",
            (sdk.OutputGuardrail,),
            "decorate the function with @output_guardrail",
        ),
    ):
        for each in getattr(agent, name):
            if not isinstance(each, kinds):
                shown = each if isinstance(each, str) else getattr(each, "__name__", None)
                raise TypeError(
                    f"create_app: the {name} of the agent {agent.name!r} have"
                    f" {shown or type(each).__name__!r}; {remedy}."
                )


def _require_instructions(agent: Any) -> None:
    if agent.instructions is None or isinstance(agent.instructions, str):
        return
    try:
        signature = inspect.signature(agent.instructions)
        signature.bind(None, None)
    except (TypeError, ValueError):  # Also of a built-in function, which has no signature.
        fits = False
    else:
        fits = len(signature.parameters) == 2
    if not fits:
        raise TypeError(
            f"create_app: the instructions of the agent {agent.name!r} are a function that cannot"
            " be called with two arguments; give it the parameters (context, agent)."
        )


def _require_no_servers(agent: Any) -> None:
    if agent.mcp_servers:
        raise StartupError(
            f"The agent {agent.name!r} has mcp_servers, and MCP servers of an agent are not"
            " supported yet; remove them, and pass what they do as tools (function_tool)."
        )


def _instead_of_model(model: object) -> str:
    sdk = _sdk()
    if isinstance(model, str):
        return f"a model is named by Settings(model={model!r})"
    if sdk is not None and isinstance(model, sdk.Model):
        return "a model of the SDK is given to an agent: create_app(agent=Agent(…, model=it))"
    if isinstance(model, type) and issubclass(model, Model):
        return f"pass an instance, {model.__name__}()"
    return "subclass agent_actors.model.Model"


def _is_agent(value: object) -> bool:
    sdk = _sdk()
    return sdk is not None and isinstance(value, sdk.Agent)


def _sdk() -> Any:
    """The SDK, if it has been imported: nobody else can have made an agent or a tool.

    It takes seconds to import, so a check does not.
    """
    return sys.modules.get("agents")


def _wrong(name: str, value: object, advice: str) -> str:
    kind = value.__name__ if isinstance(value, type) else type(value).__name__
    which = "the class" if isinstance(value, type) else "of type"
    return f"create_app: {name} is {which} {kind}; {advice}."
