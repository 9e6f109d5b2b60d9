"""DeadLetterActor: what could not be applied, bounded in number and age."""

from random import Random

import pytest

from agent_actors.dead_letters import actor
from agent_actors.errors import AgentError, TryLater, Unavailable
from agent_actors.protocol import dead_letters
from agent_actors.protocol.dead_letters import Envelope, ForgetDeadLetter
from agent_actors.state import slots
from agent_actors.state.documents.dead_letters import LETTERS as PAGE
from tests.unit.dead_letters.graveyard import LETTERS, Graveyard, envelope


async def whole(graveyard: Graveyard) -> bool:
    """Whether index, pages and letters agree, and nothing else is stored."""
    stored = graveyard.stored
    index = stored.pop("index")
    pages = {key: value["letters"] for key, value in stored.items() if key.startswith("p")}
    listed = [each["letter_id"] for page in pages.values() for each in page]
    return (
        all(pages.values())
        and all(index["first"] <= int(key[1:]) <= index["last"] for key in pages)
        and len(listed) == len(set(listed)) == index["count"]
        and {f"l:{each}" for each in listed} == stored.keys() - pages.keys()
    )


async def test_the_same_envelope_is_kept_once(graveyard: Graveyard):
    """Letter, page and index in one transaction; on another topic it is another letter."""
    ids = await graveyard.keep(1, 1)
    assert graveyard.client.did("save") == [("save", *LETTERS, "index", "p0", f"l:{ids[0]}")]
    other = await graveyard.letters.keep("plain", envelope(1), "why", 1)

    assert ids[0] == ids[1] != other
    assert await whole(graveyard)


async def test_the_oldest_go_when_there_are_too_many():
    """No more than the limit are kept, on one page or many."""
    for number in (1, 3, PAGE, PAGE + 1, 2 * PAGE + 7):
        graveyard = Graveyard(number)
        await graveyard.keep(*range(4 * PAGE))

        assert await graveyard.numbers() == [*range(4 * PAGE)][::-1][:number]
        assert await whole(graveyard)


async def test_a_lower_bound_is_reached_a_page_at_a_time(graveyard: Graveyard):
    """Keeping a letter costs the same, however many are over the limits."""
    await graveyard.keep(*range(3 * PAGE))
    graveyard.bounds = dead_letters.LetterLimits(5, 1000.0)
    graveyard.activate()

    await graveyard.keep(1000)
    assert len(await graveyard.numbers()) == 2 * PAGE + 1

    await graveyard.keep(1001, 1002)
    assert len(await graveyard.numbers()) == 5
    assert await whole(graveyard)


async def test_old_ones_are_deleted(graveyard: Graveyard, caplog: pytest.LogCaptureFixture):
    """With the next letter those that are too old leave the store, and the log names them."""
    (gone,) = await graveyard.keep(1)
    graveyard.clock.jump(600)
    await graveyard.keep(2)
    graveyard.clock.jump(600)
    await graveyard.keep(3)

    assert await graveyard.numbers() == [3, 2]
    assert f"l:{gone}" not in graveyard.stored
    assert gone in caplog.text
    assert await whole(graveyard)


async def test_a_page_of_old_ones_goes_whole(graveyard: Graveyard):
    """The next page becomes the first."""
    await graveyard.keep(*range(PAGE + 1))
    graveyard.clock.jump(1000)
    await graveyard.keep(1000)

    assert graveyard.stored["index"] == {"v": 1, "first": 1, "last": 1, "count": 2}

    await graveyard.keep(1001)

    assert await graveyard.numbers() == [1001, 1000]
    assert await whole(graveyard)


@pytest.mark.parametrize("forgotten", [False, True])
async def test_a_letter_that_dies_again_is_kept_anew(graveyard: Graveyard, forgotten: bool):
    """Too old or forgotten, it is listed on one page only, and its old page goes without it."""
    first, *_ = await graveyard.keep(*range(2 * PAGE))
    if forgotten:
        await graveyard.actor.forget(ForgetDeadLetter(first, 0))
    graveyard.clock.jump(999 if forgotten else 1001)
    (again,) = await graveyard.keep(0)
    graveyard.clock.jump(2)
    await graveyard.keep(1000, 1001, 1002)

    assert again == first
    assert await graveyard.numbers() == [1002, 1001, 1000, 0]
    assert await whole(graveyard)


async def test_a_letter_is_forgotten_once(graveyard: Graveyard):
    """Again, of another page, or of no letter at all, it changes nothing; the last one, too."""
    first, second = await graveyard.keep(1, 2)
    for forget in (
        ForgetDeadLetter(first, 0),
        ForgetDeadLetter(first, 0),
        ForgetDeadLetter(second, 1),
        ForgetDeadLetter("nothing", 0),
    ):
        assert await graveyard.actor.forget(forget) is None  # type: ignore[func-returns-value]

    assert await graveyard.numbers() == [2]
    assert len(graveyard.client.did("save")) == 3
    assert await whole(graveyard)
    await graveyard.actor.forget(ForgetDeadLetter(second, 0))
    assert graveyard.stored.keys() == {"index"}
    assert await graveyard.numbers() == []
    await graveyard.keep(1)
    assert await graveyard.numbers() == [1]


async def test_the_bound_holds_over_pages_that_were_emptied():
    """A page without letters is left by the next letter."""
    graveyard = Graveyard(PAGE)
    for letter_id in await graveyard.keep(*range(PAGE)):
        await graveyard.actor.forget(ForgetDeadLetter(letter_id, 0))
    await graveyard.keep(*range(3 * PAGE))

    assert len(await graveyard.numbers()) == PAGE
    assert await whole(graveyard)


