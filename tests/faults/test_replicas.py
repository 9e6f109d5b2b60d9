"""Two replicas, one of which goes: its actors answer on the other, and nothing happens twice."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx2

from tests.dapr.engine import Engine
from tests.e2e.service import clock
from tests.faults import people
from tests.faults.people import Person
from tests.faults.rig import Storm, calls, storm

KILLS = 2
MANY = 40
AT_ONCE = 12


def hosted(weather: Storm, replica: int) -> list[Person]:
    """The watchers whose last model call ran in that replica."""
    last = {call["user"]: call["replica"] for call in _in_turn(weather)}
    return [each for each in weather.watchers if last.get(each.user) == replica]


def _in_turn(weather: Storm) -> list[dict[str, int | str]]:
    return sorted(calls(weather.cluster), key=lambda call: call["at"])


async def test_a_killed_replica_is_replaced_by_the_other(engine: Engine, tmp_path: Path):
    """Callers of the killed one go to the other, where its actors answer; then it comes back."""
    name = "one of two replicas killed"
    async with storm(name, engine, tmp_path, replicas=2, watchers=16) as weather:
        async with weather.blowing():
            for number in range(KILLS):
                await weather.pause(1.0, 2.0)
                replica = weather.cluster.replicas[number % 2]
                lost = hosted(weather, number % 2)
                assert lost
                begun = clock.monotonic()
                replica.kill()
                await weather.recovered(begun, lost)
                await weather.pause(0.5, 1.0)
                begun = clock.monotonic()
                replica.spawn()
                await asyncio.to_thread(replica.wait_ready)
                await weather.recovered(begun, fault="the killed replica comes back")
        await weather.check(paid=1 + 2 * KILLS)


async def test_actors_are_spread_and_stay_serial(engine: Engine, tmp_path: Path):
    """Both replicas serve, and what is said at once, through both, is answered in some order."""
    name = "everyone through both replicas"
    async with storm(
        name, engine, tmp_path, replicas=2, talkers=0, watchers=MANY, parking_time=0.3
    ) as weather:
        await asyncio.gather(*(each.once() for each in weather.watchers))
        share = Counter(call["replica"] for call in calls(weather.cluster))

        assert min(share[0], share[1]) >= MANY // 8

        for user in ("crowd0", "crowd1", "crowd2"):
            answers = await asyncio.gather(*(_both(weather, user, n) for n in range(AT_ONCE)))
            await weather.rest([user])
            entries = await people.history(weather.place, user)
            pairs = [entry["content"] for entry in entries]
            replies = {answer.json()["response"]["content"] for answer in answers}

            assert sorted(pairs[::2]) == sorted(_crowd(user, n) for n in range(AT_ONCE))
            assert set(pairs[1::2]) == replies
            assert len(replies) == AT_ONCE
            assert await people.count(weather.place, user) == AT_ONCE
            await people.check_effects(weather.place, user, entries)
        await weather.check()


async def _both(weather: Storm, user: str, number: int) -> httpx2.Response:
    answer = await weather.place.through(number % 2, user, _crowd(user, number))
    assert answer.status_code == 200, answer.text
    return answer


def _crowd(user: str, number: int) -> str:
    order = "/slow 0.4 " if number % 5 == 4 else ""
    return f"{order}{user} says number {number} to all"


async def test_a_frozen_replica_may_forget_but_never_mixes(engine: Engine, tmp_path: Path):
    """One is frozen for ten seconds and thawed: no turn is doubled, and no wall falls.

    Meanwhile both may act for one conversation, and the last save wins: a turn that was committed
    in that window may be gone (docs/guarantees.md). So what is there is checked, not that all is.
    """
    name = "one of two replicas frozen for 10 s"
    async with storm(name, engine, tmp_path, replicas=2, watchers=16) as weather:
        async with weather.blowing():
            await weather.pause(1.0, 2.0)
            frozen = hosted(weather, 1)
            assert frozen
            weather.place.send_to(0, frozen)
            begun = clock.monotonic()
            weather.cluster.replicas[1].freeze()
            try:
                served = asyncio.ensure_future(weather.recovered(begun, frozen))
                await clock.sleep(10.0)
            finally:
                weather.cluster.replicas[1].thaw()
            begun = clock.monotonic()
            await served
            await weather.recovered(begun, fault="the frozen replica thaws")
        everyone = [person.user for person in weather.people]
        gone = [await _gone(weather, person, everyone) for person in weather.people]
        if any(gone):
            weather.place.seen["turns gone"] = sum(gone)
            weather.tell()
        else:
            await weather.check(paid=3)


async def _gone(weather: Storm, person: Person, everyone: list[str]) -> int:
    """How many turns of this person are gone; what is there was said by him, and once."""
    answered = {(turn.content, turn.reply) for turn in person.turns if turn.reply}
    entries = await people.history(weather.place, person.user)
    contents = [entry["content"] for entry in entries]
    kept = list(zip(contents[::2], contents[1::2], strict=True))
    people.check_walls(entries, person.user, everyone)

    assert await people.count(weather.place, person.user) == len(kept)
    assert len({said for said, _ in kept}) == len(kept)
    assert set(kept) <= answered
    return len(answered) - len(kept)
