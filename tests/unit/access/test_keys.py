"""The issuer's keys, as they are fetched."""

import asyncio

import httpx2
import pytest

from agent_actors.access.keys import LARGEST, PAUSE, REFRESH, TIME, USABLE, KeySet
from agent_actors.errors import Unavailable
from tests.hand_clock import HandClock, settle


class Issuer(httpx2.AsyncBaseTransport):
    """Answers with the ids of its keys, or not at all."""

    def __init__(self, *kids: str) -> None:
        self.kids = list(kids)
        self.asked = 0
        self.trouble: Exception | int | bytes | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        await self.gate.wait()
        if isinstance(self.trouble, Exception):
            raise self.trouble
        if isinstance(self.trouble, int):
            return httpx2.Response(self.trouble)
        if isinstance(self.trouble, bytes):
            return httpx2.Response(200, content=self.trouble)
        return httpx2.Response(
            200, json={"keys": [{"kid": kid, "kty": "RSA"} for kid in self.kids]}
        )


class Setup:
    def __init__(self, *kids: str) -> None:
        self.clock = HandClock()
        self.issuer = Issuer(*kids)
        url = httpx2.URL("https://issuer.example/keys")
        self.keys = KeySet(url, self.clock, self.issuer)

    async def knows(self, kid: str | None) -> bool:
        return await self.keys.find(kid, "RS256") is not None


async def test_keys_are_fetched_once_for_all():
    """Many who come at once wait for one fetch."""
    setup = Setup("one")
    setup.issuer.gate.clear()
    asked = [asyncio.create_task(setup.knows("one")) for _ in range(50)]
    await settle()
    setup.issuer.gate.set()

    assert await asyncio.gather(*asked) == [True] * 50
    assert setup.issuer.asked == 1


async def test_a_caller_that_leaves_does_not_cut_the_fetch():
    """Those who wait for it get their keys."""
    setup = Setup("one")
    setup.issuer.gate.clear()
    gone, waits = (asyncio.create_task(setup.knows("one")) for _ in range(2))
    await settle()
    gone.cancel()
    setup.issuer.gate.set()

    assert await waits


async def test_a_new_key_is_found():
    """An id that is not known is asked for, once the pause is over."""
    setup = Setup("one")
    assert await setup.knows("one")
    setup.issuer.kids = ["one", "two"]
    assert not await setup.knows("two")

    setup.clock.jump(PAUSE)
    assert await setup.knows("two")
    assert setup.issuer.asked == 2


async def test_made_up_ids_cause_few_fetches():
    """One in each pause, however many tokens come."""
    setup = Setup("one")
    for number in range(1_000):
        assert not await setup.knows(f"made up {number}")
        setup.clock.jump(PAUSE / 100)

    assert setup.issuer.asked <= 11


async def test_a_withdrawn_key_is_forgotten():
    """The refresh happens in the background."""
    setup = Setup("one", "two")
    assert await setup.knows("one")
    setup.issuer.kids = ["two"]
    setup.clock.jump(REFRESH)
    assert await setup.knows("one")
    await settle()
    setup.clock.jump(PAUSE)

    assert not await setup.knows("one")


@pytest.mark.parametrize(
    "trouble",
    [
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("slow"),
        500,
        302,
        b"<html>",
        b"[]",
        b'{"keys": 7}',
        b"x" * (LARGEST + 1),
    ],
    ids=lambda trouble: repr(trouble)[:20],
)
async def test_an_issuer_that_does_not_answer_is_an_error(trouble: Exception | int | bytes):
    """503 with a time after which it is asked again; until then it is left alone."""
    setup = Setup("one")
    setup.issuer.trouble = trouble
    for _ in range(3):
        with pytest.raises(Unavailable) as caught:
            await setup.knows("one")
        assert 1.0 <= (caught.value.retry_after or 0.0) <= PAUSE
    assert setup.issuer.asked == 1

    setup.issuer.trouble = None
    setup.clock.jump(PAUSE)
    assert await setup.knows("one")


async def test_an_issuer_that_hangs_is_given_up():
    """The fetch ends after its time."""
    setup = Setup("one")
    setup.issuer.gate.clear()
    asked = asyncio.create_task(setup.knows("one"))
    await setup.clock.advance(TIME)

    with pytest.raises(Unavailable):
        await asked


async def test_known_keys_outlive_a_trouble():
    """Known keys are used for an hour; an unknown key id is an error."""
    setup = Setup("one")
    assert await setup.knows("one")
    setup.issuer.trouble = 500
    setup.clock.jump(USABLE - 1)
    assert await setup.knows("one")
    await settle()
    with pytest.raises(Unavailable):
        await setup.knows("two")

    setup.clock.jump(1)
    with pytest.raises(Unavailable):
        await setup.knows("one")


async def test_a_token_without_an_id_is_of_the_only_key():
    """Where there are two, it is of none."""
    setup = Setup("one")
    assert await setup.knows(None)

    setup.issuer.kids = ["one", "two"]
    setup.clock.jump(REFRESH)
    await setup.knows(None)
    await settle()
    assert not await setup.knows(None)


async def test_a_stop_ends_a_fetch():
    """Closing twice is closing."""
    setup = Setup("one")
    setup.issuer.gate.clear()
    asked = asyncio.create_task(setup.knows("one"))
    await settle()
    await setup.keys.close()
    await setup.keys.close()

    with pytest.raises(asyncio.CancelledError):
        await asked
