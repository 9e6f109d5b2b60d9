"""Summaries of users and conversations, made outside of turns, that the model gets."""

import pytest

from tests.conftest import Served
from tests.fakes import eventually
from tests.llm.aimock import Aimock
from tests.llm.conftest import Talk
from tests.llm.test_service import heard

TURNS = 12


async def say(service: Served, text: str, session_id: str | None = None) -> str:
    """Sends a message to a session, or to a new one; returns the session's id."""
    metadata = {} if session_id is None else {"metadata": {"session_id": session_id}}
    body = {"user_id": "junaid", "text": text} | metadata
    answer = await service.http.post("/chat/", json=body)
    assert answer.status_code == 200, answer.text
    told: str = answer.json()["metadata"]["session_id"]
    return told


async def test_what_fell_out_of_the_window_is_summed_up(aimock: Aimock, talk: Talk):
    """The model gets a long conversation as its summary and its last turns, without a gap."""
    aimock.says("said since", "They spoke of tea.")
    aimock.says("", "Go on.")
    async with talk(aimock.base_url, window_turns=2) as service:
        for number in range(1, TURNS + 1):
            await service.reply("ada", f"message {number}.")

        async def summed_up() -> bool:
            return bool((await service.services.reader.head("ada")).earlier.text)

        await eventually(summed_up)
        await service.reply("ada", "and now")

    (last,) = (each for each in aimock.journal() if each.said == "and now")
    assert "They spoke of tea." in heard(last)
    assert last.roles == ["system", "user", "assistant", "user", "assistant", "user"]
    asked = [call for call in aimock.journal("said since") if "message 1." in call.said]
    assert asked, "the first summary is made from the first messages"


async def test_one_session_is_known_in_the_next(aimock: Aimock, talk: Talk):
    """In the next session the model gets the last messages, and later the user's summary."""
    aimock.says("said since", "Junaid packs for SF tomorrow.")
    aimock.says("", "Fine.")
    async with talk(aimock.base_url, summary_events=1) as service:
        first = await say(service, "Tomorrow we will pack for SF")

        async def known() -> bool:
            person = (await service.http.get("/memories/junaid")).json()
            return bool(person["user_summary"] == "Junaid packs for SF tomorrow.")

        await eventually(known)
        second = await say(service, "Where was I planning to go?")

    assert first != second
    (call,) = (each for each in aimock.journal() if each.said == "Where was I planning to go?")
    assert "Tomorrow we will pack for SF" in heard(call)
    assert "Junaid packs for SF tomorrow." in heard(call)
    assert call.roles == ["system", "user"]


@pytest.mark.parametrize("status", [500, 400])
async def test_a_summary_that_fails_harms_no_turn(aimock: Aimock, talk: Talk, status: int):
    """Turns continue, memory has the messages, and the old summary stays."""
    aimock.fails("said since", status)
    aimock.says("", "Fine.")
    async with talk(aimock.base_url, summary_events=1, model_retries=0) as service:
        for number in range(1, 4):
            await service.reply("ada", f"message {number}.")
        await service.remembered("ada", 3)
        await eventually(lambda: bool(aimock.journal("said since")))
        person = (await service.http.get("/memories/ada")).json()

        assert person["user_summary"] == "ada is a new user."
        assert len(await service.memory("ada")) == 3
        assert (await service.http.get("/response/ada/count")).json() == {"count": 3}
