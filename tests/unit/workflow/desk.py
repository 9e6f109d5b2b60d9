"""The activities and the runner of workflows, with fakes around them."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from agent_actors.model.calls import ModelCalls
from agent_actors.observability.counters import Counters
from agent_actors.protocol.clients import ChatClient
from agent_actors.protocol.events import CloudEvent
from agent_actors.protocol.ids import ActorRef
from agent_actors.protocol.messages import AdoptTurn, Reply, TurnState
from agent_actors.settings import Settings
from agent_actors.state import slots
from agent_actors.state.cache import ActorState
from agent_actors.state.documents.conversation import Head, OutcomeRecord
from agent_actors.state.documents.users import Analytics
from agent_actors.state.reader import StateReader
from agent_actors.state.store import StateStore
from agent_actors.turns.bell import TurnBell
from agent_actors.turns.drain import Drain
from agent_actors.workflow.activities import Activities, WorkflowDependencies
from agent_actors.workflow.client import WorkflowProgress, Workflows
from agent_actors.workflow.runner import WorkflowTurnRunner
from agent_actors.workflow.turn import TurnOrder
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
        self.scheduled: list[TurnOrder] = []
        self.known: dict[str, WorkflowProgress] = {}
        self.purged: list[str] = []
        self.error: BaseException | None = None
        """What every call raises, if anything."""
        self._over: dict[str, asyncio.Event] = {}

    async def schedule(self, order: TurnOrder) -> bool:
        self._fail()
        if order.turn.turn_id in self.known:
            return False
        self.scheduled.append(order)
        self.known[order.turn.turn_id] = WorkflowProgress(order, "running")
        return True

    async def progress(self, turn_id: str) -> WorkflowProgress | None:
        self._fail()
        return self.known.get(turn_id)

    async def ended(self, turn_id: str, within: int) -> bool:
        self._fail()
        await self._over.setdefault(turn_id, asyncio.Event()).wait()
        return True

    async def purge(self, turn_id: str) -> bool:
        self._fail()
        self.purged.append(turn_id)
        self.known.pop(turn_id, None)
        return True

    def end(self, progress: WorkflowProgress) -> None:
        """Ends a workflow with this progress."""
        turn_id = progress.order.turn.turn_id
        self.known[turn_id] = progress
        self._over.setdefault(turn_id, asyncio.Event()).set()

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


class Desk:
    """Activities and runner, with a store in memory and a clock that is moved by hand."""

    def __init__(self, **settings: Any) -> None:
        self.clock = HandClock()
        self.client = FakeActorClient()
        self.settings = Settings(**settings)
        self.store = StateStore(self.client, self.clock, 5.0)
        self.reader = StateReader(self.store, 64)
        self.bell = TurnBell()
        self.stopping = Drain(self.clock, 7.0, self.bell)
        self.memory = FakeMemories()
        self.chat = Adopting()
        self.model = QuickModel()
        self.calls = ModelCalls(self.model, self.clock, 120.0, _never)
        self.published: list[tuple[str, str, CloudEvent]] = []
        self.refusal: BaseException | None = None
        self.followed: list[TurnOrder] = []
        self.steps = Activities(self._dependencies(), self.followed.append)
        self.workflows = FakeWorkflows()
        self.runner = WorkflowTurnRunner(
            self.chat, self.reader, self.bell, self.stopping, self.settings, self.workflows
        )

    def _dependencies(self) -> WorkflowDependencies:
        return WorkflowDependencies(
            settings=self.settings,
            reader=self.reader,
            memory=self.memory,
            chat=self.chat,
            calls=self.calls,
            publish=self._publish,
            drain=self.stopping,
            counters=Counters(),
        )

    async def _publish(self, pubsub: str, topic: str, event: CloudEvent) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.published.append((pubsub, topic, event))

    async def save(self, head: Head) -> None:
        """Stores the head of the conversation."""
        await self._state(ActorRef("ChatAgent", CONVERSATION)).save({slots.HEAD: head})

    async def counted(self, messages: int) -> None:
        """Stores the user's message count."""
        analytics = Analytics(message_count=messages)
        await self._state(ActorRef("AnalyticsActor", "ada")).save({slots.ANALYTICS: analytics})

    def _state(self, actor: ActorRef) -> ActorState:
        return ActorState(self.store, actor, may_act=lambda: None)


async def _never(*_: object) -> None:
    raise AssertionError("nothing is parked")


def an_order(content: str = "hi", key: str = "") -> TurnOrder:
    """A turn of Ada's session."""
    return TurnOrder(CONVERSATION, a_turn(content, key=key))


def ended_as(order: TurnOrder, status: Any, seq: int | None = None) -> OutcomeRecord:
    """How that turn ended."""
    turn = order.turn
    return OutcomeRecord(0, turn.turn_id, turn.key_hash, turn.body_hash, status, seq)
