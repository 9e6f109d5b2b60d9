"""`/analytics/{user_id}`: the numbers of a user's messages and tokens."""

from typing import Any

import pytest

from tests.conftest import Serve
from tests.fakes import HeldModel, QuickModel
from tests.unit.routes.sidecar.lessons import AT_ONCE, HALF, becomes, got, replied, send


async def test_a_new_user_has_no_messages(serve: Serve):
    """The lesson's one member, and nothing more."""
    async with serve() as served:
        assert await got(served, "/analytics/bob") == {"message_count": 0}


async def test_the_number_is_initialized(serve: Serve):
    """The answer is the lesson's; other users keep their numbers."""
    async with serve() as served:
        for user, number in (("alice", 5), ("bob", 3)):
            answer = await served.http.post(
                f"/analytics/{user}/initialize", json={"message_count": number}
            )

            assert answer.status_code == 200
            assert answer.json() == {"status": "success", "user_id": user, "message_count": number}
        assert await got(served, "/analytics/alice") == {"message_count": 5}
        assert await got(served, "/analytics/bob") == {"message_count": 3}


async def test_messages_count_on_from_there(serve: Serve):
    """After 3, two more messages make 5, in whatever conversation they are sent."""
    async with serve(model=QuickModel(), **AT_ONCE) as served:
        await served.http.post("/analytics/bob/initialize", json={"message_count": 3})
        await replied(served, "bob", "Hi, how are you?")
        await served.reply("bob", "Can you remind me what I said earlier?")

        await becomes(served, "/analytics/bob", {"message_count": 5})


async def test_a_message_without_an_answer_does_not_count(serve: Serve):
    """A message counts when it is answered, not while its turn is running."""
    model = HeldModel()
    async with serve(model=model, **AT_ONCE) as served:
        await served.say("ada", "slow", prefer="respond-async")

        assert await got(served, "/analytics/ada") == {"message_count": 0}

        model.free.set()
        await becomes(served, "/analytics/ada", {"message_count": 1})


async def test_usage_is_listed_by_model(serve: Serve):
    """The usage has the numbers of each model and of all models."""
    async with serve(model=QuickModel(), **AT_ONCE) as served:
        await replied(served, "bob", "hi")
        held = {"messages": 1, "input_tokens": 0, "output_tokens": 0}

        await becomes(
            served,
            "/analytics/bob/usage",
            {
                "message_count": 1,
                "input_tokens": 0,
                "output_tokens": 0,
                "models": {"held": held},
            },
        )


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        "x",
        {"message_count": -1},
        {"message_count": 2**53 + 1},
        {"message_count": 1.5},
        {"message_count": "1"},
        {"message_count": True},
        {"message_count": None},
        {"message_count": HALF},
        {"message_count": [1]},
    ],
)
async def test_a_wrong_number_is_refused(serve: Serve, body: Any):
    """The answer is 422, and nothing is set."""
    async with serve() as served:
        answer = await send(served, "POST", "/analytics/bob/initialize", body)

        assert answer.status_code == 422
        assert await got(served, "/analytics/bob") == {"message_count": 0}