@pytest.mark.parametrize("worked", [False, True])
async def test_a_failed_save_is_not_believed(graveyard: Graveyard, worked: bool):
    """The caller gets the error; whether the save worked or not, the letter is kept once."""
    await graveyard.keep(1)
    graveyard.client.fail("save", Unavailable("away"), after=worked)
    before = graveyard.stored

    with pytest.raises(TryLater, match="away"):
        await graveyard.keep(2)
    assert worked or graveyard.stored == before

    await graveyard.keep(2)

    assert await graveyard.numbers() == [2, 1]
    assert await whole(graveyard)


async def test_letters_survive_their_activation(graveyard: Graveyard):
    """A fresh activation continues where the last one was."""
    await graveyard.keep(1)
    former = graveyard.actor
    graveyard.activate()
    await graveyard.keep(1, 2)

    assert not former.live
    assert await graveyard.numbers() == [2, 1]
    assert await whole(graveyard)


@pytest.mark.parametrize("key", ["index", "p0", "letter"])
async def test_broken_is_not_absent(graveyard: Graveyard, key: str):
    """What cannot be read is an error, and nothing is saved over it (I6)."""
    (letter_id,) = await graveyard.keep(1)
    state = graveyard.client.state[LETTERS]
    state[f"l:{letter_id}" if key == "letter" else key] = b'{"v":99}'
    before = dict(state)
    graveyard.activate()

    with pytest.raises(AgentError, match="another release"):
        await graveyard.keep(1 if key == "letter" else 2)
    assert state == before


async def test_a_store_that_is_away_is_no_empty_place(graveyard: Graveyard):
    """Where a read fails nothing is saved."""
    await graveyard.keep(1)
    graveyard.activate()
    graveyard.client.fail("get", Unavailable("away"))

    with pytest.raises(TryLater, match="away"):
        await graveyard.keep(2)

    await graveyard.keep(2)

    assert await graveyard.numbers() == [2, 1]


async def test_a_letter_costs_the_same_however_many_there_are():
    """Ten or five thousand: what is read and saved for one letter is about as much (I7)."""
    graveyard = Graveyard(5_000)
    weights = []
    for number in range(5_100):
        before = graveyard.client.weight
        await graveyard.keep(number)
        weights.append(graveyard.client.weight - before)

    page = len(graveyard.client.state[LETTERS][slots.letter_page(2).key])
    early, late, full = (max(weights[at : at + PAGE]) for at in (PAGE, 4_900, 5_020))

    assert late <= 1.05 * early
    assert full <= late + 1.1 * page
    assert max(weights) <= weights[10] + 4 * page
    assert await whole(graveyard)


async def test_bytes_that_are_no_text_survive(graveyard: Graveyard):
    """Any bytes at all are there again as they were (I8)."""
    for event in (b"\xff\x00", '{"id":"☃ “10m”"}\x00'.encode(), b""):
        letter_id = await graveyard.letters.keep("news", event, "why", 1)
        kept = graveyard.stored[f"l:{letter_id}"]["envelope"]

        assert Envelope(**kept).event == event


@pytest.mark.parametrize("seed", range(8))
async def test_any_sequence_leaves_the_newest(monkeypatch: pytest.MonkeyPatch, seed: int):
    """Keeps, pauses, failures and activations in any order: the newest that are not too old."""
    monkeypatch.setattr(actor, "LETTERS", 3)
    random = Random(seed)
    graveyard = Graveyard(random.choice([1, 3, 7, 20]), age=100.0)
    expected: dict[int, float] = {}
    for _ in range(200):
        await _one_step(graveyard, random)
        number, now = random.randrange(40), graveyard.clock.monotonic()
        await graveyard.keep(number)
        expected = {each: at for each, at in expected.items() if at > now - 100.0}
        expected.setdefault(number, now)
        expected = dict([*expected.items()][-graveyard.bounds.number :])

        assert await graveyard.numbers() == [*expected][::-1]
        assert await whole(graveyard)


async def _one_step(graveyard: Graveyard, random: Random) -> None:
    step = random.randrange(8)
    if step == 0:
        graveyard.clock.jump(random.choice([1, 50, 101]))
    elif step == 1:
        graveyard.activate()
    elif step == 2:
        graveyard.client.fail("save", Unavailable("away"))
        with pytest.raises(TryLater):
            await graveyard.keep(random.randrange(1000, 1010))


@pytest.mark.parametrize("seed", range(8))
async def test_any_sequence_with_forgets_keeps_the_place_whole(
    monkeypatch: pytest.MonkeyPatch, seed: int
):
    """Whatever is forgotten, pages and letters agree, and nothing is lost below the bound."""
    monkeypatch.setattr(actor, "LETTERS", 3)
    random = Random(seed)
    graveyard = Graveyard(12, age=1000.0)
    for _ in range(200):
        before = await graveyard.letters.list(1000)
        (kept,) = await graveyard.keep(random.randrange(40))
        after = [letter.id for letter in await graveyard.letters.list(1000)]

        assert kept in after
        assert {letter.id for letter in before[:11]} <= {*after}

        for letter_id in random.sample(after, random.randrange(min(len(after), 3) + 1)):
            await graveyard.letters.requeue(letter_id)
            after.remove(letter_id)

        assert [letter.id for letter in await graveyard.letters.list(1000)] == after
        assert await whole(graveyard)
