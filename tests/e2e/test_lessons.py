"""The dialogues of the lessons: sessions, users, events of other services, and forgetting."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.e2e.service import AnyService, becomes, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

MARKER = "xyzzy"
STREAMS = {"user-chat", "conversations", "conversations-dead"}
"""The topics, as Redis has them: a broker keeps what it has delivered."""


async def post(service: AnyService, path: str, body: Any) -> Any:
    """The answer to a request."""
    answer = await service.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def got(service: AnyService, path: str) -> Any:
    """What a route tells."""
    answer = await service.http.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def tells(service: AnyService, path: str, told: Any) -> None:
    """Waits until a route answers with that."""

    async def ask() -> Any:
        return (await service.http.get(path)).json()

    await becomes(ask, told)


async def say(service: AnyService, user: str, text: str, session: str | None = None) -> Any:
    """The answer to a message; it has the lesson's members, and the turn's id."""
    body: dict[str, Any] = {"user_id": user, "text": text}
    if session is not None:
        body["metadata"] = {"session_id": session}
    answer = await post(service, "/chat/", body)
    assert answer.keys() == {"user_id", "reply", "metadata", "turn_id"}
    assert answer["user_id"] == user
    assert answer["metadata"].keys() == {"timestamp", "session_id"}
    assert datetime.fromisoformat(answer["metadata"]["timestamp"]).utcoffset() == timedelta(0)
    return answer


async def texts(service: AnyService, session: str) -> list[str]:
    """What was said in a session."""
    history = (await got(service, f"/conversations/{session}"))["history"]
    return [entry["content"] for entry in history]


async def said_in(service: AnyService, session: str, text: str) -> None:
    """Waits until that was said in a session."""

    async def there() -> bool:
        return text in await texts(service, session)

    await eventually(there, f"{text} was said in {session}")


def event(event_id: str, **data: Any) -> dict[str, Any]:
    """An event of another service, as it publishes it."""
    return {
        "specversion": "1.0",
        "type": "com.example.told",
        "source": "chat-service",
        "id": event_id,
        "datacontenttype": "application/json",
        "data": data,
    }


def conversation(event_id: str, user: str, session: str, said: str) -> dict[str, Any]:
    """One that tells of an answered turn."""
    return event(
        event_id,
        event_type="ConversationUpdated",
        user_id=user,
        session_id=session,
        user_message=said,
        assistant_reply=f"answer to {said}",
    )


async def test_the_lesson_of_events(shared: AnyService):
    """Two sessions of a user: the second knows what was said in the first."""
    junaid = {
        "name": "Junaid",
        "preferred_style": "formal",
        "user_summary": "Junaid is a new user.",
    }
    begun = await post(shared, "/memories/junaid/initialize", junaid)
    assert begun == {"status": "success", "user_id": "junaid", "metadata": junaid}
    assert await got(shared, "/memories/junaid") == junaid

    first = await say(shared, "junaid", "I need to schedule a coding session.")
    session = first["metadata"]["session_id"]
    for text in ("What time is it?", "Tomorrow we will pack for SF?"):
        assert (await say(shared, "junaid", text, session))["metadata"]["session_id"] == session
        await shared.remembered("junaid", text)
    asked = "Where was I planning to go tommorrow?"
    elsewhere = await say(shared, "junaid", asked)

    assert elsewhere["metadata"]["session_id"] != session
    assert "user: Tomorrow we will pack for SF?" in elsewhere["reply"]
    told = (await got(shared, f"/conversations/{session}"))["history"]
    assert [entry["role"] for entry in told] == ["user", "assistant"] * 3
    assert all(entry.keys() == {"role", "content", "timestamp"} for entry in told)
    said = f"'What time is it?'; 'Tomorrow we will pack for SF?'; '{asked}'"
    known = junaid | {"user_summary": f"Junaid lately said: {said}."}
    await tells(shared, "/memories/junaid", known)


async def test_the_lesson_of_actors(shared: AnyService):
    """Numbers are set and counted on, a role is told, and the last exchanges are kept."""
    for user, number in (("alice", 5), ("bob", 3)):
        path = f"/analytics/{user}/initialize"
        answer = await post(shared, path, {"message_count": number})
        assert answer == {"status": "success", "user_id": user, "message_count": number}
    assert await got(shared, "/users/alice?role=admin") == {"user_id": "alice", "role": "admin"}
    assert await got(shared, "/users/bob") == {"user_id": "bob", "role": "guest"}

    session = "123e4567-e89b-12d3-a456-426614174001"
    said = ["Hi, how are you?", "Can you remind me what I said earlier?"]
    history = []
    for text in said:
        reply = (await say(shared, "bob", text, session))["reply"]
        await shared.remembered("bob", text)
        history.append({"message": text, "reply": reply})

    assert f"user: {said[0]}" in history[1]["reply"]
    await tells(shared, "/analytics/bob", {"message_count": 5})
    await tells(shared, "/users/bob/session", {"history": history})
    assert await got(shared, "/analytics/alice") == {"message_count": 5}
    blank = await shared.http.post("/chat/", json={"user_id": "bob", "text": ""})
    assert (blank.status_code, blank.json()["detail"]) == (400, "Message text cannot be empty")


async def test_events_of_other_services_are_effective_once(shared: AnyService):
    """Through the broker where there is one: published twice, told once; both topics count."""
    told = conversation("c1", "carol", "carols", "Hello")
    sent = event("m1", event_type="MessageSent", user_id="carol")
    for _ in range(2):
        await shared.publish("conversations", told)
        await shared.publish("messages", sent)
    await said_in(shared, "carols", "Hello")
    await shared.publish("conversations", conversation("c2", "carol", "carols", "Bye"))
    await said_in(shared, "carols", "Bye")
    assert await texts(shared, "carols") == ["Hello", "answer to Hello", "Bye", "answer to Bye"]
    await tells(shared, "/analytics/carol", {"message_count": 3})
    last = [{"message": each, "reply": f"answer to {each}"} for each in ("Hello", "Bye")]
    await tells(shared, "/users/carol/session", {"history": last})
    await shared.remembered("carol", "Bye")
    assert "user: Bye" in (await say(shared, "carol", "And now?", "carols"))["reply"]


async def dead(service: AnyService) -> list[str]:
    """The ids of the events that are dead letters."""
    return [letter["event"]["id"] for letter in (await got(service, "/events/dead"))["dead"]]


async def test_what_cannot_be_applied_is_kept(shared: AnyService):
    """Junk of both topics, and a turn in another user's session; requeued they fail again."""
    await say(shared, "frank", "mine", "franks")
    await shared.publish("conversations", conversation("f1", "eve", "franks", "injected"))
    await shared.publish("conversations", event("f2", event_type="ConversationUpdated"))
    await shared.publish("messages", event("f3", event_type="MessageSent", user_id="a b"))

    async def kept() -> bool:
        return {"f1", "f2", "f3"} <= set(await dead(shared))

    await eventually(kept, "all of them are dead letters")
    assert len(await texts(shared, "franks")) == 2
    for letter in (await got(shared, "/events/dead"))["dead"]:
        answer = await shared.http.post(f"/events/dead/{letter['id']}/requeue")
        assert answer.status_code == 409, answer.text


