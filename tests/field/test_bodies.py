"""Bodies of the public routes: members that are not known, and members that are null."""

import json
from typing import Any

import pytest

from agent_actors.protocol.events import TurnEvent, turn_payload
from agent_actors.protocol.messages import Message
from tests.conftest import Serve, Served
from tests.fakes import QuickModel
from tests.unit.routes.edge.test_problems import BODIES, a_problem, fill
from tests.unit.routes.sidecar.lessons import (
    AT_ONCE,
    becomes,
    conversation,
    got,
    message,
    send,
    texts,
    wrapped,
)

USER = {"user_id": "ada", "text": "hi"}
CHAT = {"role": "user", "content": "hi"}
HELLO, REPLY = Message("user", "a"), Message("assistant", "b")
SPOKEN = {
    "actor_id": "junaid",
    "input": {"role": "user", "content": "a"},
    "output": {"role": "assistant", "content": "b"},
}
PREFERENCES = "/users/{user_id}/preferences"
MISPLACED: list[tuple[str, dict[str, Any], str, str]] = [
    # A member that was ignored without a word: quipucords/quipucords#205, omgnetwork/ewallet#823.
    ("/chat/", {"session_id": "s1"}, "session_id", "metadata.session_id"),
    ("/chat/", {"sessionId": "s1"}, "sessionId", "metadata.session_id"),
    ("/chat/", {"thread_id": "s1"}, "thread_id", "metadata.session_id"),
    ("/chat/", {"stream": True}, "stream", "header Prefer"),
    ("/chat/", {"idempotency_key": "k"}, "idempotency_key", "header Idempotency-Key"),
    ("/chat/", {"Idempotency-Key": "k"}, "Idempotency-Key", "header Idempotency-Key"),
    ("/chat/", {"role": "user"}, "role", "POST /chat/{actor_id}"),
    ("/chat/", {"content": "hi"}, "content", "text"),
    ("/chat/", {"token": "secret-1"}, "token", "header Authorization"),
    ("/chat/", {"metadata": {"sessionid": "s1"}}, "metadata.sessionid", "metadata.session_id"),
    ("/chat/", {"metadata": {"user_id": "eve"}}, "metadata.user_id", "user_id in the body"),
    ("/chat/{actor_id}", {"session_id": "s1"}, "session_id", "metadata.session_id"),
    ("/chat/{actor_id}", {"metadata": {"session_id": "s1"}}, "metadata", "POST /chat/"),
    ("/chat/{actor_id}", {"text": "hi"}, "text", "content"),
    ("/chat/{actor_id}", {"user_id": "eve"}, "user_id", "by the path"),
    ("/chat/{actor_id}", {"model": "gpt-5"}, "model", "AGENT_ACTORS_MODEL"),
    ("/chat/{actor_id}", {"wait": 5}, "wait", "header Prefer"),
    ("/chat/{actor_id}/follow-up", {"idempotencyKey": "k"}, "idempotencyKey", "Idempotency-Key"),
    ("/chat/{actor_id}/schedules", {"idempotency_key": "k"}, "idempotency_key", "header"),
    ("/memories/{user_id}/initialize", {"phone": "+14155550123"}, "phone", "preference"),
    ("/analytics/{user_id}/initialize", {"input_tokens": 7}, "input_tokens", "not known here"),
]
NAMES = ["x", "", " ", "content ", "héllo", "a" * 5_000, "\u0000", "\u2028", "half \ud83d", "0"]


@pytest.mark.parametrize(("path", "more", "field", "place"), MISPLACED)
async def test_a_member_elsewhere_is_told_its_place(
    serve: Serve, path: str, more: dict[str, Any], field: str, place: str
):
    """The answer is 422; it names the member and where it belongs, and never its value."""
    async with serve(model=QuickModel()) as served:
        answer = await served.http.post(fill(path, "ada"), json=BODIES[path] | more)

        problem = a_problem(answer, 422)
        (row,) = problem["errors"]
        assert row["field"] == field
        assert place in row["reason"]
        assert row["reason"] in problem["detail"]
        assert "secret-1" not in answer.text
        assert (await got(served, "/users/ada/sessions"))["sessions"] == []
        assert await served.history("ada") == {"history": []}


