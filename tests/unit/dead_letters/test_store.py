"""`runtime.DeadLetters` on DeadLetterActor."""

import asyncio
import json
from itertools import pairwise

import pytest

from agent_actors.dead_letters.store import BATCH, BEGINNING, LARGEST, PAGES
from agent_actors.errors import Conflict, TryLater, Unavailable
from agent_actors.protocol import dead_letters
from agent_actors.protocol.clients import DeadLetterClient, ProxyFactory
from agent_actors.protocol.dead_letters import Envelope, ForgetDeadLetter, KeepDeadLetter
from agent_actors.state import slots
from agent_actors.state.documents.dead_letters import LETTERS as PAGE
from tests.fakes import all_of
from tests.hand_clock import settle
from tests.unit.dead_letters.graveyard import LETTERS, Graveyard, envelope


async def test_a_letter_is_shown_as_it_was_kept(graveyard: Graveyard):
    """Every field is there, with the time at which it was kept; before that there is none."""
    assert await graveyard.letters.list(10) == []
    letter_id = await graveyard.letters.keep("news", envelope(1, data="10m"), "why", 3)
    (letter,) = await graveyard.letters.list(10)

    assert letter.id == letter_id == dead_letters.id_of("news", envelope(1))
    assert (letter.topic, letter.reason, letter.tries) == ("news", "why", 3)
    assert letter.at == "2026-01-01T00:00:00Z"
    assert letter.event == json.loads(envelope(1, data="10m"))


async def test_what_is_no_envelope_is_kept_all_the_same(graveyard: Graveyard):
    """Broken JSON and JSON that is no object are letters too, each once."""
    for text in (b"{", b"{", b"[1]", b"\xff"):
        await graveyard.letters.keep("news", text, "why", 1)

    assert [letter.event for letter in await graveyard.letters.list(10)] == ["\ufffd", [1], "{"]


@pytest.mark.parametrize("limit", [1, BATCH, PAGE - 1, PAGE + 1, 3 * PAGE])
async def test_the_newest_come_first_and_as_many_as_asked(graveyard: Graveyard, limit: int):
    """The list starts with the newest letter, and no more letters than needed are read."""
    await graveyard.keep(*range(2 * PAGE + 10))
    graveyard.client.log.clear()
    numbers = await graveyard.numbers(limit)
    read = [names for names in graveyard.client.did("get") if names[3].startswith("l:")]

    assert numbers == [*range(2 * PAGE + 10)][::-1][:limit]
    assert len(read) == len(numbers)


async def test_few_letters_are_read_at_once(graveyard: Graveyard):
    """A letter may be as long as an event, so not all are read together."""
    await graveyard.keep(*range(3 * BATCH))
    graveyard.client.log.clear()
    gate = graveyard.client.hold("get")
    reading = asyncio.create_task(graveyard.numbers())
    asked = []
    while not reading.done():
        asked.append(len(graveyard.client.log))
        gate.set()
        gate.clear()
        await settle(1)

    assert max(after - before for before, after in pairwise(asked)) == BATCH
    assert len(await reading) == 3 * BATCH


async def test_a_list_takes_no_turn(graveyard: Graveyard):
    """It shows what is saved while the actor is busy (I9)."""
    await graveyard.keep(1)

    async with graveyard.host.activations.turn(LETTERS):
        assert await graveyard.numbers() == [1]


async def test_what_is_too_old_is_not_shown(graveyard: Graveyard):
    """A letter is listed for the retention time, even if no other was kept since."""
    await graveyard.keep(*range(PAGE))
    graveyard.clock.jump(600)
    await graveyard.keep(1000)

    assert len(await graveyard.numbers()) == PAGE + 1

    graveyard.clock.jump(500)

    assert await graveyard.numbers() == [1000]

    graveyard.clock.jump(500)

    assert await graveyard.numbers() == []


async def test_pages_that_are_too_old_are_not_read(graveyard: Graveyard):
    """The list ends with the pages among which the first one is that is too old."""
    await graveyard.keep(*range((PAGES + 2) * PAGE))
    graveyard.clock.jump(1001)
    await graveyard.keep(10_000, 10_001)
    graveyard.client.log.clear()

    assert await graveyard.numbers() == [10_001, 10_000]
    read = [names for names in graveyard.client.did("get") if names[3].startswith("p")]
    assert len(read) == PAGES


