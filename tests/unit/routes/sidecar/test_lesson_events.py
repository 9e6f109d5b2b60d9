"""`/conversations` and `/messages`: events of other services."""

from collections.abc import Callable
from typing import Any

import pytest

from agent_actors.errors import Invalid, Unavailable
from agent_actors.protocol import wire
from tests.conftest import Serve
from tests.fakes import FakeRuntime, HeldModel, QuickModel, eventually
from tests.unit.routes.sidecar.lessons import (
    AT_ONCE,
    LONG_AGO,
    as_text,
    becomes,
    conversation,
    got,
    letters,
    message,
    post,
    publish,
    remembered,
    replied,
    texts,
    wrapped,
)

SAID = ["Hello", "Hi Junaid!"]
Form = Callable[[dict[str, Any], str], dict[str, Any]]


def bare(data: dict[str, Any], event_id: str) -> dict[str, Any]:
    """As the lesson's own test posts it; with an id it can be recognised."""
    return data | {"event_id": event_id}


def wrapped_text(data: dict[str, Any], event_id: str) -> dict[str, Any]:
    """A CloudEvent whose data is text."""
    return as_text(wrapped(data, event_id))


FORMS: list[Form] = [bare, wrapped, wrapped_text]


@pytest.mark.parametrize("form", FORMS)
async def test_an_answered_turn_is_adopted(serve: Serve, form: Form):
    """It is in its session, in memory, in the analytics and among the last exchanges."""
    async with serve(**AT_ONCE) as served:
        assert await served.deliver(form(conversation(), "c"), "/conversations") == "SUCCESS"
        history = (await got(served, "/conversations/s1"))["history"]

        assert [(entry["role"], entry["content"]) for entry in history] == [
            ("user", "Hello"),
            ("assistant", "Hi Junaid!"),
        ]
        assert all(entry.keys() == {"role", "content", "timestamp"} for entry in history)
        await becomes(served, "/analytics/junaid", {"message_count": 1})
        last = {"message": "Hello", "reply": "Hi Junaid!"}
        await becomes(served, "/users/junaid/session", {"history": [last]})
        assert [entry["content"] for entry in await served.memory("junaid")] == SAID
        assert (await got(served, "/users/junaid/sessions"))["sessions"] == ["s1"]


async def test_an_adopted_turn_is_known_in_the_next(serve: Serve):
    """The user continues the session here, and memory has the messages."""
    model = QuickModel()
    async with serve(model=model) as served:
        await served.deliver(wrapped(conversation()), "/conversations")
        await remembered(served, "junaid", "s1", 1)
        await replied(served, "junaid", "And here?")
        await replied(served, "junaid", "And now?", "s1")
        other, same = model.prompts

        assert [entry.content for entry in other.memory] == SAID
        assert [each.input.content for each in same.window] == ["Hello"]
        assert await texts(served, "s1") == [*SAID, "And now?", "reply to And now?"]


@pytest.mark.parametrize("form", FORMS)
async def test_an_event_is_effective_once(serve: Serve, form: Form):
    """However often it comes, and in whatever form; it is recognised by its ids."""
    async with serve(**AT_ONCE) as served:
        for _ in range(3):
            assert await served.deliver(form(conversation(), "c"), "/conversations") == "SUCCESS"
            assert await served.deliver(form(message(), "m"), "/messages") == "SUCCESS"

        assert await texts(served, "s1") == SAID
        # Nothing ties the two together, as the lesson publishes them.
        await becomes(served, "/analytics/junaid", {"message_count": 2})


async def test_an_id_is_its_sources(serve: Serve):
    """Two services may give two events one id."""
    async with serve(**AT_ONCE) as served:
        for source in ("one", "two", "one"):
            event = wrapped(message(), source=source)
            assert await served.deliver(event, "/messages") == "SUCCESS"

        assert await got(served, "/analytics/junaid") == {"message_count": 2}


async def test_an_event_without_an_id_counts_each_time(serve: Serve):
    """It cannot be recognised."""
    async with serve(**AT_ONCE) as served:
        for _ in range(3):
            assert await served.deliver(message(), "/messages") == "SUCCESS"
            assert await served.deliver(conversation(), "/conversations") == "SUCCESS"

        assert await texts(served, "s1") == SAID * 3
        await becomes(served, "/analytics/junaid", {"message_count": 6})


