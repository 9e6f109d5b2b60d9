"""Turns of `POST /chat/` that workflows carry, on real Dapr."""

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from agent_actors.clock import SystemClock
from tests.dapr.engine import Engine
from tests.e2e.dapr import DaprService
from tests.e2e.service import becomes, eventually
from tests.workflow.service import (
    SETTINGS,
    carried,
    count,
    delivered,
    erased,
    history,
    model_calls,
    say,
    sent,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "xyzzy"
clock = SystemClock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(
    engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[DaprService]:
    """A service that carries turns by workflows."""
    async with carried(engine, tmp_path_factory.mktemp("turns")) as service:
        yield service


async def ends(service: DaprService, path: str) -> Any:
    """Where a turn is once it has ended."""

    async def ended() -> Any:
        answer = await service.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()["status"] not in {"queued", "running"} and answer.json()

    return await eventually(ended, f"{path} has ended")


async def test_an_answer_has_the_lessons_form(service: DaprService):
    """The caller sees no difference: the answer, the history and the numbers are as ever."""
    answers = [await say(service, "ada", f"hello {n}", "of-ada") for n in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 3
    members = {"user_id", "reply", "metadata", "turn_id"}
    assert [set(answer.json()) for answer in answers] == [members] * 3
    assert answers[0].json()["metadata"]["session_id"] == "of-ada"

    replies = [answer.json()["reply"] for answer in answers]
    said = [f"hello {n}" for n in range(3)]
    assert await history(service, "of-ada") == [
        text for pair in zip(said, replies, strict=True) for text in pair
    ]
    # The model was told what was said before, and what is remembered of the user.
    assert "Message count: 1" in replies[0]
    assert "hello 0" in replies[1]
    await becomes(lambda: count(service, "ada"), 3)
    await delivered(service)
    assert await count(service, "ada") == 3
    assert len(set(sent(service, "ada"))) == 3


async def test_nothing_of_a_turn_stays_with_its_workflow(service: DaprService):
    """When it has ended, texts are only in the conversation and its consumers."""
    assert (await say(service, "carl", f"hello {SECRET}", "of-carl")).status_code == 200
    await service.remembered("carl", f"hello {SECRET}")
    await erased(service)

    assert {place.split("||")[1] for place in service.places_of(SECRET) if "||" in place} == {
        "ChatAgent",
        "MemoryAgentActor",
        "UserSessionActor",
    }


@pytest.mark.parametrize(
    "text", ["10m", "2024-01-05 standup", '“quotes” "\\ \x01\u2028 🦕', "ü" * 32_000]
)
async def test_any_text_survives_the_workflow(service: DaprService, text: str):
    """Texts are stored unchanged, whatever JSON does to them on the way."""
    session = f"of-lea-{len(text)}"
    answer = await say(service, "lea", text, session)

    assert answer.status_code == 200, answer.text
    assert await history(service, session) == [text, answer.json()["reply"]]
    assert f"Got your message: {text} at" in answer.json()["reply"]


async def test_a_retry_is_the_same_turn(service: DaprService):
    """Sent again while it runs, and after its end, it is answered alike and costs one call."""

    async def asked() -> httpx2.Response:
        # A busy sidecar may not start three workflows in time: 503, to be sent again.
        answer = await say(service, "dora", "/slow 1", "of-dora", idempotency_key="k")
        if answer.status_code == 503:
            answer = await say(service, "dora", "/slow 1", "of-dora", idempotency_key="k")
        return answer

    answers = list(await asyncio.gather(asked(), asked(), asked()))
    await erased(service)
    answers.append(await asked())

    assert {answer.json()["reply"] for answer in answers} == {
        (await history(service, "of-dora"))[1]
    }
    assert len(await history(service, "of-dora")) == 2
    assert len(model_calls(service, "dora")) == 1


async def test_a_key_is_of_one_message(service: DaprService):
    """With another message it is refused, while the first one runs and after its end."""
    first = asyncio.create_task(say(service, "eve", "/slow 1", "of-eve", idempotency_key="k"))

    async def running() -> bool:
        return bool(model_calls(service, "eve"))

    await eventually(running, "the first turn runs")
    during = await say(service, "eve", "other", "of-eve", idempotency_key="k")
    assert (await first).status_code == 200
    after = await say(service, "eve", "other", "of-eve", idempotency_key="k")

    assert [during.status_code, after.status_code] == [422, 422]
    assert "Idempotency-Key" in during.json()["detail"]
    assert len(model_calls(service, "eve")) == 1


async def test_a_model_that_fails(service: DaprService):
    """It is called once more; then the failure is returned, and is final for its key."""
    answer = await say(service, "fred", "/fail", "of-fred", idempotency_key="k")
    again = await say(service, "fred", "/fail", "of-fred", idempotency_key="k")
    problem = answer.json()
    told = await service.http.get(f"/conversations/of-fred/turns/{problem['turn_id']}")

    assert (answer.status_code, problem["retry"]) == (502, "new-key")
    assert (again.status_code, again.json()) == (502, problem)
    assert told.json()["status"] == "failed"
    assert told.json()["error"]["status"] == 502
    assert len(model_calls(service, "fred")) == 2
    assert await history(service, "of-fred") == []
    assert sent(service, "fred") == []


async def test_a_caller_who_does_not_wait(service: DaprService):
    """It gets the address of the turn, which has its state; so has the user's own."""
    answer = await say(service, "gina", "/slow 1", "of-gina", prefer="respond-async")
    turn_id = answer.json()["turn_id"]
    running = await service.http.get(answer.headers["location"])
    at_users = await service.http.get(f"/chat/gina/turns/{turn_id}")
    at_others = await service.http.get(f"/chat/ada/turns/{turn_id}")
    ended = await ends(service, answer.headers["location"])

    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "respond-async")
    assert answer.headers["location"] == f"/conversations/of-gina/turns/{turn_id}"
    assert running.json() == at_users.json() == {"turn_id": turn_id, "status": "running"}
    assert at_others.status_code == 404
    assert ended["response"]["content"] == (await history(service, "of-gina"))[1]


async def test_a_caller_waits_as_long_as_it_prefers(service: DaprService):
    """After that time it gets 202, and the turn goes on; a minute is the longest."""
    begun = clock.monotonic()
    answer = await say(service, "hal", "/slow 4", "of-hal", prefer="wait=1")
    waited = clock.monotonic() - begun
    quick = await say(service, "hal", "hi", "of-hal", prefer="wait=100")

    assert (answer.status_code, answer.headers["preference-applied"]) == (202, "wait=1")
    assert waited >= 1
    assert (await ends(service, answer.headers["location"]))["status"] == "done"
    assert (quick.status_code, quick.headers["preference-applied"]) == (200, "wait=60")


async def test_two_turns_of_a_session_at_once(service: DaprService):
    """Each is committed once; the second may not have seen the first."""
    answers = await asyncio.gather(
        *(say(service, "ines", f"/slow 0.5 {n}", "of-ines") for n in range(4))
    )
    said = await history(service, "of-ines")

    assert [answer.status_code for answer in answers] == [200] * 4
    assert sorted(said[::2]) == [f"/slow 0.5 {n}" for n in range(4)]
    assert sorted(said[1::2]) == sorted(answer.json()["reply"] for answer in answers)


async def test_a_session_of_another_user(service: DaprService):
    """Another user can neither write to it nor learn of it."""
    assert (await say(service, "judy", "mine", "of-judy")).status_code == 200
    answer = await say(service, "mallory", "mine too", "of-judy")

    assert answer.status_code == 404
    assert len(await history(service, "of-judy")) == 2


async def test_a_user_who_is_forgotten_meanwhile(service: DaprService):
    """The answer comes too late: nothing of the turn is stored, published or counted."""
    answer = await say(service, "kim", f"/slow 2 {SECRET}-kim", "of-kim", prefer="respond-async")
    await eventually(lambda: model_calls(service, "kim"), "the turn runs")
    assert (await service.http.delete("/users/kim")).status_code == 204
    await erased(service)

    assert (await service.http.get(answer.headers["location"])).status_code == 404
    assert service.places_of(f"{SECRET}-kim") == []
    assert SECRET not in service.logged()
    assert sent(service, "kim") == []
    assert (await say(service, "kim", "again", "of-kim")).status_code == 410


async def test_a_stop_lets_the_turn_go_on(engine: Engine, tmp_path_factory: pytest.TempPathFactory):
    """A caller of a stopping process gets 202 within the drain time; the next process ends it."""
    folder = tmp_path_factory.mktemp("stop")
    async with carried(engine, folder, drain=1) as service:
        asked = asyncio.create_task(say(service, "ada", "/slow 4", "of-ada"))
        await eventually(lambda: model_calls(service, "ada"), "the turn runs")
        begun = clock.monotonic()
        service.send(signal.SIGTERM)
        answer = await asked
        code = await service.ended()

        assert (answer.status_code, code) == (202, 0)
        assert clock.monotonic() - begun < 5

        await service.start()
        ended = await ends(service, answer.headers["location"])
        assert ended["status"] == "done"
        assert len(await history(service, "of-ada")) == 2
        assert "Traceback" not in service.replica.app.log.read_text()


async def test_the_sidecar_may_come_later(engine: Engine, tmp_path_factory: pytest.TempPathFactory):
    """Without it the service starts and stops; when it comes, workflows run."""
    service = DaprService(engine, tmp_path_factory.mktemp("later"), **SETTINGS)
    try:
        for _ in range(2):
            service.replica.app.start()
            await eventually(lambda: _lives(service), "the service lives")
            service.send(signal.SIGTERM)

            assert await service.ended() == 0

        service.replica.app.start()
        await eventually(lambda: _lives(service), "the service lives")
        service.replica.sidecar.start()
        await service.ready()

        async def answered() -> bool:
            again = await say(service, "bob", "hello", "of-bob", idempotency_key="k")
            return again.status_code == 200

        await eventually(answered, "a turn is answered")
    finally:
        await service.close()


async def _lives(service: DaprService) -> bool:
    try:
        return (await service.http.get("/livez")).status_code == 200
    except httpx2.TransportError:
        return False
