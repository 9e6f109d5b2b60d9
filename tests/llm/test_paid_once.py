"""A model call costs money: waiting, repeating a request and failures cause no second one."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from tests.e2e.service import running
from tests.fakes import all_of, eventually
from tests.llm.aimock import Aimock
from tests.llm.conftest import SETTINGS, Talk

USERS = 4
TURNS = 3


async def test_a_turn_that_is_sent_twice_at_once_is_paid_once(aimock: Aimock, talk: Talk):
    """Many turns are each sent twice at the same time with one key, and each costs one call."""
    aimock.says("", "Noted.", delay=0.03)
    turns = [(f"user{n}", f"{n}.{turn}") for n in range(USERS) for turn in range(TURNS)]
    async with talk(aimock.base_url) as service:
        sent = [
            service.say(user, said, idempotency_key=said) for user, said in turns for _ in range(2)
        ]
        answers = await all_of(sent)
        histories = await all_of(service.history(f"user{n}", limit=100) for n in range(USERS))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["turn_id"] for answer in answers}) == len(turns)
    assert [len(each["history"]) for each in histories] == [2 * TURNS] * USERS
    assert sorted(call.said for call in aimock.journal()) == sorted(said for _, said in turns)
    assert aimock.begun() == len(turns)


async def test_a_model_slower_than_the_parking_time_is_paid_once(aimock: Aimock, talk: Talk):
    """A turn that is parked while the model works is committed once and can be read meanwhile."""
    aimock.says("hello", "Hello.", delay=0.6)
    async with talk(aimock.base_url, parking_time=0.1) as service:
        saved = service.services.reader
        asking = asyncio.create_task(service.say("ada", "hello"))

        async def parked() -> bool:
            return bool((await saved.head("ada")).queue)

        await eventually(parked)
        journal_then = aimock.journal()
        answer = await asking
        history = (await service.history("ada"))["history"]

    assert not journal_then
    assert answer.json()["response"]["content"] == "Hello."
    assert [entry["content"] for entry in history] == ["hello", "Hello."]
    assert aimock.begun() == 1


async def test_a_caller_that_leaves_does_not_cost_another_call(aimock: Aimock, talk: Talk):
    """A caller who repeats the request with the same key gets the same answer."""
    aimock.says("hello", "Hello.", delay=0.3)
    async with talk(aimock.base_url, parking_time=0.1) as service:
        first = await service.say("ada", "hello", idempotency_key="k", prefer="respond-async")
        again = await service.say("ada", "hello", idempotency_key="k")

    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["turn_id"] == again.json()["turn_id"]
    assert aimock.begun() == 1


@pytest.mark.parametrize("chaos", ["disconnectRate", "malformedRate"])
async def test_an_answer_that_was_lost_is_not_bought_again(aimock: Aimock, talk: Talk, chaos: str):
    """A server that received the request and failed may have charged for it: 502."""
    aimock.says("", "never said", chaos={chaos: 1})
    async with talk(aimock.base_url, model_retries=2) as service:
        answer = await service.say("ada", "hello")

    assert answer.status_code == 502, answer.text
    assert aimock.begun() == 1


async def test_a_process_that_is_killed_while_the_model_thinks(aimock: Aimock, tmp_path: Path):
    """The next process answers a saved turn by itself, and an unsaved one when it is sent again.

    Each is answered once; only the call that was lost with the process is paid again.
    """
    aimock.says("hello", "never said", delay=25.0)
    settings = SETTINGS | {"recovery_period": 1}
    async with running(tmp_path, model_base_url=aimock.base_url, **settings) as service:
        saved = await service.say("bob", "hello", prefer="respond-async")
        asking = asyncio.create_task(service.say("ada", "hello", key="k"))
        await eventually(lambda: aimock.begun() == 2)
        service.kill()
        with pytest.raises(httpx2.TransportError):
            await asking
        aimock.forget_script()
        aimock.says("hello", "Hello again.")
        await service.start()
        answers = [await service.say("ada", "hello", key="k") for _ in range(2)]

        async def answered() -> bool:
            return bool(await service.history("bob"))

        await eventually(answered)
        histories = [await service.history(user) for user in ("ada", "bob")]
        counts = [await service.count(user) for user in ("ada", "bob")]

    assert saved.status_code == 202
    assert [answer.status_code for answer in answers] == [200, 200]
    for history in histories:
        assert [entry["content"] for entry in history] == ["hello", "Hello again."]
    assert counts == [1, 1]
    assert len(aimock.journal()) == 2
    assert aimock.begun() == 4