@pytest.mark.parametrize("first", ["/messages", "/conversations"])
async def test_a_turn_on_both_topics_counts_once(serve: Serve, first: str):
    """Its id connects the two, whichever comes first, and however often."""
    events = {
        "/messages": wrapped(message(turn_id="t1"), "m"),
        "/conversations": wrapped(
            conversation(turn_id="t1", model="gemini", usage={"input_tokens": 3}), "c"
        ),
    }
    (second,) = events.keys() - {first}
    used = {"messages": 1, "input_tokens": 3, "output_tokens": 0}
    numbers = {"message_count": 1, "input_tokens": 3, "output_tokens": 0}
    async with serve(**AT_ONCE) as served:
        for path in (first, second, first, second):
            assert await served.deliver(events[path], path) == "SUCCESS"
            if path == "/conversations":
                await becomes(
                    served, "/analytics/junaid/usage", numbers | {"models": {"gemini": used}}
                )

        assert await texts(served, "s1") == SAID
        assert (await served.http.get("/conversations/s1/turns/t1")).json() == {
            "turn_id": "t1",
            "status": "done",
            "response": {"role": "assistant", "content": "Hi Junaid!"},
        }


async def test_a_turn_of_ours_is_not_adopted(serve: Serve):
    """It waits for its own answer, and ends once."""
    model = HeldModel()
    async with serve(model=model) as served:
        asked = await post(served, "junaid", "Hello", "s1", prefer="respond-async")
        turn_id = asked.json()["turn_id"]
        event = wrapped(conversation(turn_id=turn_id))

        assert await served.deliver(event, "/conversations") == "SUCCESS"
        assert await texts(served, "s1") == []

        model.free.set()

        async def answered() -> bool:
            return await texts(served, "s1") == ["Hello", "reply to Hello"]

        await eventually(answered)
        assert await served.deliver(event, "/conversations") == "SUCCESS"
        assert len(await texts(served, "s1")) == 2


NO_OBJECT: list[Any] = [b"", b"{", b"[]", b"7", b"null", b"\xff", b'{"a":"\\ud83d"}', {}]
NO_EVENT: list[Any] = [
    wrapped(None),
    wrapped(7),
    wrapped([]),
    wrapped("no json"),
    wrapped("[]"),
    wrapped({}),
    *({"specversion": "1.0", "data": each} for each in (message(), conversation())),
]
NO_CONVERSATION: list[Any] = [
    {"data": conversation()},
    wrapped(message()),
    *(wrapped(conversation(**{name: None})) for name in conversation()),
    *(wrapped(conversation(**{name: 7})) for name in conversation()),
    *(wrapped(conversation(**{name: ""})) for name in conversation()),
    wrapped(conversation(user_id="session:1")),
    wrapped(conversation(user_id="../x")),
    wrapped(conversation(session_id="session:1")),
    wrapped(conversation(session_id="x" * 129)),
    wrapped(conversation(user_message=" \n")),
    wrapped(conversation(user_message="x" * 65_537)),
    wrapped(conversation(assistant_reply=" \n")),
    wrapped(conversation(assistant_reply="x" * (1024 * 1024 + 1))),
    wrapped(conversation(turn_id="")),
    wrapped(conversation(turn_id="a b")),
    wrapped(conversation(turn_id="x" * 65)),
    wrapped(conversation(usage={"input_tokens": -1})),
    wrapped(conversation(model="x" * 129)),
]
NO_MESSAGE: list[Any] = [
    wrapped(conversation()),
    wrapped(message(event_type="Other")),
    *(wrapped(message(user_id=each)) for each in (None, 7, "", "a b", "session:1")),
    wrapped(message(turn_id=7)),
    wrapped(message(turn_id="a\n")),
]


@pytest.mark.parametrize(
    ("path", "events"),
    [
        ("/conversations", NO_OBJECT + NO_EVENT + NO_CONVERSATION),
        ("/messages", NO_OBJECT + NO_EVENT + NO_MESSAGE),
    ],
)
async def test_junk_is_dropped(serve: Serve, path: str, events: list[Any]):
    """What can never work is DROP, and no actor of anybody is made."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime) as served:
        for event in events:
            assert await served.deliver(event, path) == "DROP", event

        assert not [actor for actor, state in runtime.client.state.items() if state]


async def test_the_longest_answer_is_taken(serve: Serve):
    """A mebibyte from another service, through the route as through the runtime."""
    async with serve() as served:
        event = wrapped(conversation(assistant_reply="x" * 1024 * 1024))

        assert await served.deliver(event, "/conversations") == "SUCCESS"
        assert len((await texts(served, "s1"))[1]) == 1024 * 1024


@pytest.mark.parametrize(
    ("step", "error", "verdict"),
    [
        ("invoke", Unavailable("away"), "RETRY"),
        ("get", Unavailable("away"), "RETRY"),
        ("register", Unavailable("away"), "RETRY"),
        ("save", Unavailable("away"), "RETRY"),
        ("save", RuntimeError("a bug"), "RETRY"),
        ("save", Invalid("no"), "DROP"),
    ],
)
async def test_a_part_that_is_away_asks_for_the_turn_again(
    serve: Serve, step: str, error: Exception, verdict: str
):
    """It is not acknowledged; delivered again, it is applied once."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime) as served:
        for _ in range(2):  # The first of them on the way to the session, then to the turn.
            runtime.client.fail(step, error)
            assert await served.deliver(wrapped(conversation()), "/conversations") == verdict
            assert await texts(served, "s1") == []
            await served.services.actors.sessions.open("junaid", "s1")

        assert await served.deliver(wrapped(conversation()), "/conversations") == "SUCCESS"
        assert await texts(served, "s1") == SAID


