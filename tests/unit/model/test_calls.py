"""The model calls of a process."""

import asyncio
from contextvars import ContextVar

import pytest

from agent_actors.errors import AgentError, Defect, Invalid, ModelFailed, Unavailable
from agent_actors.model import Prompt, calls
from agent_actors.model.calls import ModelCalls
from agent_actors.protocol.messages import Failure, Message, Outcome, Reply
from tests.fakes import HeldModel, QuickModel
from tests.hand_clock import HandClock, settle

SEEN: ContextVar[str | None] = ContextVar("seen", default=None)


class Desk:
    """Takes the results of parked turns; raises the errors in its list first."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, Outcome]] = []
        self.offers = 0
        self.errors: list[BaseException] = []

    async def complete(self, conversation: str, turn_id: str, outcome: Outcome) -> None:
        self.offers += 1
        if self.errors:
            raise self.errors.pop(0)
        self.taken.append((conversation, turn_id, outcome))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def model() -> HeldModel:
    return HeldModel()


@pytest.fixture
def calling(model: HeldModel, clock: HandClock, desk: Desk) -> ModelCalls:
    return ModelCalls(model, clock, 120.0, desk.complete)


def a_prompt(turn_id: str = "t", conversation: str = "ada") -> Prompt:
    return Prompt(conversation, "ada", turn_id, 1, Message("user", "hi"), (), ())


async def test_a_call_that_is_not_awaited_is_handed_to_nobody(
    calling: ModelCalls, model: HeldModel, desk: Desk
):
    """A quick answer is kept for the actor that started the call."""
    call = calling.start(a_prompt())
    model.free.set()
    await call.wait()
    await settle()

    assert call.outcome == Reply("reply to hi", "held")
    assert calling.find("ada", "t") is call
    assert not desk.offers


async def test_the_end_of_a_parked_turn_is_handed_over(
    calling: ModelCalls, model: HeldModel, desk: Desk
):
    """Once the turn is parked, the result is delivered to the conversation."""
    call = calling.start(a_prompt())
    call.awaited = True
    model.free.set()
    await call.wait()
    await settle()

    assert desk.taken == [("ada", "t", Reply("reply to hi", "held"))]


async def test_a_hand_over_is_tried_again(
    calling: ModelCalls, model: HeldModel, desk: Desk, clock: HandClock
):
    """After a temporary refusal it is repeated after 0.1, 0.2, 0.4 … seconds."""
    desk.errors = [Unavailable("away")] * 3
    calling.start(a_prompt()).awaited = True
    model.free.set()
    await settle()
    await clock.advance(0.1 + 0.2)

    assert (desk.offers, desk.taken) == (3, [])

    await clock.advance(0.4)

    assert (desk.offers, len(desk.taken)) == (4, 1)


async def test_a_hand_over_is_left_to_the_reminder_in_the_end(
    calling: ModelCalls, model: HeldModel, desk: Desk, clock: HandClock
):
    """After six attempts the outcome stays for the recovery reminder."""
    desk.errors = [Unavailable("away")] * 100
    call = calling.start(a_prompt())
    call.awaited = True
    model.free.set()
    await settle()
    await clock.advance(1000)

    assert desk.offers == calls.HAND_OVER.attempts
    assert calling.find("ada", "t") is call
    assert not calling._tasks


@pytest.mark.parametrize("error", [Invalid("no"), Defect("bug")])
async def test_a_hand_over_that_can_never_work_is_not_repeated(
    calling: ModelCalls, model: HeldModel, desk: Desk, clock: HandClock, error: AgentError
):
    """A permanent refusal ends it, as a defect of ChatAgent does; the reminder tries again."""
    desk.errors = [error] * 2
    calling.start(a_prompt()).awaited = True
    model.free.set()
    await settle()
    await clock.advance(1000)

    assert desk.offers == 1


async def test_the_model_runs_in_an_empty_context(clock: HandClock, desk: Desk):
    """It inherits nothing of its caller's task, such as a reentrancy id."""

    class Curious(QuickModel):
        async def reply(self, prompt: Prompt) -> Reply:
            return Reply(f"{SEEN.get()}")

    SEEN.set("the caller's")
    call = ModelCalls(Curious(), clock, 120.0, desk.complete).start(a_prompt())
    await call.wait()

    assert call.outcome == Reply("None")


