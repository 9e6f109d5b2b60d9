"""The tools of an agent, held to the limits of a turn."""

import asyncio
import copy
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from agents import FunctionTool, Tool, ToolOutputText, function_tool
from agents.exceptions import ModelBehaviorError
from agents.run_config import ToolErrorFormatterArgs
from agents.tool import ToolOutputFileContent, ToolOutputImage
from agents.tool_context import ToolContext

from agent_actors.clock import Clock
from agent_actors.model.turn_context import TurnContext
from agent_actors.observability import tracing
from agent_actors.settings import Settings

log = logging.getLogger(__name__)

Invoke = Callable[[ToolContext[Any], str], Awaitable[Any]]

FAILED = "The tool failed; it gave no result."
SENSELESS = "The tool was not called: its arguments do not fit what it takes."
UNKNOWN = "There is no such tool."
LATE = "The tool took too long and was ended; it may have done its work."
NO_MORE = "The tool was not called: this turn has used up its tool calls. Answer without it."
CUT = "\n[cut: the result was too long]"
TOO_LARGE = "The tool's result was too large to be passed on."


def current_time(clock: Clock) -> Tool:
    """The one tool that the default agent has."""

    @function_tool
    async def get_current_time() -> str:
        """The current date and time, in UTC."""
        return f"{clock.now():%Y-%m-%d %H:%M:%S} UTC"

    return get_current_time


@dataclass(frozen=True, slots=True)
class ToolLimits:
    """What a tool may take: seconds, calls of a turn, bytes of a result."""

    clock: Clock
    seconds: float
    calls: int
    result_bytes: int

    @classmethod
    def of(cls, settings: Settings, clock: Clock) -> "ToolLimits":
        """The settings' limits."""
        return cls(clock, settings.tool_time, settings.tool_calls, settings.tool_result_bytes)

    def on(self, tool: Tool) -> Tool:
        """A copy of the tool that keeps them; what is no function of ours runs elsewhere."""
        if not isinstance(tool, FunctionTool):
            return tool
        limited = copy.copy(tool)
        limited.on_invoke_tool = self._held(limited.name, limited.on_invoke_tool)
        return limited

    def _held(self, name: str, invoke: Invoke) -> Invoke:
        # `wraps` keeps the annotation of the context: the SDK hands over what that asks for.
        @wraps(invoke)
        async def held(context: ToolContext[Any], arguments: str) -> Any:
            turn = context.context
            if isinstance(turn, TurnContext) and turn.counters.add() > self.calls:
                return NO_MORE
            with tracing.span(f"execute_tool {name}", attributes=_called(name, context)):
                result = await self._in_time(name, invoke(context, arguments))
            return _cut(result, self.result_bytes)

        return held

    async def _in_time(self, name: str, invocation: Awaitable[Any]) -> Any:
        running = asyncio.ensure_future(invocation)
        try:
            async with self.clock.timeout(self.seconds):
                await asyncio.wait({running})
        except TimeoutError:
            log.warning("the tool %s was ended after %g s", name, self.seconds)
            tracing.mark_failed("timeout")
            return LATE
        finally:
            running.cancel()
        if running.cancelled():
            tracing.mark_failed("cancelled")
            return FAILED
        if (error := running.exception()) is not None:
            tracing.mark_failed(type(error).__name__)
            return _told(name, error)
        return running.result()


def _called(name: str, context: ToolContext[Any]) -> dict[str, tracing.Value]:
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": context.tool_call_id,
    }


def tool_error(args: ToolErrorFormatterArgs[Any]) -> str | None:
    """What the model is told of a tool that failed; nothing that the exception says."""
    if args.error is not None:
        return _told(args.tool_name, args.error)
    if args.kind == "tool_not_found":
        return UNKNOWN
    return None


def _told(name: str, error: BaseException) -> str:
    if isinstance(error, ModelBehaviorError):
        return SENSELESS
    log.warning("the tool %s raised %s", name, type(error).__name__)
    log.debug("its trace", exc_info=error)
    return FAILED


def _cut(result: Any, longest: int) -> Any:
    """The result, or as much of it as may be kept: text by whole characters."""
    if isinstance(result, ToolOutputText):
        return result.model_copy(update={"text": _cut_text(result.text, longest)})
    text = str(result)
    if not isinstance(result, str) and len(text.encode(errors="replace")) <= longest:
        return result
    if isinstance(result, ToolOutputImage | ToolOutputFileContent):
        return TOO_LARGE
    return _cut_text(text, longest)


def _cut_text(text: str, longest: int) -> str:
    # Half of a character could be neither sent nor saved.
    data = text.encode(errors="replace")
    if len(data) <= longest:
        return data.decode()
    return data[: longest - len(CUT)].decode(errors="ignore") + CUT