async def test_a_deleted_user_leaves_no_text(shared: AnyService):
    """Neither in the state of an actor nor in a dead letter; the broker has its own copies."""
    user = "dave"
    for number in range(10):
        await say(shared, user, f"{MARKER} {number}", "daves")
    await shared.reply(user, f"{MARKER} alone")
    await shared.publish("conversations", conversation("d1", user, "daves-too", MARKER))
    await post(shared, f"/memories/{user}/initialize", dict.fromkeys(
        ("name", "preferred_style", "user_summary"), MARKER
    ))  # fmt: skip
    await shared.http.put(f"/users/{user}/preferences", json={"language": MARKER})
    await shared.publish("conversations", conversation("d2", user, "a b", MARKER))
    await tells(shared, f"/analytics/{user}", {"message_count": 12})

    async def kept() -> bool:
        return "d2" in await dead(shared)

    await eventually(kept, "the junk is a dead letter")
    document = await got(shared, f"/users/{user}/export")
    assert [len(each["turns"]) for each in document["conversations"]] == [1, 10, 1]
    assert [each["event"]["id"] for each in document["dead_letters"]] == ["d2"]
    assert shared.places_of(MARKER)

    for _ in range(2):
        assert (await shared.http.delete(f"/users/{user}")).status_code == 204
        assert set(shared.places_of(MARKER)) <= STREAMS
        assert "d2" not in await dead(shared)
    assert (await shared.http.get(f"/users/{user}/export")).status_code == 404
    assert (await shared.http.get(f"/analytics/{user}")).status_code == 404
    assert (await shared.http.get(f"/response/{user}/count")).status_code == 404
    closed = await shared.http.post(
        "/chat/", json={"user_id": user, "text": "hi", "metadata": {"session_id": "daves"}}
    )
    assert closed.status_code == 410

    again = await say(shared, user, "hello again")
    assert "Message count: 1" in again["reply"]
    await tells(shared, f"/analytics/{user}", {"message_count": 1})
    assert set(shared.places_of(MARKER)) <= STREAMS
