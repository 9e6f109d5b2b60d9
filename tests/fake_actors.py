"""Actors as their callers see them."""

import asyncio
from dataclasses import dataclass, field

from agent_actors.errors import NotFound
from agent_actors.protocol.clients import ChatClient, MemoryClient, ResponseClient
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.messages import (
    CompleteTurn,
    EventResult,
    MemorySnapshot,
    Message,
    Outcome,
    Person,
    ProcessTurn,
    Reply,
    ResponseRequest,
    ResponseState,
    TurnState,
)


@dataclass
class FakeResponses(ResponseClient):
    """ResponseAgent as ChatAgent sees it: answers from a list, then *running*."""

    answers: list[ResponseState | BaseException] = field(default_factory=list)
    asked: list[ResponseRequest] = field(default_factory=list)

    async def process(self, request: ResponseRequest) -> ResponseState:
        self.asked.append(request)
        answer = self.answers.pop(0) if self.answers else ResponseState("running")
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def will(self, *answers: "str | Outcome | ResponseState | BaseException") -> None:
        """The next answers: a text is a finished reply."""
        for answer in answers:
            self.answers.append(_responding(answer))


def _responding(
    answer: "str | Outcome | ResponseState | BaseException",
) -> ResponseState | BaseException:
    if isinstance(answer, str):
        return ResponseState("done", Reply(answer))
    if isinstance(answer, ResponseState | BaseException):
        return answer
    return ResponseState("done", answer)


@dataclass
class FakeMemories(MemoryClient):
    """MemoryAgentActor as others see it."""

    entries: tuple[Message, ...] = ()
    marks: dict[tuple[str, str], int] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    result: EventResult | BaseException = field(default_factory=lambda: EventResult("applied"))
    events: list[tuple[str, TurnEvent]] = field(default_factory=list)
    forgot: list[tuple[str, str, int]] = field(default_factory=list)
    """User, conversation, and up to which turn."""
    error: BaseException | None = None
    """What recollections and requests for a mark raise, if anything."""
    gate: asyncio.Event | None = None
    """What recollections wait for, if anything."""

    async def forget_conversation(self, user: str, conversation: str, upto: int) -> None:
        self.forgot.append((user, conversation, upto))

    async def recall(self, user: str) -> MemorySnapshot:
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return MemorySnapshot(self.entries, Person.new(user))

    async def mark(self, user: str, conversation: str) -> int:
        self.asked.append((user, conversation))
        if self.error is not None:
            raise self.error
        return self.marks.get((user, conversation), 0)

    async def remember(self, user: str, event: TurnEvent) -> EventResult:
        self.events.append((user, event))
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


@dataclass
class FakeChats(ChatClient):
    """ChatAgent as routes see it."""

    result: TurnState | BaseException | None = None
    errors: list[BaseException] = field(default_factory=list)
    """What the first calls raise."""
    gate: asyncio.Event | None = None
    asked: list[ProcessTurn] = field(default_factory=list)
    ended: list[CompleteTurn] = field(default_factory=list)

    async def process(self, conversation: str, request: ProcessTurn) -> TurnState:
        self.asked.append(request)
        if self.gate is not None:
            await self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result or TurnState(request.turn.turn_id, "running")


@dataclass
class FakeSaved:
    """Turns as they are saved: one state after another, the last for ever."""

    states: list[TurnState | BaseException] = field(default_factory=list)
    looks: int = 0

    async def turn(self, conversation: str, turn_id: str) -> TurnState:
        self.looks += 1
        if not self.states:
            raise NotFound("There is no such turn.")
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, BaseException):
            raise state
        return state
