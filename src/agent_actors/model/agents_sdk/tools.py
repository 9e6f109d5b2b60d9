"""The tools of an agent, with the limits of a turn."""

import asyncio
import copy
import logging
import traceback
from collections.abc import Awaitable
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

log = logging.getLogger(__name__)

FAILED = "The tool failed; it gave no result."
SENSELESS = "The tool was not called: its arguments do not fit what it takes."
UNKNOWN = "There is no such tool."
LATE = "The tool took too long and was ended; it may have done its work."
NO_MORE = "The tool was not called: this turn has used up its tool calls. Answer without it."
MESSAGE = 200
"""Longest message of a tool's exception in the log, in characters."""
CUT = "\n[cut: the result was too long]"
TOO_LARGE = "The tool's result was too large to be passed on."


def current_time(clock: Clock) -> Tool:
    """The default agent's only tool."""

    @function_tool
    async def get_current_time() -> str:
        """The current date and time, in UTC."""
        return f"{clock.now():%Y-%m-%d %H:%M:%S} UTC"

    return get_current_time


@dataclass(frozen=True, slots=True)
class ToolLimits:
    """Limits on tools: seconds of a call, calls in a turn, bytes of a result."""

    clock: Clock
    seconds: float
    calls: int
    result_bytes: int

    def on(self, tool: Tool) -> Tool:
        """A copy of the tool with the limits; a hosted tool runs elsewhere and has none."""
        if not isinstance(tool, FunctionTool):
            return tool
        name, invoke = tool.name, tool.on_invoke_tool

        # `wraps` keeps the type of `context`: the SDK passes the kind of context that it names.
        @wraps(invoke)
        async def invoke_limited(context: ToolContext[Any], arguments: str) -> Any:
            turn = context.context
            if isinstance(turn, TurnContext) and next(turn.tool_calls) > self.calls:
                return NO_MORE
            attributes: dict[str, tracing.Value] = {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": name,
                "gen_ai.tool.type": "function",
                "gen_ai.tool.call.id": context.tool_call_id,
            }
            with tracing.span(f"execute_tool {name}", attributes=attributes):
                result = await self._in_time(name, invoke(context, arguments))
            return _cut(result, self.result_bytes)

        limited = copy.copy(tool)
        limited.on_invoke_tool = invoke_limited
        return limited

    async def _in_time(self, name: str, invocation: Awaitable[Any]) -> Any:
        running = asyncio.ensure_future(invocation)
        try:
            async with self.clock.timeout(self.seconds):
                await asyncio.wait({running})
        except TimeoutError:
            log.warning("the tool %s was cancelled after %g s", name, self.seconds)
            tracing.mark_failed("timeout")
            return LATE
        finally:
            running.cancel()
        if running.cancelled():
            tracing.mark_failed("cancelled")
            return FAILED
        if (error := running.exception()) is not None:
            tracing.mark_failed(type(error).__name__)
            return _error_text(name, error)
        return running.result()


def tool_error(args: ToolErrorFormatterArgs[Any]) -> str | None:
    """The text that the model gets for a failed tool, without the exception's."""
    if args.error is not None:
        return _error_text(args.tool_name, args.error)
    if args.kind == "tool_not_found":
        return UNKNOWN
    return None


def _error_text(name: str, error: BaseException) -> str:
    if isinstance(error, ModelBehaviorError):
        return SENSELESS
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    where = f"{own[-1].filename}:{own[-1].lineno}" if own else "unknown place"
    log.warning("the tool %s raised %s at %s: %s", name, type(error).__name__, where, _line(error))
    log.debug("its trace", exc_info=error)
    return FAILED


def _line(error: BaseException) -> str:
    """The first line of an exception's text, in characters that a log can have.

    Not of `str(error)`, which is the tool's own code and may raise anything.
    """
    lines = traceback.format_exception_only(error)
    # Where Python could not compile something, the place comes first, indented.
    said = next((line for line in lines if not line.startswith(" ")), "")
    text = said.partition(": ")[2].partition("\n")[0]
    return text[:MESSAGE].encode(errors="backslashreplace").decode()


def _cut(result: Any, longest: int) -> Any:
    """The result, cut to the limit; text is cut between characters."""
    if isinstance(result, ToolOutputText):
        return result.model_copy(update={"text": _cut_text(result.text, longest)})
    text = str(result)
    if not isinstance(result, str) and len(text.encode(errors="replace")) <= longest:
        return result
    if isinstance(result, ToolOutputImage | ToolOutputFileContent):
        return TOO_LARGE
    return _cut_text(text, longest)


def _cut_text(text: str, longest: int) -> str:
    # A lone surrogate could be neither sent nor saved.
    data = text.encode(errors="replace")
    if len(data) <= longest:
        return data.decode()
    return data[: longest - len(CUT)].decode(errors="ignore") + CUT
