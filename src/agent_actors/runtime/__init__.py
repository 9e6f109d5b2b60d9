"""The interface of a runtime, which carries the actors.

A runtime gives the SDK an actor client (calls, state, reminders, timers) and the service a way to
publish. `embedded` runs in this process, on SQLite; `dapr` uses a sidecar.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dapr.clients.base import DaprActorClientBase

from agent_actors.protocol.dead_letters import DeadLetter
from agent_actors.protocol.events import CloudEvent


@dataclass(frozen=True, slots=True)
class DeliveryResponse:
    """A subscription route's response to an event."""

    status: int
    body: bytes


Headers = Sequence[tuple[bytes, bytes]]
"""Headers of a request, with names in lower case."""


class Deliver(Protocol):
    """Posts to a route of the app, named by its path.

    The body is a CloudEvent envelope in JSON unless `headers` name another content type.
    """

    def __call__(
        self, path: str, body: bytes, headers: Headers = (), /
    ) -> Awaitable[DeliveryResponse]:
        """The route's response."""
        ...


Withdraw = Callable[[], None]
"""Deactivates every actor of this process, since its cached state may be old."""


class DeadLetters(Protocol):
    """The store of events that could not be applied; bounded in number and age."""

    async def keep(self, topic: str, event: bytes, reason: str, tries: int) -> str:
        """Stores an envelope (JSON bytes) and returns its id; the same envelope is stored once."""
        ...

    async def list(self, limit: int) -> Sequence[DeadLetter]:
        """The newest letters, newest first."""
        ...

    def find(self, which: Callable[[Any], bool]) -> AsyncIterator[DeadLetter]:
        """The letters whose event, as it is shown, matches, oldest first."""
        ...

    async def forget(self, letter_id: str) -> None:
        """Removes a letter, if it is there."""
        ...

    async def requeue(self, letter_id: str) -> DeadLetter | None:
        """Delivers a letter again and forgets it if that succeeds; None if it is not there.

        Raises:
            Conflict: It failed again; the letter is still there.
        """
        ...


class Runtime(Protocol):
    """Carries the actors: calls, state, reminders, timers, topics, bindings and secrets."""

    @property
    def actor_client(self) -> DaprActorClientBase:
        """Calls, state, reminders and timers of actors, as the SDK wants them."""
        ...

    @property
    def dead_letters(self) -> DeadLetters | None:
        """The dead letters; None if an actor has to store them."""
        ...

    @property
    def called_by_sidecar(self) -> bool:
        """Are actors called through routes of the app, or in process?"""
        ...

    async def publish(self, pubsub: str, topic: str, event: CloudEvent) -> None:
        """Hands an event to the broker.

        Raises:
            Unavailable: The broker did not confirm the event, but may have taken it.
        """
        ...

    async def invoke_binding(
        self, name: str, operation: str, data: Any, metadata: dict[str, str]
    ) -> bytes:
        """Invokes an output binding, with any JSON value, and returns its response, maybe empty.

        Raises:
            Invalid: There is no such binding, or it does not have this operation.
            BindingFailed: The system behind the binding has failed or refused.
            Unavailable: There was no response; the operation may have taken effect.
        """
        ...

    async def get_secret(self, store: str, name: str) -> str | None:
        """A secret, or None if the store has none of that name.

        An empty secret counts as none. A secret of several values is the one of the same name.

        Raises:
            Invalid: There is no such store.
            Unavailable: The store cannot be reached.
        """
        ...

    async def start(self, deliver: Deliver, withdraw: Withdraw) -> None:
        """Starts serving turns, reminders and topics.

        Raises:
            StartupError: The runtime cannot start; the text says why.
        """
        ...

    async def stop(self) -> None:
        """Takes no new turns and lets running turns end within the drain time. Idempotent."""
        ...

    async def sidecar_started(self) -> None:
        """Called when a sidecar asks for the actor types, which it hosts after the response."""
        ...

    async def purge(self) -> None:
        """Removes deleted state from the disks of this runtime.

        Raises:
            Unavailable: It may still be there.
        """
        ...

    async def unready(self) -> str | None:
        """Why actors cannot be called now, or None if they can."""
        ...
