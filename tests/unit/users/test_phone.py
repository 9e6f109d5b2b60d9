"""The preference `phone`: since when a number is the user's."""

import pytest

from agent_actors.protocol import wire
from agent_actors.state import slots
from agent_actors.users.session import UserSessionActor
from tests.hand_clock import HandClock
from tests.unit.users.consumers import Bench

NUMBER = "+14155550123"


@pytest.fixture
def bench() -> Bench:
    return Bench(wire.SESSION)


async def prefer(bench: Bench, **values: str) -> dict[str, object] | None:
    """Sets the preferences, a second later; what is kept of the number."""
    assert isinstance(bench.actor, UserSessionActor)
    assert isinstance(bench.actor.clock, HandClock)
    bench.actor.clock.jump(1)
    await bench.actor.set_preferences(values)
    phone: dict[str, object] | None = bench.client.value(bench.key, slots.PHONE)
    return phone


async def test_a_number_is_kept_with_its_time(bench: Bench):
    """In one transaction with the preferences, in which it is, too."""
    kept = await prefer(bench, phone=NUMBER, language="en")

    assert kept == {"number": NUMBER, "since": bench.actor.clock.now().timestamp(), "v": 1}
    assert bench.client.did("save") == [("save", *bench.key, "preferences", "phone")]


async def test_a_number_that_stays_has_its_first_time(bench: Bench):
    """Whatever else is preferred; another one has a new time, and one that comes back, too."""
    first = await prefer(bench, phone=NUMBER)
    assert await prefer(bench, phone=NUMBER, language="en") == first

    second = await prefer(bench, phone="+14155550199")
    assert await prefer(bench, language="en") is None
    third = await prefer(bench, phone=NUMBER)
    times = [each["since"] for each in (first, second, third) if each]
    assert times == sorted(set(times), key=float)  # type: ignore[arg-type]
    assert len(times) == 3


async def test_what_is_no_number_is_only_a_preference(bench: Bench):
    """As one that was set before numbers were checked."""
    assert await prefer(bench, phone="call me") is None
    assert bench.client.value(bench.key, slots.PREFERENCES)["values"] == [["phone", "call me"]]


async def test_a_forgotten_user_has_no_number(bench: Bench):
    """Nor preferences."""
    await prefer(bench, phone=NUMBER)
    await bench.forget()

    assert bench.client.state[bench.key].keys() == {"tombstone"}