@pytest.mark.parametrize("path", [path for path in BODIES if path != PREFERENCES])
async def test_no_route_takes_a_member_that_it_does_not_know(serve: Serve, path: str):
    """Whatever its name is, the answer is a problem that can be read."""
    async with serve(model=QuickModel()) as served:
        for name in NAMES:
            body = BODIES[path] | {name: 1}
            answer = await send(served, "POST", fill(path, "ada"), body)
            a_problem(answer, 422)
            assert len(answer.content) < 1_000

        many = BODIES[path] | {f"x{number}": number for number in range(2_000)}
        answer = await send(served, "POST", fill(path, "ada"), many)
        assert len(a_problem(answer, 422)["errors"]) <= 32


async def test_the_document_says_that_there_is_nothing_more(serve: Serve):
    """Each body of a public route is a closed object in the OpenAPI document."""
    async with serve() as served:
        document = served.app.openapi()

    for path in BODIES:
        for operation in document["paths"][path].values():
            if "requestBody" in operation:
                (content,) = operation["requestBody"]["content"].values()
                name = content["schema"]["$ref"].rpartition("/")[2]
                schema = document["components"]["schemas"][name]
                assert schema["additionalProperties"] is False, name


@pytest.mark.parametrize(
    ("path", "event"),
    [
        ("/conversations", wrapped(conversation(session="x", tags=["a"]), partitionkey="p")),
        ("/messages", wrapped(message(session_id="s1", stream=True), subject="s", more={})),
        (
            "/subscribe",
            {
                "specversion": "1.0",
                "id": "e1",
                "more": 1,
                "data": {
                    "actor_id": "junaid",
                    "input": {"role": "user", "content": "a", "name": "Junaid"},
                    "output": {"role": "assistant", "content": "b", "refusal": None},
                    "session_id": "s1",
                },
            },
        ),
    ],
)
async def test_events_of_others_may_have_more(serve: Serve, path: str, event: dict[str, Any]):
    """Their producers add members, and nothing has to change here."""
    async with serve() as served:
        assert await served.deliver(event, path) == "SUCCESS"


async def test_a_record_may_have_more(serve: Serve):
    """What a producer writes to Kafka is open, too."""
    record = {"actor_id": "ada", "message": CHAT | {"lang": "en"}, "message_id": "m1", "trace": 1}
    async with serve(model=QuickModel()) as served:
        answer = await served.http.post(
            "/receive-message", content=json.dumps(record), headers=served.token
        )

        assert answer.json()["status"] == "Message processed"


async def test_an_answer_names_its_session_and_its_turn(serve: Serve):
    """With both a client can go on, and look at the turn again."""
    async with serve(model=QuickModel()) as served:
        first = (await served.http.post("/chat/", json=USER)).json()
        session = first["metadata"]["session_id"]
        told = await got(served, f"/conversations/{session}/turns/{first['turn_id']}")
        second = await served.http.post("/chat/", json=USER | {"metadata": first["metadata"]})

        assert told["response"]["content"] == first["reply"]
        assert second.json()["metadata"]["session_id"] == session
        assert second.json()["turn_id"] != first["turn_id"]
        assert len(await texts(served, session)) == 4


async def test_a_retry_names_the_same_turn(serve: Serve):
    """The same key is the same session and the same turn."""
    async with serve(model=QuickModel()) as served:
        answers = [await keyed(served) for _ in range(2)]

        assert answers[0]["turn_id"] == answers[1]["turn_id"]
        assert answers[0]["metadata"]["session_id"] == answers[1]["metadata"]["session_id"]


NULLS: list[tuple[str, str, dict[str, Any]]] = [
    # Clients write every field of their class, set or not:
    # ladybug-tools/honeybee-schema#83, openai/openai-agents-python#2141.
    ("POST", "/chat/", USER | {"metadata": None, "tags": None}),
    ("POST", "/chat/", USER | {"metadata": {"session_id": None, "timestamp": None}}),
    ("POST", "/chat/ada/schedules", {"content": "hi", "every": "1h", "due_in": None}),
    ("POST", "/chat/ada/schedules", {"content": "hi", "due_in": 60, "due_at": None, "every": None}),
    ("POST", "/chat/ada/schedules", {"content": "hi", "every": 60, "times": None, "due_at": None}),
    ("PUT", "/users/ada/preferences", {"language": None, "phone": None, "timezone": "UTC"}),
]


