"""What is saved of a user with a number."""

from datetime import timedelta

from agent_actors.protocol import wire
from agent_actors.protocol.codec import encode
from agent_actors.protocol.messages import Message, Reply
from agent_actors.protocol.notifications import PhoneNumber
from agent_actors.state import slots
from agent_actors.state.documents.conversation import Head, Pair
from agent_actors.state.reader import StateReader
from agent_actors.state.store import StateStore
from tests.fakes import FakeActorClient
from tests.hand_clock import HandClock

NUMBER = "+14155550123"


class Kept:
    """What is saved of ada: her number, which is set when asked for, and one conversation."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.client = FakeActorClient()
        self.reader = StateReader(StateStore(self.client, self.clock, 5.0), 256)

    @property
    def now(self) -> float:
        return self.clock.now().timestamp()

    def number(self, number: str | None = NUMBER) -> None:
        """Sets or withdraws the number."""
        actor = self.client.state[wire.SESSION, "ada"]
        actor.pop(slots.PHONE.key, None)
        if number is not None:
            actor[slots.PHONE.key] = encode(PhoneNumber(number, self.now))

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
        self.client.state[wire.CHAT, "ada"][slots.HEAD.key] = encode(head)
