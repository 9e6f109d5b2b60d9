"""Typed clients of our actors."""

import json

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


@pytest.fixture
def client() -> FakeActorClient:
    return FakeActorClient()


@pytest.fixture
def factory(client: FakeActorClient) -> ProxyFactory:
    return ProxyFactory(client)


async def test_a_turn_goes_to_its_conversation(client: FakeActorClient, factory: ProxyFactory):
    """Type, id and method as on the wire; the answer as a value."""
    state = TurnState("t", "done", Reply("hi"))
    client.answers["ProcessMessage"] = encode(state)

    assert await ChatClient(factory).process("ada", ProcessTurn(a_turn(), 1.5)) == state
    assert client.log == [("invoke", "ChatAgent", "ada", "ProcessMessage")]


async def test_a_call_may_return_nothing(client: FakeActorClient, factory: ProxyFactory):
    """Null and nothing at all are both nothing."""
    for answer in (b"null", b""):
        client.answers = {"CompleteTurn": answer, "ClearHistory": answer}
        await ChatClient(factory).complete("ada", CompleteTurn("t", Reply("x")))
        await ChatClient(factory).clear("ada")

    assert [entry[3] for entry in client.log] == ["CompleteTurn", "ClearHistory"] * 2


async def test_a_response_is_asked_for_by_its_conversation(
    client: FakeActorClient, factory: ProxyFactory
):
    """The helper's id is derived here and nowhere else; an outcome is one of two kinds."""
    request = ResponseRequest("ada", "t", "ada", 1, SAID, (), True, 1.5)
    for outcome in (Reply("hi"), Failure(Problem(502, "t", "d"))):
        client.answers["ProcessMessage"] = encode(ResponseState("done", outcome))

        assert (await ResponseClient(factory).process(request)).outcome == outcome
    assert client.log[0] == ("invoke", "ResponseAgent", "response-ada", "ProcessMessage")


async def test_memory_is_the_users(client: FakeActorClient, factory: ProxyFactory):
    """Entries, mark and events go to the memory of that user."""
    client.answers = {
        "Recall": encode(MemorySnapshot((SAID,), ADA)),
        "GetMark": b"7",
        "UpdateMemory": encode(EventResult("gap")),
    }
    memory = MemoryClient(factory)
    event = TurnEvent("session:x", "e", SAID, SAID, 1)

    assert await memory.recall("ada") == MemorySnapshot((SAID,), ADA)
    assert await memory.mark("ada", "session:x") == 7
    assert await memory.remember("ada", event) == EventResult("gap")
    assert {entry[2] for entry in client.log} == {"memory-ada"}


async def test_who_a_user_is_goes_to_the_users_memory(
    client: FakeActorClient, factory: ProxyFactory
):
    """And so do summaries, and the word that the user is forgotten."""
    client.answers = dict.fromkeys(("Initialize", "KeepSummary", "Forget"), b"null")
    memory = MemoryClient(factory)
    await memory.initialize("ada", ADA)
    await memory.keep_summary("ada", UserSummary(1, "counts"))
    await memory.forget("ada", ForgetUser((HighWaterMark("ada", 1),), 1.5))

    assert [entry[1:] for entry in client.log] == [
        ("MemoryAgentActor", "memory-ada", method)
        for method in ("Initialize", "KeepSummary", "Forget")
    ]


async def test_sessions_are_the_users(client: FakeActorClient, factory: ProxyFactory):
    """Exchanges, preferences and the list of sessions, page by page."""
    page = Sessions(("a",), 1)
    client.answers = {
        "AddExchanges": b'["e"]',
        "GetMark": b"7",
        "ClosedSessions": encode(page),
        **dict.fromkeys(
            ("ClearHistory", "SetPreferences", "OpenSession", "CloseSessions", "DropSessions"),
            b"null",
        ),
    }
    sessions = SessionClient(factory)

    assert await sessions.apply("ada", [TurnEvent("ada", "e", SAID, SAID, 9)]) == ("e",)
    assert await sessions.mark("ada", "ada") == 7
    assert await sessions.closed("ada") == page
    await sessions.clear("ada")
    await sessions.set_preferences("ada", {"style": "brief"})
    await sessions.open("ada", "a")
    await sessions.close_all("ada")
    await sessions.drop("ada", page)
    assert {entry[1:3] for entry in client.log} == {("UserSessionActor", "ada")}


async def test_analytics_are_the_users(client: FakeActorClient, factory: ProxyFactory):
    """Turns, marks, and a number that somebody sets."""
    client.answers = {"CountTurns": b"[]", "GetMark": b"7", "Initialize": b"null"}
    analytics = AnalyticsClient(factory)

    assert await analytics.apply("ada", [TurnEvent("ada", "e", SAID, SAID, 1)]) == ()
    assert await analytics.mark("ada", "ada") == 7
    await analytics.initialize("ada", 3)
    assert {entry[1:3] for entry in client.log} == {("AnalyticsActor", "ada")}


async def test_what_else_a_conversation_is_told(client: FakeActorClient, factory: ProxyFactory):
    """Turns of other services, summaries, and that its user is forgotten."""
    adopted = TurnState("turn of hi", "done", Reply("yes"))
    client.answers = {
        "AdoptTurn": encode(adopted),
        "SumUp": b"null",
        "Forget": encode(HighWaterMark("session:x", 3)),
        "Settle": b"true",
    }
    chat = ChatClient(factory)

    assert await chat.adopt("session:x", AdoptTurn(a_turn("hi"), Reply("yes"))) == adopted
    await chat.sum_up("session:x", ConversationSummary(0, 4, "They greeted."))
    forgotten = await chat.forget("session:x", ForgetConversation("ada", close=True))
    assert forgotten == HighWaterMark("session:x", 3)
    assert await chat.settle(forgotten) is True
    assert {entry[1:3] for entry in client.log} == {("ChatAgent", "session:x")}


async def test_letters_go_to_their_one_place(client: FakeActorClient, factory: ProxyFactory):
    """Whatever their topic, they are kept and forgotten by the same actor."""
    client.answers = {"Keep": b'"id"', "Forget": b"null"}
    letters = DeadLetterClient(factory)

    assert await letters.keep(KeepDeadLetter("news", "why", 1, Envelope.of(b"{}"))) == "id"
    await letters.forget(ForgetDeadLetter("id", 0))
    assert client.log == [
        ("invoke", "DeadLetterActor", "user-chat", "Keep"),
        ("invoke", "DeadLetterActor", "user-chat", "Forget"),
    ]


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
