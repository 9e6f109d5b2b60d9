"""`/chat/{actor_id}`, through the whole app."""

import asyncio
from typing import Any

import pytest

from agent_actors.clock import SystemClock
from agent_actors.model.scripted import ScriptedModel
from tests.conftest import Serve, Served
from tests.fakes import HeldModel, QuickModel, eventually
from tests.hand_clock import HandClock, settle


async def test_a_message_is_answered(serve: Serve):
    """The answer has the reply and the id of the turn, whose state can be read."""
    async with serve(model=QuickModel()) as served:
        answer = await served.say("ada", "hi")
        turn_id = answer.json()["turn_id"]

        assert answer.status_code == 200
        assert answer.json() == {
            "response": {"role": "assistant", "content": "reply to hi"},
            "turn_id": turn_id,
        }
        assert (await served.http.get(f"/chat/ada/turns/{turn_id}")).json() == {
            "turn_id": turn_id,
            "status": "done",
            "response": {"role": "assistant", "content": "reply to hi"},
        }


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"role": "user", "content": ""}, 400),
        ({"role": "user", "content": " \n\t"}, 400),
        ({"role": "system", "content": "x"}, 422),
        ({"role": "assistant", "content": "x"}, 422),
        ({"content": "x"}, 422),
        ({"role": "user"}, 422),
        ({"role": "user", "content": 7}, 422),
        ({"role": "user", "content": None}, 422),
        ({"role": "user", "content": ["x"]}, 422),
        ([], 422),
        ("x", 422),
        ({"role": "user", "content": "x" * 65_537}, 413),
        ({"role": "user", "content": "☃" * 21_846}, 413),
        ({"role": "user", "content": "x" * 2_000_000}, 413),
    ],
)
async def test_a_wrong_message_is_refused(serve: Serve, body: Any, status: int):
    """Each mistake has its status, and the conversation stays empty."""
    async with serve() as served:
        answer = await served.http.post("/chat/ada", json=body)

        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert (await served.history("ada"))["history"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b'"\\ud800"', 422),
        (b'{"role":"user","content":"half \\ud83d of it"}', 422),
        (b"\x00", 422),
        (b"\xff", 400),
        (b'{"role":"user","content":"\xff"}', 400),
    ],
)
async def test_a_body_that_is_no_json_is_refused(serve: Serve, body: bytes, status: int):
    """Malformed bytes are an error of the caller."""
    async with serve() as served:
        headers = {"content-type": "application/json"}
        answer = await served.http.post("/chat/ada", content=body, headers=headers)

        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_keyed_turn_counts_once(serve: Serve):
    """A retry gets the first answer; another body is refused, another conversation is apart."""
    async with serve() as served:
        first = await served.say("ada", "hi", idempotency_key="k")
        again = await served.say("ada", "hi", idempotency_key="k")
        other = await served.say("ada", "ho", idempotency_key="k")
        apart = await served.say("bob", "ho", idempotency_key="k")

        assert again.json() == first.json()
        assert (other.status_code, apart.status_code) == (422, 200)
        assert (await served.http.get("/response/ada/count")).json() == {"count": 1}


async def test_one_key_at_once_is_one_turn(serve: Serve):
    """Ten requests with one key, sent together, get one answer."""
    async with serve() as served:
        answers = await asyncio.gather(
            *(served.say("ada", "hi", idempotency_key="k") for _ in range(10))
        )

        assert {answer.text for answer in answers} == {answers[0].text}
        assert answers[0].status_code == 200
        assert (await served.http.get("/response/ada/count")).json() == {"count": 1}


@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 256])
async def test_a_wrong_key_is_refused(serve: Serve, key: str):
    """An invalid key is 422, and its message is not a turn."""
    async with serve() as served:
        answer = await served.say("ada", "hi", idempotency_key=key)

        assert answer.status_code == 422
        assert "Idempotency-Key" in answer.json()["detail"]


async def held(served: Served, model: HeldModel) -> str:
    """Parks a turn of `ada` and returns its id."""
    answer = await served.say("ada", "slow", prefer="respond-async")
    assert answer.status_code == 202, answer.text
    turn_id: str = answer.json()["turn_id"]
    await eventually(lambda: model.prompts)
    return turn_id


async def test_a_caller_need_not_wait(serve: Serve):
    """`respond-async` gives 202 with the turn's address as soon as the turn is saved."""
    model = HeldModel()
    async with serve(model=model) as served:
        answer = await served.say("ada", "slow", prefer="respond-async")
        address = answer.headers["location"]

        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "respond-async"
        assert answer.json() == {"turn_id": address.rpartition("/")[2], "status": "running"}
        assert (await served.http.get(address)).json() == answer.json()

        model.free.set()

        async def done() -> bool:
            return bool((await served.http.get(address)).json()["status"] == "done")

        await eventually(done)


