"""What a sidecar is asked about workflows; a turn's workflow has the turn's id."""

import re
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from dapr.ext.workflow import WorkflowState, WorkflowStatus
from dapr.ext.workflow.aio import DaprWorkflowClient
from grpc.aio import AioRpcError  # type: ignore[import-untyped]
from pydantic_core import from_json

from agent_actors.clock import Clock
from agent_actors.errors import Defect, Unavailable
from agent_actors.protocol.codec import adapter
from agent_actors.protocol.messages import TurnState
from agent_actors.workflow.sdk import quiet
from agent_actors.workflow.turn import NAME, TurnOrder

T = TypeVar("T")

FIRST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
"""Seconds between two tries while the sidecar, or the worker, is not there yet."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The ids of our turns; a caller may ask for anything, and daprd makes names of it."""
_EXISTS = "already exists"
_NONE = "no such instance exists"
_ENDED = {WorkflowStatus.FAILED, WorkflowStatus.TERMINATED}
_AWAY = "The sidecar's workflows cannot be reached; try again."


@dataclass(frozen=True, slots=True)
class WorkflowProgress:
    """Where a workflow is: `done` with the turn's end, `failed` when a step never worked."""

    order: TurnOrder
    status: Literal["running", "done", "failed"]
    ended: TurnState | None = None


class Workflows:
    """The workflows of turns, by a sidecar's gRPC API.

    Args:
        port: Its port on loopback.
        clock: The time.
        patience: Seconds that a call may take, with its tries.
    """

    def __init__(self, port: int, clock: Clock, patience: float) -> None:
        self._client = _Client("127.0.0.1", str(port), logger_options=quiet())
        self._clock = clock
        self._patience = patience

    async def schedule(self, order: TurnOrder) -> bool:
        """Starts the workflow of a turn; False where one of that id runs already, and goes on.

        Raises:
            Unavailable: It could not be started; it may have been, all the same.
        """
        given = adapter(TurnOrder).dump_python(order, mode="json")
        end = self._clock.monotonic() + self._patience
        pause = FIRST_PAUSE
        while (started := await self._scheduled(order.turn.turn_id, given)) is None:
            if self._clock.monotonic() + pause > end:
                raise Unavailable(_AWAY)
            await self._clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        return started

    async def standing(self, turn_id: str) -> WorkflowProgress | None:
        """Where the workflow of a turn is; None where there is none.

        Raises:
            Unavailable: The sidecar is away.
        """
        if not _ID.fullmatch(turn_id):
            return None
        try:
            async with self._clock.timeout(self._patience):
                state = await self._client.get_workflow_state(turn_id)
        except (AioRpcError, TimeoutError):
            raise Unavailable(_AWAY) from None
        return _standing(state) if state is not None and state.name == NAME else None

    async def ended(self, turn_id: str, within: int) -> bool:
        """Waits for the end of a workflow, at most some seconds; has it ended, or gone?

        Raises:
            Unavailable: The sidecar is away.
        """
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

    async def purge(self, turn_id: str) -> None:
        """Erases an ended workflow with what was said in it; one that is gone is erased.

        Raises:
            Unavailable: The sidecar is away.
        """
        try:
            async with self._clock.timeout(self._patience):
                await self._client.purge_workflow(turn_id)
        except (AioRpcError, TimeoutError) as error:
            if isinstance(error, AioRpcError) and _NONE in (error.details() or ""):
                return
            raise Unavailable(_AWAY) from None

    async def stop(self) -> None:
        """Closes the connection. Idempotent."""
        await self._client.close()

    async def _scheduled(self, turn_id: str, given: Any) -> bool | None:
        """Was it started? False if it was before, None where nobody knows."""
        try:
            async with self._clock.timeout(self._patience):
                await self._client.schedule_new_workflow(NAME, input=given, instance_id=turn_id)
        except TimeoutError:
            return None
        except AioRpcError as error:
            return False if _EXISTS in (error.details() or "") else None
        return True


class _Client(DaprWorkflowClient):
    """The SDK's, which cannot be closed by itself."""

    async def close(self) -> None:
        await self._DaprWorkflowClient__obj.aclose()  # type: ignore[attr-defined]


def _standing(state: WorkflowState) -> WorkflowProgress:
    order = _read(state.serialized_input, TurnOrder)
    if state.runtime_status == WorkflowStatus.COMPLETED:
        return WorkflowProgress(order, "done", _read(state.serialized_output, TurnState))
    return WorkflowProgress(order, "failed" if state.runtime_status in _ENDED else "running")


def _read(text: str | None, form: type[T]) -> T:
    try:
        return cast(T, adapter(form).validate_python(from_json(text or "null")))
    except ValueError:
        # Not its text: pydantic repeats the value, and so what people said.
        raise Defect("A workflow is not of the form it should have.") from None