async def test_empty_pages_are_skipped(graveyard: Graveyard):
    """The letters on older pages are listed."""
    ids = await graveyard.keep(*range(20 * PAGE))
    for at, letter_id in enumerate(ids[1:], start=1):
        await graveyard.actor.forget(ForgetDeadLetter(letter_id, at // PAGE))

    assert await graveyard.numbers() == [0]


async def test_a_letter_that_is_removed_meanwhile_is_skipped(graveyard: Graveyard):
    """A page lists it, but it is not there any more."""
    _, second, _ = await graveyard.keep(1, 2, 3)
    del graveyard.client.state[LETTERS][slots.letter(second).key]

    assert await graveyard.numbers() == [3, 1]


async def test_a_store_that_is_away_is_no_empty_list(graveyard: Graveyard):
    """The caller gets the error."""
    await graveyard.keep(1)
    graveyard.client.fail("get", Unavailable("away"))

    with pytest.raises(Unavailable):
        await graveyard.letters.list(10)


async def test_a_letter_that_works_now_is_forgotten(graveyard: Graveyard):
    """A requeued letter is delivered once, unchanged, and removed if that succeeds."""
    first, second = await graveyard.keep(1, 2)
    letter = await graveyard.letters.requeue(first)

    assert letter is not None
    assert (letter.id, letter.topic, letter.event) == (first, "news", {"id": "1"})
    assert graveyard.delivered == [("news", envelope(1))]
    assert await graveyard.numbers() == [2]
    assert graveyard.stored.keys() == {"index", "p0", f"l:{second}"}
    assert await graveyard.letters.requeue(first) is None


@pytest.mark.parametrize("delivered", [False, True])
async def test_a_letter_whose_requeue_fails_stays(graveyard: Graveyard, delivered: bool):
    """The error says why; one that was delivered and not forgotten is delivered once more."""
    (letter_id,) = await graveyard.keep(1)
    if delivered:
        graveyard.client.fail("save", Unavailable("away"))
    else:
        graveyard.refusal = Conflict("/subscribe answered RETRY.")

    with pytest.raises(TryLater if delivered else Conflict, match=r"away|answered RETRY"):
        await graveyard.letters.requeue(letter_id)
    assert await graveyard.numbers() == [1]

    graveyard.refusal = None

    assert await graveyard.letters.requeue(letter_id) is not None
    assert len(graveyard.delivered) == 2
    assert await graveyard.numbers() == []


async def test_two_who_requeue_a_letter_forget_it_once(graveyard: Graveyard):
    """Both deliver it; the place counts one letter less."""
    first, _ = await graveyard.keep(1, 2)
    gate = graveyard.client.hold("save")
    requeues = [asyncio.create_task(graveyard.letters.requeue(first)) for _ in range(2)]
    await settle()
    gate.set()

    assert None not in await all_of(requeues)
    assert len(graveyard.delivered) == 2
    assert await graveyard.numbers() == [2]
    assert graveyard.stored["index"]["count"] == 1


@pytest.mark.parametrize("letter_id", ["nothing", "", "..", "a||b", "x?y", "l:1"])
async def test_an_unknown_letter_is_none(graveyard: Graveyard, letter_id: str):
    """There is nothing to requeue, and text that is no id reaches no store."""
    assert await graveyard.letters.requeue(letter_id) is None
    assert await graveyard.letters.requeue(dead_letters.id_of("news", b"")) is None
    assert len(graveyard.client.did("get")) == 1
    assert graveyard.delivered == []


async def test_letters_travel_through_the_sdk(fresh_registry: None, graveyard: Graveyard):
    """The actor takes its calls as the SDK dispatches them; a MiB of quotes is a letter, too."""
    await graveyard.register()
    client = DeadLetterClient(ProxyFactory(graveyard.client))
    event = json.dumps({"id": "1", "data": '"' * 524_288}).encode()
    letter_id = await client.keep(KeepDeadLetter("news", "why", 1, Envelope.of(event)))
    (letter,) = await graveyard.letters.list(1)

    assert (letter.id, letter.event) == (letter_id, json.loads(event))

    await client.forget(ForgetDeadLetter(letter_id, 0))

    assert await graveyard.letters.list(1) == []


async def test_an_event_too_long_to_be_kept_leaves_its_beginning(graveyard: Graveyard):
    """A sidecar limits documents; the sender and the user are still known."""
    event = envelope(1, source="far", data='"' * (LARGEST + 1))
    await graveyard.letters.keep("news", event, "why", 1)
    (letter,) = await graveyard.letters.list(10)

    assert f"{len(event)} bytes" in letter.reason
    assert letter.event["source"] == "far"
    assert letter.event["begins"].encode() == event[:BEGINNING]


async def test_a_list_is_not_longer_than_memory_bears(graveyard: Graveyard):
    """Letters of a megabyte are shown only as far as a few megabytes go."""
    for number in range(4 * BATCH):
        await graveyard.letters.keep("news", envelope(number, data="x" * 2**20), "why", 1)

    assert len(await graveyard.letters.list(1000)) == BATCH


async def test_two_sources_may_use_one_id(graveyard: Graveyard):
    """A CloudEvent is known by its source and its id, and neither of two is lost."""
    for source in ("one", "two"):
        await graveyard.letters.keep("news", envelope(1, source=source), "why", 1)

    assert len(await graveyard.letters.list(10)) == 2
