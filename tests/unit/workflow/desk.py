"""The steps and the callers' side of workflows, between fakes."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from agent_actors import slots
from agent_actors.actors.limits import ChatLimits
from agent_actors.clients import ChatClient
from agent_actors.documents import Analytics, Head, Record
from agent_actors.messages import AdoptTurn, CloudEvent, Reply, TurnState
from agent_actors.model.calls import ModelCalls
from agent_actors.saved import Saved
from agent_actors.settings import Settings
from agent_actors.settled import Settled
from agent_actors.slots import State, Store
from agent_actors.stopping import Stopping
from agent_actors.workflow.activities import Activities, Parts
from agent_actors.workflow.answers import WorkflowAnswers
from agent_actors.workflow.client import Standing, Workflows
from agent_actors.workflow.turn import Order
from tests.fake_actors import FakeMemories
from tests.fakes import FakeActorClient, QuickModel, a_turn
from tests.hand_clock import HandClock

CONVERSATION = "session:s"


@dataclass
class Adopting(ChatClient):
    """ChatAgent as a workflow sees it."""

    result: TurnState | BaseException | None = None
    adopted: list[AdoptTurn] = field(default_factory=list)

    async def adopt(self, conversation: str, request: AdoptTurn) -> TurnState:
        assert conversation == CONVERSATION
        self.adopted.append(request)
        if isinstance(self.result, BaseException):
            raise self.result
        reply = request.outcome if isinstance(request.outcome, Reply) else None
        return self.result or TurnState(request.turn.turn_id, "done", reply)


class FakeWorkflows(Workflows):
    """The sidecar's workflows: they run until a test ends them."""

    def __init__(self) -> None:
        self.scheduled: list[Order] = []
        self.known: dict[str, Standing] = {}
        self.purged: list[str] = []
        self.error: BaseException | None = None
        """What every call raises, if anything."""
        self._over: dict[str, asyncio.Event] = {}

    async def schedule(self, order: Order) -> bool:
        self._fail()
        if order.turn.turn_id in self.known:
            return False
        self.scheduled.append(order)
        self.known[order.turn.turn_id] = Standing(order, "running")
        return True

    async def standing(self, turn_id: str) -> Standing | None:
        self._fail()
        return self.known.get(turn_id)

    async def ended(self, turn_id: str, within: int) -> bool:
        self._fail()
        await self._over.setdefault(turn_id, asyncio.Event()).wait()
        return True

    async def purge(self, turn_id: str) -> None:
        self._fail()
        self.purged.append(turn_id)
        self.known.pop(turn_id, None)

    def end(self, standing: Standing) -> None:
        """The workflow has ended so."""
        turn_id = standing.order.turn.turn_id
        self.known[turn_id] = standing
        self._over.setdefault(turn_id, asyncio.Event()).set()

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


class Desk:
    """What carries turns, with a store in memory and a clock that stands."""

    def __init__(self, **settings: Any) -> None:
        self.clock = HandClock()
        self.client = FakeActorClient()
        self.settings = Settings(**settings)
        self.store = Store(self.client, self.clock, 5.0)
        self.saved = Saved(self.store, 64)
        self.settled = Settled()
        self.stopping = Stopping(self.clock, 7.0, self.settled)
        self.memory = FakeMemories()
        self.chat = Adopting()
        self.model = QuickModel()
        self.calls = ModelCalls(self.model, self.clock, 120.0, _never)
        self.published: list[tuple[str, str, CloudEvent]] = []
        self.refusal: BaseException | None = None
        self.followed: list[Order] = []
        self.steps = Activities(self._parts(), self.followed.append)
        self.workflows = FakeWorkflows()
        self.answers = WorkflowAnswers(
            self.chat, self.saved, self.settled, self.stopping, self.settings, self.workflows
        )

    def _parts(self) -> Parts:
        return Parts(
            saved=self.saved,
            memory=self.memory,
            chat=self.chat,
            calls=self.calls,
            publish=self._publish,
            limits=ChatLimits.of(self.settings),
            stopping=self.stopping,
            call_time=5.0,
        )

    async def _publish(self, pubsub: str, topic: str, event: CloudEvent) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.published.append((pubsub, topic, event))

    async def save(self, head: Head) -> None:
        """The conversation is like that."""
        await self._state("ChatAgent", CONVERSATION).save({slots.HEAD: head})

    async def counted(self, messages: int) -> None:
        """So many messages of the user were answered."""
        analytics = Analytics(message_count=messages)
        await self._state("AnalyticsActor", "ada").save({slots.ANALYTICS: analytics})

    def _state(self, *actor: str) -> State:
        return State(self.store, *actor, may_act=lambda: None)


async def _never(*_: object) -> None:
    raise AssertionError("nothing is parked")


def an_order(content: str = "hi", key: str = "") -> Order:
    """A turn of Ada's session."""
    return Order(CONVERSATION, a_turn(content, key=key))


def ended_as(order: Order, status: Any, seq: int | None = None) -> Record:
    """How that turn ended."""
    turn = order.turn
    return Record(0, turn.turn_id, turn.key_hash, turn.body_hash, status, seq)
