"""The worker: runs the workflows and activities that the sidecar gives to this process.

The SDK's worker has threads and an event loop of its own. The workflow function runs there, as it
only decides what is next. Activities run on the service's event loop, to which its clients belong.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from dapr.ext.workflow import DaprWorkflowContext, WorkflowActivityContext, WorkflowRuntime
from pydantic import ValidationError

from agent_actors.errors import Defect
from agent_actors.protocol.codec import adapter, fields
from agent_actors.workflow.activities import Activities
from agent_actors.workflow.sdk import quiet
from agent_actors.workflow.turn import (
    ANALYTICS,
    HISTORY,
    NAME,
    PUBLISH,
    REPLY,
    STORE,
    ReplyRequest,
    Steps,
    StoreRequest,
    TurnOrder,
    WorkflowStep,
    chat_turn,
)

log = logging.getLogger(__name__)

STOP_PAUSE = 0.1
"""Seconds between two attempts to stop a worker that is still starting."""

Activity = Callable[[WorkflowActivityContext, Any], Coroutine[Any, Any, Any]]


class WorkflowWorker:
    """Connects to the sidecar, and again after the sidecar was unavailable."""

    def __init__(self, port: int, activities: Activities) -> None:
        self._activities = activities
        self._runtime = WorkflowRuntime("127.0.0.1", str(port), logger_options=quiet())
        self._starting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts to connect and returns at once; the sidecar may start later."""
        loop, steps = asyncio.get_running_loop(), self._activities
        taken: list[tuple[WorkflowStep, Callable[[Any], Awaitable[Any]], type]] = [
            (ANALYTICS, steps.fetch_analytics, TurnOrder),
            (HISTORY, steps.fetch_history, TurnOrder),
            (REPLY, steps.generate_reply, ReplyRequest),
            (STORE, steps.store_conversation, StoreRequest),
            (PUBLISH, steps.publish_message_sent, TurnOrder),
        ]
        for step, method, form in taken:
            self._runtime.register_activity(_on(loop, method, form), name=step.name)

        # A function of this worker's own: the SDK marks it as registered.
        def workflow(ctx: DaprWorkflowContext, order: Any) -> Steps:
            return chat_turn(ctx, order)

        self._runtime.register_workflow(workflow, name=NAME)
        self._starting = asyncio.create_task(asyncio.to_thread(self._runtime.start))

    async def stop(self) -> None:
        """Stops; activities that are cut run again in another process. Idempotent."""
        if self._starting is None:
            return
        starting, self._starting = self._starting, None
        # A worker that is still starting misses a shutdown; without a sidecar it ends by an error.
        while not starting.done():
            await asyncio.to_thread(self._runtime.shutdown)
            await asyncio.wait({starting}, timeout=STOP_PAUSE)
        await asyncio.gather(starting, return_exceptions=True)
        await asyncio.to_thread(self._runtime.shutdown)


def _on(
    loop: asyncio.AbstractEventLoop, method: Callable[[Any], Awaitable[Any]], form: type
) -> Activity:
    """An activity: called on the worker's event loop, run on the service's."""

    async def activity(_context: WorkflowActivityContext, given: Any) -> Any:
        running = asyncio.run_coroutine_threadsafe(_run(method, form, given), loop)
        return await asyncio.wrap_future(running)

    return activity


async def _run(method: Callable[[Any], Awaitable[Any]], form: type, given: Any) -> Any:
    """Runs an activity, from JSON to JSON; the input of another release is a `Defect`.

    The SDK logs the error, so it has no text of users.
    """
    try:
        value = adapter(form).validate_python(given)
    except ValidationError as error:
        raise Defect(f"The input of a workflow activity cannot be read: {fields(error)}") from None
    result = await method(value)
    return adapter(type(result)).dump_python(result, mode="json", exclude_none=True)
