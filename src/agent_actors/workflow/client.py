"""The workflows of turns, through a sidecar's gRPC API. A workflow has the id of its turn."""

import re
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

from dapr.ext.workflow import WorkflowStatus
from dapr.ext.workflow.aio import DaprWorkflowClient
from grpc.aio import AioRpcError  # type: ignore[import-untyped]
from pydantic_core import from_json

from agent_actors.clock import Clock
from agent_actors.errors import Defect, Unavailable
from agent_actors.protocol.codec import adapter
from agent_actors.protocol.messages import TurnState
from agent_actors.retry import RetryPolicy, retry
from agent_actors.workflow.sdk import quiet
from agent_actors.workflow.turn import NAME, TurnOrder

T = TypeVar("T")

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
"""Seconds between two tries while the sidecar or the worker is not ready."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The form of a turn id. A caller may ask for any text, and daprd puts it into actor names."""
_EXISTS = "already exists"
_NONE = "no such instance exists"
_ENDED = {WorkflowStatus.FAILED, WorkflowStatus.TERMINATED}
_AWAY = "The sidecar's workflows cannot be reached; try again."


@dataclass(frozen=True, slots=True)
class WorkflowProgress:
    """Where a workflow stands: `done` with the turn's state, or `failed` after its last try."""

    order: TurnOrder
    status: Literal["running", "done", "failed"]
    ended: TurnState | None = None


class Workflows:
    """Starts, observes and purges workflows; a call may take `call_time` with its retries."""

    def __init__(self, port: int, clock: Clock, call_time: float) -> None:
        self._client = _Client("127.0.0.1", str(port), logger_options=quiet())
        self._clock = clock
        self._call_time = call_time

    async def schedule(self, order: TurnOrder) -> bool:
        """Starts the workflow of a turn; False if it is running already.

        If no answer came, the workflow may have started all the same.
        """
        given = adapter(TurnOrder).dump_python(order, mode="json")
        turn_id = order.turn.turn_id

        async def attempt() -> bool:
            try:
                async with self._clock.timeout(self._call_time):
                    await self._client.schedule_new_workflow(NAME, input=given, instance_id=turn_id)
            except (AioRpcError, TimeoutError) as error:
                if isinstance(error, AioRpcError) and _EXISTS in (error.details() or ""):
                    return False
                raise Unavailable(_AWAY) from None
            return True

        policy = RetryPolicy(FIRST_PAUSE, LONGEST_PAUSE, time=self._call_time)
        return await retry(attempt, policy, on=Unavailable, clock=self._clock)

    async def progress(self, turn_id: str) -> WorkflowProgress | None:
        """Where the workflow of a turn stands; None if there is none."""
        if not _ID.fullmatch(turn_id):
            return None
        try:
            async with self._clock.timeout(self._call_time):
                state = await self._client.get_workflow_state(turn_id)
        except (AioRpcError, TimeoutError):
            raise Unavailable(_AWAY) from None
        if state is None or state.name != NAME:
            return None
        order = _read(state.serialized_input, TurnOrder)
        if state.runtime_status == WorkflowStatus.COMPLETED:
            return WorkflowProgress(order, "done", _read(state.serialized_output, TurnState))
        return WorkflowProgress(order, "failed" if state.runtime_status in _ENDED else "running")

    async def ended(self, turn_id: str, within: int) -> bool:
        """Waits up to `within` seconds; True if the workflow has ended, or was purged."""
        try:
            await self._client.wait_for_workflow_completion(
                turn_id, fetch_payloads=False, timeout_in_seconds=within
            )
        except TimeoutError:
            return False
        except AioRpcError as error:
            if _NONE in (error.details() or ""):
                return True
            raise Unavailable(_AWAY) from None
        return True

    async def purge(self, turn_id: str) -> bool:
        """Deletes an ended workflow with all its texts, and returns True; so if there is none."""
        try:
            async with self._clock.timeout(self._call_time):
                await self._client.purge_workflow(turn_id)
        except (AioRpcError, TimeoutError) as error:
            if isinstance(error, AioRpcError) and _NONE in (error.details() or ""):
                return True
            raise Unavailable(_AWAY) from None
        return True

    async def stop(self) -> None:
        """Closes the connection. Idempotent."""
        await self._client.close()


class _Client(DaprWorkflowClient):
    """The SDK's client, with a way to close it: the SDK has none."""

    async def close(self) -> None:
        await self._DaprWorkflowClient__obj.aclose()  # type: ignore[attr-defined]


def _read(text: str | None, form: type[T]) -> T:
    try:
        return cast(T, adapter(form).validate_python(from_json(text or "null")))
    except ValueError:
        # Without the error's text: pydantic repeats the value, and so the message.
        raise Defect("The input or output of a workflow cannot be read.") from None
