"""What is saved of a user with a number."""

from datetime import timedelta

from agent_actors import contracts, slots
from agent_actors.documents import Head, Pair
from agent_actors.messages import Message, Reply
from agent_actors.notices import Phone
from agent_actors.saved import Saved
from agent_actors.serializer import encode
from agent_actors.slots import Store
from tests.fakes import FakeActorClient
from tests.hand_clock import HandClock

NUMBER = "+14155550123"


class Kept:
    """What is saved of ada: her number, which is set when asked for, and one conversation."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.client = FakeActorClient()
        self.saved = Saved(Store(self.client, self.clock, 5.0), 256)

    @property
    def now(self) -> float:
        return self.clock.now().timestamp()

    def number(self, number: str | None = NUMBER) -> None:
        """Sets or withdraws the number."""
        actor = self.client.state[contracts.SESSION, "ada"]
        actor.pop(slots.PHONE.key, None)
        if number is not None:
            actor[slots.PHONE.key] = encode(Phone(number, self.now))

    def history(self, *ages: float, start: int = 0, user: str = "ada") -> None:
        """Turns that were committed so many seconds ago; no more than a tail has."""
        pairs = tuple(
            Pair(
                number,
                f"turn {number}",
                Message("user", f"said {number}"),
                Reply("yes"),
                (self.clock.now() - timedelta(seconds=age)).isoformat(),
            )
            for number, age in enumerate(ages, 1)
        )
        head = Head(user=user, seq=len(ages), start=start, tail=pairs)
        self.client.state[contracts.CHAT, "ada"][slots.HEAD.key] = encode(head)
