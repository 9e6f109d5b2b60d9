"""A message that is followed up; the agents are real, and so is their reentrancy."""

import pytest

from agent_actors.clock import SystemClock
from agent_actors.model.scripted import ScriptedModel
from agent_actors.protocol.messages import TurnState
from tests.conftest import Serve
from tests.unit.conversation.talk import Talk, problem

BODY = {"role": "user", "content": "Hello"}
QUESTION = "Tell me more about: Hello"


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_message_is_followed_up_in_the_same_call(serve: Serve, key: str | None):
    """Two turns of one conversation; a retry with the key, by which both are named, has both."""
    headers = {"Idempotency-Key": key} if key else {}
    async with serve(reentrancy_depth=2) as served:
        answer = await served.http.post("/chat/ada/follow-up", json=BODY, headers=headers)
        body = answer.json()
        if key:
            again = await served.http.post("/chat/ada/follow-up", json=BODY, headers=headers)
            assert again.json() == body
        history = (await served.history("ada"))["history"]
        await served.remembered("ada", 2)

        assert answer.status_code == 200, body
        assert body["follow_up"]["question"] == QUESTION
        assert [entry["content"] for entry in history[-4:]] == [
            "Hello",
            body["response"]["content"],
            QUESTION,
            body["follow_up"]["response"]["content"],
        ]
        assert (await served.http.get("/response/ada/count")).json() == {"count": 2}


async def test_without_reentrancy_it_is_refused(serve: Serve):
    """Before the first turn: the two calls would wait for each other."""
    async with serve() as served:
        answer = await served.http.post("/chat/ada/follow-up", json=BODY)

        assert answer.status_code == 409
        assert "AGENT_ACTORS_REENTRANCY_DEPTH" in answer.json()["detail"]
        assert (await served.http.get("/response/ada/count")).json() == {"count": 0}


async def test_a_parked_turn_is_not_followed_up(serve: Serve):
    """It is answered with its address; the conversation goes on as ever."""
    model = ScriptedModel(SystemClock())
    async with serve(reentrancy_depth=2, parking_time=0.05, model=model) as served:
        slow = {"role": "user", "content": "/slow 0.3"}
        answer = await served.http.post("/chat/ada/follow-up", json=slow)

        assert answer.status_code == 202
        assert answer.headers["location"] == f"/chat/ada/turns/{answer.json()['turn_id']}"


async def test_a_busy_conversation_is_not_followed_up():
    """A turn that has to wait is queued like any other, and has no follow-up."""
    talk = Talk()
    await talk.parked("slow")
    answer = await talk.follow_up("next")

    assert problem(answer).status == 409  # Its parts say that reentrancy is off.
    talk.allow_follow_ups()
    found = await talk.follow_up("next")
    assert found.turn == TurnState("turn of next", "queued")
    assert found.follow_up is None
    assert talk.waiting == ["slow", "next"]