async def test_a_save_that_worked_all_the_same_is_not_done_twice(serve: Serve):
    """The turn was committed when its acknowledgement was lost."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime) as served:
        await served.services.actors.sessions.open("junaid", "s1")
        runtime.client.fail("save", Unavailable("away"), after=True)

        assert await served.deliver(wrapped(conversation()), "/conversations") == "RETRY"
        assert await served.deliver(wrapped(conversation()), "/conversations") == "SUCCESS"
        assert await texts(served, "s1") == SAID


@pytest.mark.parametrize(
    ("step", "error", "verdict"),
    [
        ("invoke", Unavailable("away"), "RETRY"),
        ("get", Unavailable("away"), "RETRY"),
        ("save", Unavailable("away"), "RETRY"),
        ("save", RuntimeError("a bug"), "RETRY"),
        ("save", Invalid("no"), "DROP"),
    ],
)
async def test_a_part_that_is_away_asks_for_the_message_again(
    serve: Serve, step: str, error: Exception, verdict: str
):
    """RETRY, then counted once."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime) as served:
        runtime.client.fail(step, error)

        assert await served.deliver(wrapped(message()), "/messages") == verdict
        assert await served.deliver(wrapped(message()), "/messages") == "SUCCESS"
        assert await served.deliver(wrapped(message()), "/messages") == "SUCCESS"
        assert await got(served, "/analytics/junaid") == {"message_count": 1}


async def test_another_users_session_is_refused(serve: Serve):
    """DROP; the session, and the other user, stay as they are."""
    async with serve(model=QuickModel()) as served:
        await replied(served, "ada", "mine", "s1")

        assert await served.deliver(wrapped(conversation()), "/conversations") == "DROP"
        assert await texts(served, "s1") == ["mine", "reply to mine"]
        assert (await got(served, "/users/junaid/sessions"))["sessions"] == []
        assert await served.memory("junaid") == []


async def test_what_is_dropped_is_a_dead_letter(serve: Serve):
    """Published by another service, delivered, dropped, kept; requeued it fails again: 409."""
    async with serve() as served:
        await publish(served, wire.CONVERSATIONS, {"nobody": "here"}, "c")
        await publish(served, wire.MESSAGES, {"nobody": "here"}, "m")

        async def kept() -> bool:
            return len(await letters(served)) == 2

        await eventually(kept)
        for letter in await letters(served):
            event_id = {wire.CONVERSATIONS: "c", wire.MESSAGES: "m"}[letter["topic"]]
            assert letter["event"]["id"] == event_id
            answer = await served.http.post(f"/events/dead/{letter['id']}/requeue")
            assert answer.status_code == 409
        assert len(await letters(served)) == 2


@pytest.mark.parametrize(
    ("path", "event"), [("/conversations", conversation()), ("/messages", message())]
)
async def test_what_was_given_up_is_kept_and_can_be_sent_again(
    serve: Serve, path: str, event: dict[str, Any]
):
    """By the route that takes its topic; then it is no dead letter any more."""
    async with serve(**AT_ONCE) as served:
        topic = path.removeprefix("/")
        assert await served.deliver(wrapped(event, topic=topic), f"{path}/dead") == "SUCCESS"
        (letter,) = await letters(served)
        assert (letter["topic"], letter["event"]["data"]) == (topic, event)
        answer = await served.http.post(f"/events/dead/{letter['id']}/requeue")

        assert (answer.status_code, answer.json()) == (200, {"status": "SUCCESS"})
        assert await letters(served) == []
        await becomes(served, "/analytics/junaid", {"message_count": 1})


async def test_messages_are_not_logged(serve: Serve, caplog: pytest.LogCaptureFixture):
    """Neither those of dropped events nor those of applied ones."""
    async with serve() as served:
        for changes in ({}, {"assistant_reply": None}, {"session_id": "a secret"}, {"usage": 1}):
            event = wrapped(conversation(user_message="a secret") | changes)
            await served.deliver(event, "/conversations")
        event = wrapped(conversation(user_message="a secret", user_id="eve"), "e2")
        assert await served.deliver(event, "/conversations") == "DROP"

    assert "secret" not in caplog.text
    assert len([record for record in caplog.records if "service" in record.message]) == 4


@pytest.mark.parametrize("time", [None, "", "yesterday", 7, "9999-99-99", LONG_AGO])
async def test_the_time_of_an_event_may_be_anything(serve: Serve, time: Any):
    """It only matters for a user who was deleted since."""
    async with serve() as served:
        event = wrapped(conversation(), time=time)

        assert await served.deliver(event, "/conversations") == "SUCCESS"
        assert await texts(served, "s1") == SAID
