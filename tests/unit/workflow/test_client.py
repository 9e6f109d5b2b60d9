"""The sidecar's workflow API, with a fake SDK client."""

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest
from dapr.ext.workflow import WorkflowStatus

from agent_actors.errors import Defect, Unavailable
from agent_actors.protocol.codec import adapter
from agent_actors.protocol.messages import TurnState
from agent_actors.workflow.client import WorkflowProgress, Workflows
from agent_actors.workflow.turn import NAME, TurnOrder
from agent_actors.workflow.worker import _run
from tests.fakes import a_turn
from tests.hand_clock import HandClock
from tests.unit.workflow.desk import CONVERSATION, an_order

ORDER = an_order(key="k")
TURN_ID = ORDER.turn.turn_id
GIVEN = json.dumps(adapter(TurnOrder).dump_python(ORDER, mode="json"))


def refusal(details: str) -> grpc.aio.AioRpcError:
    """What gRPC raises."""
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNKNOWN, nothing, nothing, details)


class Sidecar:
    """The SDK's client: answers from lists."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        """What the next calls raise."""
        self.state: Any = None
        self.asked: list[tuple[str, Any]] = []
        self.closed = False

    async def schedule_new_workflow(self, name: str, *, input: Any, instance_id: str) -> None:  # noqa: A002 - the SDK's word
        self._ask(name, (instance_id, input))

    async def get_workflow_state(self, instance_id: str) -> Any:
        self._ask("state", instance_id)
        return self.state

    async def wait_for_workflow_completion(self, instance_id: str, **given: Any) -> None:
        self._ask("wait", (instance_id, given["timeout_in_seconds"]))

    async def purge_workflow(self, instance_id: str) -> None:
        self._ask("purge", instance_id)

    async def close(self) -> None:
        self.closed = True

    def _ask(self, what: str, of: Any) -> None:
        self.asked.append((what, of))
        if self.errors:
            raise self.errors.pop(0)


class Asking:
    """`Workflows` of a fake sidecar."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.sidecar = Sidecar()
        self.workflows = Workflows(9, self.clock, 5.0)
        setattr(self.workflows, "_client", self.sidecar)  # noqa: B010 - of another type


@pytest.fixture
def asking() -> Asking:
    return Asking()


async def test_a_workflow_is_started_under_the_turns_id(asking: Asking):
    """With all that it needs."""
    assert await asking.workflows.schedule(ORDER)
    ((name, (instance, given)),) = asking.sidecar.asked

    assert (name, instance) == (NAME, TURN_ID)
    assert adapter(TurnOrder).validate_python(given) == ORDER


async def test_a_workflow_that_runs_goes_on(asking: Asking):
    """To start it once more is no failure."""
    asking.sidecar.errors = [refusal("an active workflow with ID 'x' already exists")]

    assert not await asking.workflows.schedule(ORDER)
    assert len(asking.sidecar.asked) == 1


async def test_a_worker_that_is_not_there_yet_is_waited_for(asking: Asking):
    """For the call time; then the caller gets the error."""
    asking.sidecar.errors = [refusal("did not find address for actor")] * 2
    scheduling = asking.workflows.schedule(ORDER)
    await _with_time(asking, scheduling, 1.0)

    assert len(asking.sidecar.asked) == 3

    asking.sidecar.errors = [refusal("did not find address for actor")] * 100
    with pytest.raises(Unavailable):
        await _with_time(asking, asking.workflows.schedule(ORDER), 10.0)


async def _with_time(asking: Asking, waiting: Any, seconds: float) -> None:
    task = asyncio.create_task(waiting)
    await asking.clock.advance(seconds)
    await task


@pytest.mark.parametrize(
    ("status", "standing"),
    [
        (WorkflowStatus.PENDING, "running"),
        (WorkflowStatus.RUNNING, "running"),
        (WorkflowStatus.SUSPENDED, "running"),
        (WorkflowStatus.FAILED, "failed"),
        (WorkflowStatus.TERMINATED, "failed"),
        (WorkflowStatus.COMPLETED, "done"),
    ],
)
async def test_where_a_workflow_is(asking: Asking, status: WorkflowStatus, standing: Any):
    """It runs, it has failed, or it has ended, with the turn's end."""
    ended = TurnState("t", "done") if standing == "done" else None
    asking.sidecar.state = SimpleNamespace(
        name=NAME,
        runtime_status=status,
        serialized_input=GIVEN,
        serialized_output=ended and '{"turn_id": "t", "status": "done"}',
    )

    assert await asking.workflows.progress(TURN_ID) == WorkflowProgress(ORDER, standing, ended)


async def test_what_is_no_turn_of_ours_is_not_there(asking: Asking):
    """The sidecar is not called for an id that no turn can have."""
    assert await asking.workflows.progress(TURN_ID) is None

    asking.sidecar.state = SimpleNamespace(name="another")

    assert await asking.workflows.progress(TURN_ID) is None
    assert len(asking.sidecar.asked) == 2
    assert await asking.workflows.progress("x||metadata") is None
    assert len(asking.sidecar.asked) == 2


async def test_what_cannot_be_read_is_not_repeated(asking: Asking):
    """The error has none of its text."""
    asking.sidecar.state = SimpleNamespace(name=NAME, serialized_input='{"secret": "xyzzy"}')

    with pytest.raises(Defect) as caught:
        await asking.workflows.progress(TURN_ID)
    assert "xyzzy" not in str(caught.value)


async def test_a_workflow_that_is_gone_has_ended(asking: Asking):
    """And is erased."""
    asking.sidecar.errors = [refusal("no such instance exists")] * 2

    assert await asking.workflows.ended(TURN_ID, 60)
    await asking.workflows.purge(TURN_ID)


async def test_a_workflow_that_goes_on_is_waited_for_again(asking: Asking):
    """The SDK gives up after the time it was given."""
    asking.sidecar.errors = [TimeoutError()]

    assert not await asking.workflows.ended(TURN_ID, 60)
    assert await asking.workflows.ended(TURN_ID, 60)


@pytest.mark.parametrize(
    "call",
    [
        lambda workflows: workflows.progress(TURN_ID),
        lambda workflows: workflows.ended(TURN_ID, 60),
        lambda workflows: workflows.purge(TURN_ID),
    ],
)
async def test_a_sidecar_that_is_away(asking: Asking, call: Callable[[Workflows], Any]):
    """The caller may try again."""
    asking.sidecar.errors = [refusal("connection refused")]

    with pytest.raises(Unavailable):
        await call(asking.workflows)


async def test_the_connection_is_closed(asking: Asking):
    """At the stop of the service."""
    await asking.workflows.stop()

    assert asking.sidecar.closed


async def test_a_step_goes_from_json_to_json():
    """Its input is read, its result is plain."""

    async def step(order: TurnOrder) -> TurnState:
        return TurnState(order.turn.turn_id, "done")

    assert await _run(step, TurnOrder, json.loads(GIVEN)) == {"turn_id": TURN_ID, "status": "done"}


async def test_the_error_of_an_unreadable_input_has_none_of_its_text():
    """The SDK logs what a step raises."""

    async def step(_order: TurnOrder) -> None:
        raise AssertionError("not reached")

    given = adapter(TurnOrder).dump_python(TurnOrder(CONVERSATION, a_turn("xyzzy")), mode="json")
    given["turn"]["message"]["content"] = ["xyzzy"]

    with pytest.raises(Defect) as caught:
        await _run(step, TurnOrder, given)
    assert "xyzzy" not in str(caught.value)
