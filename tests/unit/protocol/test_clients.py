"""Typed clients of our actors."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from agent_actors.errors import (
    AgentError,
    Busy,
    Defect,
    Invalid,
    ModelFailed,
    TryLater,
    Unavailable,
)
from agent_actors.protocol.clients import (
    AnalyticsClient,
    ChatClient,
    DeadLetterClient,
    MemoryClient,
    ProxyFactory,
    ResponseClient,
    SessionClient,
    returned,
)
from agent_actors.protocol.codec import adapter, encode
from agent_actors.protocol.dead_letters import Envelope, ForgetDeadLetter, KeepDeadLetter
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.messages import (
    AdoptTurn,
    CompleteTurn,
    ConversationSummary,
    EventResult,
    Failure,
    ForgetConversation,
    ForgetUser,
    HighWaterMark,
    MemorySnapshot,
    Message,
    Person,
    Problem,
    ProcessTurn,
    Reply,
    ResponseRequest,
    ResponseState,
    Sessions,
    TurnState,
    UserSummary,
)
from tests.fakes import FakeActorClient, a_turn

SAID = Message("user", "10m")
ADA = Person("Ada", "formal", "Ada counts.")


DONE = TurnState("t", "done", Reply("hi"))
MARK = HighWaterMark("session:x", 3)
PAGE = Sessions(("a",), 1)
EVENT = TurnEvent("session:x", "e", SAID, SAID, 1)
ASKED = ResponseRequest("ada", "t", "ada", 1, SAID, (), True, 1.5)
FAILED = ResponseState("done", Failure(Problem(502, "t", "d")))
LETTER = KeepDeadLetter("news", "why", 1, Envelope.of(b"{}"))
CHAT, SESSION = ("ChatAgent", "session:x"), ("UserSessionActor", "ada")
MEMORY, ANALYTICS = ("MemoryAgentActor", "memory-ada"), ("AnalyticsActor", "ada")
RESPONSE, LETTERS = ("ResponseAgent", "response-ada"), ("DeadLetterActor", "user-chat")
CALLS: list[tuple[Any, tuple[str, str], str, bytes, Callable[[Any], Any], object]] = [
    (ChatClient, CHAT, "ProcessMessage", encode(DONE),
     lambda chat: chat.process("session:x", ProcessTurn(a_turn(), 1.5)), DONE),
    (ChatClient, CHAT, "AdoptTurn", encode(DONE),
     lambda chat: chat.adopt("session:x", AdoptTurn(a_turn("hi"), Reply("yes"))), DONE),
    (ChatClient, CHAT, "CompleteTurn", b"null",
     lambda chat: chat.complete("session:x", CompleteTurn("t", Reply("x"))), None),
    (ChatClient, CHAT, "ClearHistory", b"", lambda chat: chat.clear("session:x"), None),
    (ChatClient, CHAT, "SumUp", b"null",
     lambda chat: chat.sum_up("session:x", ConversationSummary(0, 4, "They greeted.")), None),
    (ChatClient, CHAT, "Forget", encode(MARK),
     lambda chat: chat.forget("session:x", ForgetConversation("ada", close=True)), MARK),
    (ChatClient, CHAT, "Settle", b"true", lambda chat: chat.settle(MARK), True),
    (ResponseClient, RESPONSE, "ProcessMessage", encode(ResponseState("done", Reply("hi"))),
     lambda response: response.process(ASKED), ResponseState("done", Reply("hi"))),
    (ResponseClient, RESPONSE, "ProcessMessage", encode(FAILED),
     lambda response: response.process(ASKED), FAILED),
    (MemoryClient, MEMORY, "Recall", encode(MemorySnapshot((SAID,), ADA)),
     lambda memory: memory.recall("ada"), MemorySnapshot((SAID,), ADA)),
    (MemoryClient, MEMORY, "GetMark", b"7", lambda memory: memory.mark("ada", "session:x"), 7),
    (MemoryClient, MEMORY, "UpdateMemory", encode(EventResult("gap")),
     lambda memory: memory.remember("ada", EVENT), EventResult("gap")),
    (MemoryClient, MEMORY, "Initialize", b"null",
     lambda memory: memory.initialize("ada", ADA), None),
    (MemoryClient, MEMORY, "KeepSummary", b"null",
     lambda memory: memory.keep_summary("ada", UserSummary(1, "counts")), None),
    (MemoryClient, MEMORY, "Forget", b"null",
     lambda memory: memory.forget("ada", ForgetUser((MARK,), 1.5)), None),
    (SessionClient, SESSION, "AddExchanges", b'["e"]',
     lambda sessions: sessions.apply("ada", [EVENT]), ("e",)),
    (SessionClient, SESSION, "GetMark", b"7", lambda sessions: sessions.mark("ada", "ada"), 7),
    (SessionClient, SESSION, "ClosedSessions", encode(PAGE),
     lambda sessions: sessions.closed("ada"), PAGE),
    (SessionClient, SESSION, "ClearHistory", b"null", lambda sessions: sessions.clear("ada"), None),
    (SessionClient, SESSION, "SetPreferences", b"null",
     lambda sessions: sessions.set_preferences("ada", {"style": "brief"}), None),
    (SessionClient, SESSION, "OpenSession", b"null",
     lambda sessions: sessions.open("ada", "a"), None),
    (SessionClient, SESSION, "CloseSessions", b"null",
     lambda sessions: sessions.close_all("ada"), None),
    (SessionClient, SESSION, "DropSessions", b"null",
     lambda sessions: sessions.drop("ada", PAGE), None),
    (AnalyticsClient, ANALYTICS, "CountTurns", b"[]",
     lambda analytics: analytics.apply("ada", [EVENT]), ()),
    (AnalyticsClient, ANALYTICS, "GetMark", b"7",
     lambda analytics: analytics.mark("ada", "ada"), 7),
    (AnalyticsClient, ANALYTICS, "Initialize", b"null",
     lambda analytics: analytics.initialize("ada", 3), None),
    (DeadLetterClient, LETTERS, "Keep", b'"id"', lambda letters: letters.keep(LETTER), "id"),
    (DeadLetterClient, LETTERS, "Forget", b"null",
     lambda letters: letters.forget(ForgetDeadLetter("id", 0)), None),
]  # fmt: skip
"""Each call of a client: whom it reaches, by which method, and what its answer is read as."""


@pytest.mark.parametrize(
    ("kind", "actor", "method", "answer", "call", "value"),
    CALLS,
    ids=[f"{kind.__name__}.{method}" for kind, _, method, *_ in CALLS],
)
async def test_a_call_reaches_its_actor(
    kind: Any,
    actor: tuple[str, str],
    method: str,
    answer: bytes,
    call: Callable[[Any], Any],
    value: object,
):
    """Type, id and method are as on the wire; null and nothing at all are both nothing."""
    client = FakeActorClient()
    client.answers = {method: answer}

    assert await call(kind(ProxyFactory(client))) == value
    assert client.log == [("invoke", *actor, method)]


@pytest.mark.parametrize(
    "error", [Busy("b"), Unavailable("u", turn_id="t"), Invalid("i"), ModelFailed("m")]
)
def test_a_returned_error_is_raised(error: AgentError):
    """With status, title, text and advice; what passes by itself is told apart."""
    answer = encode(Failure(Problem.of(error)))

    with pytest.raises(AgentError) as caught:
        returned(answer, adapter(int))

    raised = caught.value
    assert (raised.status, raised.title, raised.detail) == (error.status, error.title, error.detail)
    assert (raised.retry, raised.turn_id) == (error.retry, error.turn_id)
    assert isinstance(raised, TryLater) == isinstance(error, TryLater)


def test_a_turn_that_failed_is_no_error_of_the_call():
    """A state with an error in it is a value."""
    state = TurnState("t", "failed", error=Problem(502, "t", "d"))

    assert returned(encode(state), adapter(TurnState)) == state


def test_text_is_what_it_was():
    """Nothing on the way reads durations or dates into it."""
    answer = json.dumps([{"role": "user", "content": "10m"}]).encode()

    assert returned(answer, adapter(tuple[Message, ...])) == (SAID,)


@pytest.mark.parametrize(
    "answer", [b'{"said":"a secret"}', b'"a secret"', b'{"error":"a secret"}', b"{"]
)
def test_an_answer_of_another_form_is_a_defect(answer: bytes):
    """Another release, or another app's actor, has answered; the error does not repeat it (I13)."""
    with pytest.raises(Defect) as caught:
        returned(answer, adapter(TurnState))

    assert "secret" not in repr(caught.value)
    assert caught.value.__suppress_context__
