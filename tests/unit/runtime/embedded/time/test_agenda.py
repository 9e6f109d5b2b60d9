import asyncio

from agent_actors.runtime.embedded.time.agenda import Agenda
from tests.hand_clock import HandClock, settle


async def collect(agenda: Agenda[str], taken: list[str]) -> None:
    while True:
        taken.append((await agenda.take())[1])


async def test_entries_come_when_they_are_due():
    """Each entry is taken at its time, whatever order they were entered in."""
    clock, taken = HandClock(), list[str]()
    agenda: Agenda[str] = Agenda(clock, clock.monotonic)
    agenda.add(5, "late")
    task = asyncio.create_task(collect(agenda, taken))
    await settle()
    agenda.add(2, "early")
    agenda.add(2, "early too")
    await clock.advance(1.9)

    assert taken == []

    await clock.advance(0.1)

    assert taken == ["early", "early too"]

    await clock.advance(100)

    assert taken == ["early", "early too", "late"]

    task.cancel()


async def test_a_wall_clock_that_jumps_is_noticed():
    """An entry that a sleeping laptop missed is taken within half a minute."""
    clock, taken = HandClock(), list[str]()
    agenda: Agenda[str] = Agenda(clock, lambda: clock.now().timestamp())
    agenda.add(clock.now().timestamp() + 3600, "missed")
    task = asyncio.create_task(collect(agenda, taken))
    await settle()
    clock.jump(7200)
    await clock.advance(30)

    assert taken == ["missed"]

    task.cancel()


async def test_void_entries_are_forgotten():
    """Pruning keeps the entries that are to be kept, in their order."""
    clock = HandClock()
    agenda: Agenda[str] = Agenda(clock, clock.monotonic)
    for number in range(10):
        agenda.add(-number, str(number))
    agenda.prune(lambda entry: int(entry) % 5 == 0)

    assert len(agenda) == 2
    assert (await agenda.take())[1] == "5"
