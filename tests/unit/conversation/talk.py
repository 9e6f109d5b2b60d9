"""A ChatAgent with hand-made neighbours."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from dapr.actor import ActorId

from agent_actors.conversation.agent import ChatAgent
from agent_actors.conversation.base import ChatDependencies
from agent_actors.conversation.outbox import Outbox
from agent_actors.observability.counters import Counters
from agent_actors.protocol import wire
from agent_actors.protocol.messages import (
    AdoptTurn,
    CompleteTurn,
    ConversationSummary,
    Failure,
    ForgetConversation,
    HighWaterMark,
    Message,
    Outcome,
    Problem,
    ProcessTurn,
    Reply,
    ResponseState,
    Turn,
    TurnState,
)
from agent_actors.protocol.wire import COUNT, EXPIRE, SETTLE
from agent_actors.settings import Settings
from agent_actors.state import slots
from agent_actors.state.documents.conversation import Head
from agent_actors.state.versions import read
from agent_actors.turns.bell import TurnBell
from tests.fake_actors import FakeMemories, FakeResponses
from tests.fakes import FakeRuntime, a_context, a_host, a_turn
from tests.hand_clock import HandClock

ADA = (wire.CHAT, "ada")


class Talk:
    """The conversation `ada`, on a store in memory."""

    def __init__(self, **settings: Any) -> None:
        self.clock = HandClock()
        self.runtime = FakeRuntime()
        self.client = self.runtime.client
        self.responses = FakeResponses()
        self.memories = FakeMemories()
        self.bell = TurnBell()
        self.host = a_host(self.clock)
        self.summary_requests: list[tuple[str, ConversationSummary]] = []
        self.counters = Counters(self.clock.monotonic)
        self._numbers = 0
        self._dependencies = ChatDependencies(
            settings=Settings(**settings),
            response=self.responses,
            consumers=(self.memories,),
            forgetful=(self.memories,),
            outbox=Outbox(self.runtime.publish, self.clock, 5.0),
            bell=self.bell,
            new_turn_id=self._new_turn_id,
            request_summary=lambda conversation, request: self.summary_requests.append(
                (conversation, request)
            ),
            counters=self.counters,
        )
        self.chat = self.activate()

    def activate(self) -> ChatAgent:
        """A fresh activation, as after a crash or an idle time."""
        context = a_context(ChatAgent, self.client, lambda ctx, id_: self.activate())
        chat = ChatAgent(context, ActorId("ada"), self.host, self._dependencies)
        self.chat = self.host.activations.record(chat)
        return self.chat

    def _new_turn_id(self) -> str:
        self._numbers += 1
        return f"new {self._numbers}"

    @property
    def head(self) -> Head:
        """As it is saved."""
        data = self.client.state[ADA].get("head")
        return read(data, Head) if data else Head()

    @property
    def armed(self) -> bool:
        """Whether the recovery reminder is registered."""
        return (*ADA, SETTLE) in self.client.reminders

    @property
    def saves(self) -> int:
        return len(self.client.did("save"))

    @property
    def statuses(self) -> list[str]:
        """How the turns ended that the head records."""
        return [record.status for record in self.head.recent]

    @property
    def said(self) -> list[str]:
        """The messages in the head's open segment."""
        return [pair.input.content for pair in self.head.tail]

    @property
    def waiting(self) -> list[str]:
        """The messages in the queue."""
        return [queued.turn.message.content for queued in self.head.queue]

    @property
    def tries(self) -> list[int]:
        """How often each turn of the queue was started."""
        return [queued.tries for queued in self.head.queue]

    @property
    def starts(self) -> list[bool]:
        """Whether each request to ResponseAgent was to start a turn, or to look for it."""
        return [request.start for request in self.responses.asked]

    async def process(self, turn: Turn | Message, wait: float = 1.5) -> Any:
        """A turn: its state, or the error it returned."""
        request = ProcessTurn(turn, wait) if isinstance(turn, Turn) else turn
        answer: object = await self.chat.process_message(request)
        return answer.error if isinstance(answer, Failure) else answer

    async def say(self, *contents: str) -> None:
        """Quick turns, one after another."""
        for content in contents:
            await self.answered(content)

    async def turns(self, number: int) -> None:
        """So many quick turns: m0, m1 and so on."""
        await self.say(*(f"m{each}" for each in range(number)))

    def crash(self) -> None:
        """The process is gone, and with it the model's call: nobody knows the turn that ran."""
        self.activate()
        self.responses.will(ResponseState("unknown"))

    async def answered(self, content: str, *, key: str = "", reply: str = "") -> TurnState:
        """A quick turn."""
        self.responses.will(reply or f"re {content}")
        state: TurnState = await self.process(a_turn(content, key=key))
        assert state.status == "done", state
        return state

    async def parked(self, *contents: str) -> None:
        """Turns of which the first runs and the others wait."""
        for content in contents:
            state = await self.process(a_turn(content))
            assert state.status in {"running", "queued"}, state

    async def complete(self, content: str, outcome: Outcome) -> None:
        """The model's end of a parked turn."""
        await self.chat.complete_turn(CompleteTurn(f"turn of {content}", outcome))

    async def adopt(self, content: str, user: str = "ada") -> Any:
        """A turn that another service has answered: its state, or the error it returned."""
        adopted = AdoptTurn(a_turn(content, user=user), Reply(f"re {content}", "theirs"))
        answer: object = await self.chat.adopt_turn(adopted)
        return answer.error if isinstance(answer, Failure) else answer

    async def forget(self, user: str = "ada", *, close: bool = False) -> Any:
        """Its user is forgotten: the high-water mark, or the error it returned."""
        answer: object = await self.chat.forget(ForgetConversation(user, close))
        return answer.error if isinstance(answer, Failure) else answer

    async def settle(self, upto: int | None = None) -> object:
        """The tick, called: whether what was cleared is erased, or the error it returned."""
        seq = self.head.start if upto is None else upto
        return await self.chat.settle(HighWaterMark(self.chat.conversation, seq))

    async def expire(self) -> object:
        """The reminder fires that clears an idle conversation."""
        answer: object = await self._remind(EXPIRE, b"", self.zero, self.zero)
        return answer

    async def count(self) -> None:
        """The timer fires that logs the number of messages, as it was registered."""
        timer = self.client.timers.pop((*ADA, COUNT))
        await getattr(self.chat, timer["callback"])(timer["data"])

    @property
    def counting(self) -> bool:
        """Whether that timer is registered."""
        return (*ADA, COUNT) in self.client.timers

    @property
    def expires_in(self) -> str | None:
        """When the reminder that clears an idle conversation is due, in Dapr's notation."""
        reminder = self.client.reminders.get((*ADA, EXPIRE))
        return None if reminder is None else str(reminder["dueTime"])

    async def tick(self) -> object:
        """The recovery reminder fires."""
        answer: object = await self._remind(SETTLE, b"", self.zero, self.zero)
        return answer

    @property
    def _remind(self) -> Callable[..., Awaitable[object]]:
        return self.chat.receive_reminder

    @property
    def zero(self) -> Any:
        return None

    def remembers(self, seq: int) -> None:
        """From now on memory's mark is that number."""
        self.memories.marks["ada", "ada"] = seq

    def allow_follow_ups(self) -> None:
        """From now on actors may be called back."""
        self._dependencies = replace(self._dependencies, may_follow_up=True)
        self.activate()

    async def follow_up(self, content: str) -> Any:
        """A turn that is followed up: where both are, or the error it returned."""
        request = ProcessTurn(a_turn(content), 1.5)
        answer: object = await self.chat.ask_follow_up(request)
        return answer.error if isinstance(answer, Failure) else answer

    def another_consumer(self) -> FakeMemories:
        """From now on there is one more, whose marks are its own."""
        added = FakeMemories()
        consumers = (*self._dependencies.consumers, added)
        self._dependencies = replace(self._dependencies, consumers=consumers)
        self.activate()
        return added

    def published(self) -> list[int]:
        """The numbers of the events, in order."""
        return [event.data["seq"] for event in self.runtime.published]


def problem(found: object) -> Problem:
    """The result is an error."""
    assert isinstance(found, Problem), found
    return found


def segment(talk: Talk, number: int) -> Any:
    """A stored segment as JSON, or None."""
    return talk.client.value(ADA, slots.segment(number))