@pytest.mark.parametrize(("method", "path", "body"), NULLS)
async def test_null_is_absent(serve: Serve, method: str, path: str, body: dict[str, Any]):
    """An optional member of a body may be null, and is then as if it were not there."""
    async with serve(model=QuickModel()) as served:
        answer = await served.http.request(method, path, json=body)

        assert answer.is_success, answer.text
        if method == "PUT":
            kept = {"timezone": "UTC"}
            assert answer.json() == kept
            assert await got(served, path) == kept


@pytest.mark.parametrize("path", [path for path in BODIES if path != PREFERENCES])
async def test_what_is_needed_may_not_be_null(serve: Serve, path: str):
    """A required member that is null is 422, and nothing is begun."""
    async with serve(model=QuickModel()) as served:
        for name in BODIES[path].keys() - {"every"}:
            answer = await served.http.post(fill(path, "ada"), json=BODIES[path] | {name: None})
            (row,) = a_problem(answer, 422)["errors"]
            assert row["field"] == name


async def test_every_optional_member_may_be_null(serve: Serve):
    """The OpenAPI document says so, of each body of a public route."""
    async with serve() as served:
        document = served.app.openapi()

    schemas = document["components"]["schemas"]
    names = ["UserMessage", "MessageMetadata", "ChatMessage", "NewSchedule", "UserMetadata"]
    for name in [*names, "NewMessageCount"]:
        optional = schemas[name]["properties"].keys() - set(schemas[name].get("required", ()))
        for member in optional:
            choices = schemas[name]["properties"][member]["anyOf"]
            assert {"type": "null"} in choices, f"{name}.{member}"


NULL_EVENTS: list[tuple[str, Any]] = [
    ("/conversations", wrapped(conversation(usage=None))),
    ("/conversations", wrapped(conversation(usage={"input_tokens": None, "output_tokens": 3}))),
    ("/conversations", wrapped(conversation(model=None, turn_id=None))),
    ("/conversations", wrapped(conversation(), time=None, traceparent=None, subject=None)),
    ("/conversations", conversation(event_id=None, usage=None)),
    ("/messages", wrapped(message(turn_id=None))),
    ("/messages", wrapped(message(event_id=None), source=None)),
    ("/subscribe", wrapped(SPOKEN | {"seq": None, "event_type": None})),
    ("/subscribe", wrapped(SPOKEN, "e2", source=None, traceparent=None)),
]


@pytest.mark.parametrize(("path", "event"), NULL_EVENTS)
async def test_null_is_absent_in_events(serve: Serve, path: str, event: dict[str, Any]):
    """Other services' encoders write null for what is not set; no turn is lost for it."""
    async with serve(**AT_ONCE) as served:
        assert await served.deliver(event, path) == "SUCCESS"
        await becomes(served, "/analytics/junaid", {"message_count": 1})


async def test_null_is_absent_in_our_own_events(serve: Serve):
    """An event of the topic with null for what has a default is applied like any other."""
    async with serve(model=QuickModel()) as served:
        await served.reply("ada", "Hello")
        await served.remembered("ada", 1)
        (pair,) = (await served.services.reader.history("ada", 1, None)).pairs
        event = turn_payload(TurnEvent("ada", "e1", HELLO, REPLY, seq=2, user="ada"))
        nulls = {"floor": None, "schedule": None, "session_id": None}
        usage = {"input_tokens": None, "output_tokens": None}

        assert pair.seq == 1
        assert await served.deliver(wrapped(event | nulls | {"usage": usage})) == "SUCCESS"
        assert [entry["content"] for entry in await served.memory("ada")][-2:] == ["a", "b"]


async def keyed(served: Served) -> Any:
    """The answer to a message with a key."""
    return (await served.http.post("/chat/", json=USER, headers={"idempotency-key": "k"})).json()
