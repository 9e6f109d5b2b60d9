"""The seam between actors and what carries them.

A runtime gives the SDK an actor client (calls, state, reminders, timers) and the service a way to
publish. `embedded` does it in process on SQLite; `dapr` beside a sidecar.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dapr.clients.base import DaprActorClientBase

from agent_actors.protocol.dead_letters import DeadLetter
from agent_actors.protocol.events import CloudEvent


@dataclass(frozen=True, slots=True)
class DeliveryResponse:
    """A subscription route's answer to an event."""

    status: int
    body: bytes


Headers = Sequence[tuple[bytes, bytes]]
"""Headers of a request; their names are in lower case."""


class Deliver(Protocol):
    """Posts to a route (a path) of the app.

    A CloudEvent envelope (JSON bytes), or what `headers` say: they name its content type, too.
    """

    def __call__(
        self, path: str, body: bytes, headers: Headers = (), /
    ) -> Awaitable[DeliveryResponse]:
        """The route's answer."""
        ...


Withdraw = Callable[[], None]
"""Puts every actor of this process away: what it keeps of them may be old."""


class DeadLetters(Protocol):
    """The place for events that could not be applied; bounded in number and age."""

    async def keep(self, topic: str, event: bytes, reason: str, tries: int) -> str:
        """Keeps an envelope (JSON bytes) and returns its id; the same envelope is kept once."""
        ...

    async def list(self, limit: int) -> Sequence[DeadLetter]:
        """The newest letters, newest first."""
        ...

    def find(self, which: Callable[[Any], bool]) -> AsyncIterator[DeadLetter]:
        """The letters whose event, as it is shown, is one of those, oldest first."""
        ...

    async def forget(self, letter_id: str) -> None:
        """Removes a letter, if it is there."""
        ...

    async def requeue(self, letter_id: str) -> DeadLetter | None:
        """Delivers a letter again and forgets it if that succeeds.

        Returns:
            The letter, or None where there is none of that id.

        Raises:
            Conflict: It failed again; the letter is still there.
        """
        ...


class Runtime(Protocol):
    """What carries the actors."""

    @property
    def actor_client(self) -> DaprActorClientBase:
        """Calls, state, reminders and timers of actors, as the SDK wants them."""
        ...

    @property
    def dead_letters(self) -> DeadLetters | None:
        """What could not be applied; None where an actor has to keep it."""
        ...

    @property
    def called_by_sidecar(self) -> bool:
        """Are actors called through routes of the app, or in process?"""
        ...

    async def publish(self, pubsub: str, topic: str, event: CloudEvent) -> None:
        """Hands an event to the broker.

        Raises:
            Unavailable: The broker did not take it (it may have, all the same).
        """
        ...

    async def invoke_binding(
        self, name: str, operation: str, data: Any, metadata: dict[str, str]
    ) -> bytes:
        """Has an output binding do something, and returns what it answers (nothing, for some).

        Args:
            name: The component's.
            operation: Such as `create`.
            data: Any JSON value.
            metadata: What the component reads beside it.

        Raises:
            Invalid: There is no such binding, or it does not do that.
            BindingFailed: What it speaks to has failed or refused.
            Unavailable: Nobody has answered; it may have been done, all the same.
        """
        ...

    async def get_secret(self, store: str, name: str) -> str | None:
        """A secret, or None where the store has none of that name.

        An empty secret is none. Of one with several values it is the value of the same name.

        Raises:
            Invalid: There is no such store.
            Unavailable: The store is away.
        """
        ...

    async def start(self, deliver: Deliver, withdraw: Withdraw) -> None:
        """Starts serving turns, reminders and topics.

        Raises:
            StartupError: It cannot; the text says why.
        """
        ...

    async def stop(self) -> None:
        """Takes no new turns, lets running ones end within the drain time. Idempotent."""
        ...

    async def sidecar_started(self) -> None:
        """A sidecar has asked what actors there are, and will host them once it is answered."""
        ...

    async def purge(self) -> None:
        """What was deleted from the state is on no disk of this runtime any more.

        Raises:
            Unavailable: It may be, still.
        """
        ...

    async def unready(self) -> str | None:
        """Why actors cannot be called now, or None if they can."""
        ...