async def test_a_caller_may_wait_a_while(serve: Serve):
    """After `wait=2` the answer is 202; the turn goes on."""
    model, clock = HeldModel(), HandClock()
    async with serve(model=model, clock=clock) as served:
        asked = asyncio.create_task(served.say("ada", "slow", prefer="wait=2"))
        await eventually(lambda: model.prompts)

        async def over() -> bool:
            await clock.advance(0.5)
            return asked.done()

        await eventually(over)
        answer = await asked

        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "wait=2"

        model.free.set()
        await settle()


async def test_a_caller_that_waits_gets_the_answer_of_a_parked_turn(serve: Serve):
    """The turn is parked in the background, and the caller still gets its reply."""
    model, clock = HeldModel(), HandClock()
    async with serve(model=model, clock=clock) as served:
        asked = asyncio.create_task(served.say("ada", "slow"))
        await eventually(lambda: model.prompts)
        await clock.advance(30)

        assert not asked.done()

        model.free.set()
        answer = await asked

        assert answer.json()["response"]["content"] == "reply to slow"


async def test_reads_do_not_wait_for_a_turn(serve: Serve):
    """History, memory, count and status can be read while the model is working."""
    model = HeldModel()
    async with serve(model=model) as served:
        turn_id = await held(served, model)

        assert await served.history("ada") == {"history": []}
        assert await served.memory("ada") == []
        assert (await served.http.get("/response/ada/count")).json() == {"count": 0}
        status = await served.http.get(f"/chat/ada/turns/{turn_id}")
        assert status.json()["status"] == "running"


async def test_messages_behind_a_parked_one_are_answered_in_order(serve: Serve):
    """Waiting messages are saved; each caller gets its own reply."""
    model = HeldModel()
    async with serve(model=model) as served:
        await held(served, model)
        asked = [asyncio.create_task(served.say("ada", f"m{number}")) for number in range(3)]
        for number in range(3):
            await eventually(_queued(served, number))
        model.free.set()
        answers = await asyncio.gather(*asked)

        assert [each.json()["response"]["content"] for each in answers] == [
            f"reply to m{number}" for number in range(3)
        ]
        history = await served.history("ada", limit=100)
        assert {entry["content"] for entry in history["history"][::2]} == {
            "slow", "m0", "m1", "m2",
        }  # fmt: skip


def _queued(served: Served, number: int) -> Any:
    async def waiting() -> bool:
        return len((await served.services.reader.head("ada")).queue) > number

    return waiting


@pytest.mark.parametrize("how", ["/fail", "/break"])
async def test_the_failure_of_a_model_is_502(serve: Serve, how: str):
    """The history has nothing of the turn, and a retry with its key is possible."""
    async with serve(model=ScriptedModel(SystemClock())) as served:
        keyed = await served.say("ada", how, idempotency_key="k")
        plain = await served.say("ada", how)

        assert (keyed.status_code, keyed.json()["retry"]) == (502, "same-key")
        assert (plain.status_code, plain.json()["retry"]) == (502, "new-key")
        assert await served.history("ada") == {"history": []}
        assert (await served.http.get("/response/ada/count")).json() == {"count": 0}


async def test_a_full_queue_is_429(serve: Serve):
    """The answer is 429 with Retry-After; waiting callers are not affected."""
    model = HeldModel()
    async with serve(model=model, queue_length=2) as served:
        await held(served, model)
        waiting = [asyncio.create_task(served.say("ada", f"m{n}")) for n in range(2)]
        await settle()
        answer = await served.say("ada", "one more")

        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["retry"] == "new-key"

        model.free.set()
        await asyncio.gather(*waiting)


async def test_clearing_hides_and_cancels(serve: Serve):
    """History is empty, waiting turns are cancelled, and an old answer is 410."""
    model = HeldModel()
    async with serve(model=model) as served:
        model.free.set()
        done = (await served.say("ada", "old", idempotency_key="k")).json()["turn_id"]
        model.free.clear()
        waits = await served.say("ada", "slow", prefer="respond-async")
        cleared = await served.http.delete("/chat/ada/history")

        assert (cleared.status_code, cleared.content) == (204, b"")
        assert await served.history("ada") == {"history": []}
        assert (await served.http.get(f"/chat/ada/turns/{done}")).status_code == 410
        assert (await served.say("ada", "old", idempotency_key="k")).status_code == 410
        state = (await served.http.get(waits.headers["location"])).json()
        assert (state["status"], state["error"]["status"]) == ("cancelled", 409)
        assert (await served.http.get("/response/ada/count")).json() == {"count": 1}
        model.free.set()


async def test_a_caller_that_leaves_does_not_cut_its_turn(serve: Serve):
    """The turn continues when its connection is closed."""
    model = HeldModel()
    async with serve(model=model) as served:
        asked = asyncio.create_task(served.say("ada", "hi"))
        await eventually(lambda: model.prompts)
        asked.cancel()
        await asyncio.wait({asked})
        model.free.set()

        async def counted() -> bool:
            return await served.services.reader.count("ada") == 1

        await eventually(counted)