@pytest.mark.parametrize(
    "error", [ModelFailed("no"), RuntimeError("secret"), asyncio.CancelledError("secret")]
)
async def test_a_model_that_raises_has_failed(
    calling: ModelCalls, model: HeldModel, error: BaseException
):
    """A model's error, any other exception, or cancelling itself; its text is not shown."""
    model.error = error
    model.free.set()
    call = calling.start(a_prompt())
    await call.wait()

    assert isinstance(call.outcome, Failure)
    assert call.failed
    assert call.outcome.error.status == 502
    assert "secret" not in call.outcome.error.detail


async def test_a_model_that_takes_too_long_is_ended(
    calling: ModelCalls, model: HeldModel, clock: HandClock
):
    """After the model time the turn fails with 504, and the model is cancelled."""
    call = calling.start(a_prompt())
    await settle()
    await clock.advance(119.9)

    assert call.outcome is None

    await clock.advance(0.1)

    assert isinstance(call.outcome, Failure)
    assert call.outcome.error.status == 504
    assert not calling._tasks


async def test_a_conversation_remembers_eight_calls(calling: ModelCalls, model: HeldModel):
    """Finished calls are dropped first; a running one can always be found."""
    running = calling.start(a_prompt("running"))
    model.free.set()
    await running.wait()
    model.free.clear()
    held = calling.start(a_prompt("held"))
    model.free.set()
    for number in range(6):
        await calling.start(a_prompt(f"t{number}")).wait()
    model.free.clear()
    last = calling.start(a_prompt("last"))

    assert calling.find("ada", "running") is None
    assert calling.find("ada", "held") is held
    assert calling.find("ada", "last") is last
    assert len(calling._calls["ada"]) == calls.PER_CONVERSATION
    await calling.stop()


async def test_finished_calls_are_bounded_in_all(
    clock: HandClock, desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    """Idle conversations cost no memory: the oldest finished calls are dropped."""
    monkeypatch.setattr(calls, "FINISHED", 10)
    calling = ModelCalls(QuickModel(), clock, 120.0, desk.complete)
    for number in range(25):
        await calling.start(a_prompt(conversation=f"c{number}")).wait()
    await settle()

    assert len(calling._calls) == 10
    assert calling.find("c14", "t") is None
    assert calling.find("c15", "t") is not None


async def test_a_call_that_is_started_again_replaces_the_first(
    calling: ModelCalls, model: HeldModel
):
    """The outcome of the first is not taken for the second's."""
    first = calling.start(a_prompt())
    second = calling.start(a_prompt())
    model.free.set()
    await asyncio.gather(first.wait(), second.wait())

    assert calling.find("ada", "t") is second


async def test_a_stop_ends_what_runs(calling: ModelCalls, desk: Desk):
    """No task is left; the next process starts the turns again."""
    call = calling.start(a_prompt())
    call.awaited = True
    await settle()
    await calling.stop()

    assert not calling._tasks
    assert call.outcome is None
    assert not desk.offers


@pytest.mark.parametrize("ends", [True, False])
async def test_a_drain_lets_calls_end(
    calling: ModelCalls, model: HeldModel, clock: HandClock, ends: bool
):
    """It returns when the last call has ended, or when its time is over."""
    await calling.drain(7.0)
    calling.start(a_prompt())
    await settle()
    drained = asyncio.create_task(calling.drain(7.0))
    await clock.advance(6.9)

    assert not drained.done()

    if ends:
        model.free.set()
    await clock.advance(0.0 if ends else 0.1)

    assert drained.done()
    await calling.stop()


@pytest.mark.parametrize("said", ["half \ud83d", "x" * (calls.REPLY_BYTES + 1)])
async def test_an_answer_that_cannot_be_saved_is_a_failure(
    calling: ModelCalls, model: HeldModel, desk: Desk, said: str
):
    """A lone surrogate or too long a text fails the turn, and the queue behind it continues."""
    model.says = said
    call = calling.start(a_prompt())
    call.awaited = True
    model.free.set()
    await settle()

    assert isinstance(call.outcome, Failure)
    assert call.outcome.error.status == 502
    assert [outcome for _, _, outcome in desk.taken] == [call.outcome]


async def test_what_finished_is_bounded_in_bytes(
    clock: HandClock, desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    """Long answers of idle conversations are dropped before they fill the memory."""
    monkeypatch.setattr(calls, "FINISHED_BYTES", 10_000)
    model = QuickModel()
    model.says = "x" * 3_000
    calling = ModelCalls(model, clock, 120.0, desk.complete)
    for number in range(5):
        calling.start(a_prompt(conversation=f"user{number}"))
        await settle()

    known = [number for number in range(5) if calling.find(f"user{number}", "t")]
    assert known == [2, 3, 4]
