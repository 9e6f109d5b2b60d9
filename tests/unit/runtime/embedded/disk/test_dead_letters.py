import json

import pytest

from agent_actors.errors import Conflict
from agent_actors.protocol.dead_letters import LetterLimits
from tests.unit.runtime.embedded.conftest import World

DAY = 86_400.0


def envelope(number: int, **more: object) -> bytes:
    return json.dumps(
        {"id": str(number), "type": "Said", "pubsubname": "bus", "topic": "news"} | more
    ).encode()


async def test_a_letter_is_kept_as_it_was(world: World):
    """A letter has everything that was given, and the time."""
    letter_id = await world.runtime.dead_letters.keep("news", envelope(1, data="10m"), "why", 3)
    (letter,) = await world.runtime.dead_letters.list(10)

    assert letter.id == letter_id
    assert (letter.topic, letter.reason, letter.tries) == ("news", "why", 3)
    assert letter.at == "2026-01-01T00:00:00Z"
    assert letter.event == json.loads(envelope(1, data="10m"))


async def test_the_same_envelope_is_kept_once(world: World):
    """The same event of one topic is one letter; of another topic it is another letter."""
    letters = world.runtime.dead_letters
    ids = [await letters.keep(topic, envelope(1), "why", 1) for topic in ("news", "news", "plain")]

    assert ids[0] == ids[1] != ids[2]
    assert len(await letters.list(10)) == 2


async def test_what_is_no_envelope_is_kept_all_the_same(world: World):
    """Malformed JSON and JSON that is not an object are letters, too."""
    letters = world.runtime.dead_letters
    for text in (b"{", b"{", b"[1]", b"\xff"):
        await letters.keep("news", text, "why", 1)

    assert [letter.event for letter in await letters.list(10)] == ["\ufffd", [1], "{"]


async def test_the_newest_come_first_and_as_many_as_asked(world: World):
    """The list begins with the newest letter and has at most `limit` letters."""
    for number in range(5):
        await world.runtime.dead_letters.keep("news", envelope(number), "why", 1)

    assert [each.event["id"] for each in await world.runtime.dead_letters.list(2)] == ["4", "3"]


async def test_the_oldest_go_when_there_are_too_many(unstarted: World):
    """Their number is bounded."""
    await unstarted.start()
    unstarted.runtime._letters._bounds = LetterLimits(number=3)
    for number in range(10):
        await unstarted.runtime.dead_letters.keep("news", envelope(number), "why", 1)

    assert [each.event["id"] for each in await unstarted.runtime.dead_letters.list(10)] == [
        "9",
        "8",
        "7",
    ]


async def test_old_ones_are_forgotten(world: World):
    """After the retention time a letter is not listed, and the next letter deletes it."""
    letters = world.runtime.dead_letters
    await letters.keep("news", envelope(1), "why", 1)
    world.clock.jump(29 * DAY)

    assert len(await letters.list(10)) == 1

    world.clock.jump(2 * DAY)

    assert await letters.list(10) == []

    await letters.keep("news", envelope(2), "why", 1)

    assert world.runtime._store.rows("SELECT count(*) FROM dead_letters")[0][0] == 1


async def test_letters_outlive_a_restart(world: World):
    """Dead letters are in the database and survive a restart."""
    await world.runtime.dead_letters.keep("news", envelope(1), "why", 1)
    await world.restart()

    assert len(await world.runtime.dead_letters.list(10)) == 1


async def test_a_letter_that_works_now_is_forgotten(world: World):
    """A requeued letter goes to its topic's route once, and is deleted if that succeeds."""
    letter_id = await world.runtime.dead_letters.keep("news", envelope(1), "why", 1)
    letter = await world.runtime.dead_letters.requeue(letter_id)

    assert letter is not None
    assert letter.id == letter_id
    assert world.delivered == [("/news", "1")]
    assert await world.runtime.dead_letters.list(10) == []


@pytest.mark.parametrize("answer", [b'{"status":"RETRY"}', b'{"status":"DROP"}', 500])
async def test_a_letter_that_fails_again_stays(world: World, answer: object):
    """The caller gets the route's answer and may try again."""
    letter_id = await world.runtime.dead_letters.keep("news", envelope(1), "why", 1)
    world.answers = [answer]

    with pytest.raises(Conflict, match="/news answered"):
        await world.runtime.dead_letters.requeue(letter_id)
    assert len(await world.runtime.dead_letters.list(10)) == 1
    assert len(world.delivered) == 1


@pytest.mark.parametrize("event", [envelope(1), b"{", b"[]"])
async def test_a_letter_without_a_route_stays(world: World, event: bytes):
    """If nothing subscribes to the topic, or it is not an event, the error says so."""
    letter_id = await world.runtime.dead_letters.keep("gone", event, "why", 1)

    with pytest.raises(Conflict, match="Nothing subscribes to the topic 'gone'"):
        await world.runtime.dead_letters.requeue(letter_id)


async def test_an_unknown_letter_is_none(world: World):
    """An unknown letter cannot be requeued."""
    assert await world.runtime.dead_letters.requeue("nothing") is None
