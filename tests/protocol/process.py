"""One process of the service: its real parts, wired by the composition, on a simulated runtime."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from dapr.actor import Actor, ActorId
from dapr.actor.runtime._type_information import ActorTypeInformation
from dapr.actor.runtime.context import ActorRuntimeContext
from dapr.actor.runtime.manager import ActorManager
from dapr.clients.base import DaprActorClientBase
from pydantic_core import from_json, to_json

from agent_actors.errors import Unavailable
from agent_actors.model import Prompt
from agent_actors.model.calls import Call
from agent_actors.protocol.codec import ValueSerializer
from agent_actors.protocol.events import CloudEvent
from agent_actors.protocol.ids import ActorRef
from agent_actors.protocol.messages import Failure
from agent_actors.runtime import Deliver, Withdraw
from agent_actors.service import Service
from agent_actors.settings import Settings
from agent_actors.turns.actor import TurnActor
from tests.protocol.sidecar import TURN
from tests.protocol.watched_model import WatchedModel

if TYPE_CHECKING:
    from tests.protocol.world import Sizes, World

Build = Callable[[ActorRuntimeContext, ActorId], Actor]


class Process:
    """A process, from its start to its crash.

    Args:
        world: Where it runs.
        index: Its place: 0 or 1. A process that follows a crashed one has the same.
    """

    def __init__(self, world: "World", index: int) -> None:
        self.world = world
        self.index = index
        self.alive = True
        self.running: set[ActorRef] = set()
        self.acting: dict[asyncio.Task[Any], TurnActor] = {}
        self.acted: set[TurnActor] = set()
        self.newest: dict[ActorRef, TurnActor] = {}
        self.gone: set[TurnActor] = set()
        self.strays: set[ActorRef] = set()
        """Actors whose running turn came late: it was sent here before they moved away."""
        self.actor_client = Client(self)
        model = WatchedModel(self)
        service = Service(settings(world.sizes), self, model, world.clock)
        self.services = replace(service.services, new_turn_id=world.new_id)
        if not world.sizes.sums_up:
            service._summaries.request_user_summary = lambda user, events: None  # type: ignore[method-assign]
        self._watch_calls(service)
        self.managers = {
            actor.__name__: self._manager(actor, build)
            for actor, build in service._builders().items()
        }

    async def deactivate(self, actor: "ActorRef") -> None:
        """What the sidecar says when an actor is deactivated."""
        manager = self.managers[actor[0]]
        self.gone.update(each for each in (self.newest.get(actor),) if each)
        if actor[1] in manager._active_actors:
            await manager.deactivate_actor(ActorId(actor[1]))

    def check_live(self, deed: str) -> None:
        """Only the newest activation may act, and only until it is deactivated (rule 3)."""
        task = asyncio.current_task()
        actor = self.acting.get(task) if task else None
        if actor is None or not self.alive:
            return
        if actor in self.gone or self.newest[actor.ref] is not actor:
            self.world.violate(f"an activation of {actor.ref} that was deactivated {deed}")

    # -- the runtime that the composition is given ---------------------------------------------

    called_by_sidecar = True
    dead_letters = None

    async def purge(self) -> None:
        """Nothing is on a disk."""

    async def sidecar_started(self) -> None:
        """There is none that could be a new one."""

    async def publish(self, pubsub: str, topic: str, event: CloudEvent) -> None:
        """Hands an event to the broker."""
        await self.world.broker.publish(pubsub, topic, event)

    async def invoke_binding(
        self, name: str, operation: str, data: Any, metadata: dict[str, str]
    ) -> bytes:
        """There are none."""
        raise Unavailable("There are no bindings here.")

    async def get_secret(self, store: str, name: str) -> str | None:
        """There are none."""
        return None

    async def start(self, deliver: Deliver, withdraw: Withdraw) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    async def unready(self) -> str | None:
        """Ready."""
        return None

    # -- what is watched -----------------------------------------------------------------------

    def _manager(self, actor: type[Actor], build: Build) -> ActorManager:
        values = ValueSerializer()
        return ActorManager(
            ActorRuntimeContext(
                _kind(actor), values, values, self.actor_client, self._watched(build)
            )
        )

    def _watched(self, build: Build) -> Build:
        def make(ctx: ActorRuntimeContext, actor_id: ActorId) -> Actor:
            actor = cast(TurnActor, build(ctx, actor_id))
            self.newest[actor.ref] = actor
            self.world.seen["activation"] += 1
            actor.run = self._watch_turn(actor, actor.run)  # type: ignore[method-assign]
            return actor

        return make

    def _watch_turn(self, actor: TurnActor, run: Callable[..., Awaitable[Any]]) -> Any:
        async def watched(method: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> Any:
            task = asyncio.current_task()
            assert task is not None
            if actor.ref in self.running:
                self.world.violate(f"two turns of {actor.ref} overlap in a process")
            self.running.add(actor.ref)
            self.acting[task] = actor
            self.acted.add(actor)
            if self.world.sidecar.host(actor.ref) is not self:
                self.strays.add(actor.ref)
            try:
                result = await run(method, args)
                if isinstance(result, Failure) and result.error.status == 500:
                    self.world.violate(f"a turn of {actor.ref} ends with a defect")
                return result
            finally:
                self.running.discard(actor.ref)
                self.strays.discard(actor.ref)
                del self.acting[task]

        return watched

    def _watch_calls(self, service: Service) -> None:
        start = service._calls.start

        def watched(prompt: Prompt) -> Call:
            self.check_live("starts the model")
            request = TURN.get()
            assert request is not None
            where = (prompt.conversation, prompt.turn_id)
            self.world.ledger.called(self, where, request.asked)
            return start(prompt)

        service._calls.start = watched  # type: ignore[method-assign]


class Client(DaprActorClientBase):
    """The sidecar as a process reaches it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world

    async def invoke_method(
        self, actor_type: str, actor_id: str, method: str, data: bytes | None = None
    ) -> bytes:
        """Calls an actor, wherever it is."""
        world, actor = self._world, ActorRef(actor_type, actor_id)
        self._process.check_live("calls")
        asked = world.count
        world.seen[f"call {method}"] += 1
        await self._gate(f"call {method}", actor)
        request = world.sidecar.accept(actor, method, data or b"", asked)
        try:
            answer = await request.reply
        except asyncio.CancelledError:
            world.sidecar.leave(request)
            raise
        await self._gate(f"reply {method}", actor)
        world.ledger.replied(actor, method, answer)
        return answer

    async def get_state(self, actor_type: str, actor_id: str, name: str) -> bytes:
        """Reads a document."""
        actor = ActorRef(actor_type, actor_id)
        await self._gate(f"read {name}", actor)
        if self._strikes("load", actor):
            raise Unavailable("The store is away.")
        value = self._world.store[actor].get(name, b"")
        await self._gate(f"was read {name}", actor)
        return value

    async def save_state_transactionally(self, actor_type: str, actor_id: str, data: bytes) -> None:
        """Saves documents, if the actor lives here."""
        actor = ActorRef(actor_type, actor_id)
        self._process.check_live("saves")
        await self._gate("save", actor)
        self._check_place(actor)
        fault = self._strikes("save", actor)
        if fault != "before":
            self._apply(actor, data)
        await self._gate("was saved", actor)
        if fault:
            raise Unavailable("The store is away.")

    async def register_reminder(
        self, actor_type: str, actor_id: str, name: str, data: bytes
    ) -> None:
        """Registers a reminder, if the actor lives here."""
        actor = ActorRef(actor_type, actor_id)
        self._process.check_live("registers")
        await self._gate("register", actor)
        self._check_place(actor)
        fault = self._world.strikes("reminder")
        self._world.seen["registered"] += 1
        if fault != "before":
            self._world.remind(actor, name, from_json(data))
        await self._gate("was registered", actor)
        if fault:
            raise Unavailable("The scheduler is away.")

    async def unregister_reminder(self, actor_type: str, actor_id: str, name: str) -> None:
        """Unregisters a reminder, if the actor lives here."""
        actor = ActorRef(actor_type, actor_id)
        self._process.check_live("unregisters")
        await self._gate("unregister", actor)
        self._check_place(actor)
        fault = self._world.strikes("reminder")
        if fault != "before":
            self._world.unremind(actor, name)
        await self._gate("was unregistered", actor)
        if fault:
            raise Unavailable("The scheduler is away.")

    async def register_timer(self, actor_type: str, actor_id: str, name: str, data: bytes) -> None:
        """Not used."""
        raise NotImplementedError

    async def unregister_timer(self, actor_type: str, actor_id: str, name: str) -> None:
        """Not used."""
        raise NotImplementedError

    async def _gate(self, what: str, actor: "ActorRef") -> None:
        if not self._process.alive:
            raise Unavailable("The process has crashed.")
        if actor[0] in self._world.sizes.quiet:
            return
        await self._world.gate(f"{self._process.index} {what} {actor[0]} {actor[1]}")

    def _strikes(self, kind: str, actor: "ActorRef") -> str | None:
        return None if actor[0] in self._world.sizes.quiet else self._world.strikes(kind)

    def _check_place(self, actor: "ActorRef") -> None:
        if self._world.sidecar.host(actor) is not self._process:
            raise Unavailable("ERR_ACTOR_INSTANCE_MISSING")

    def _apply(self, actor: "ActorRef", data: bytes) -> None:
        documents = self._world.store[actor]
        changes: dict[str, Any] = {}
        for operation in from_json(data):
            key = operation["request"]["key"]
            changes[key] = operation["request"].get("value")
            if operation["operation"] == "delete":
                documents.pop(key, None)
            else:
                documents[key] = to_json(changes[key])
        self._world.seen[f"save of {actor[0]}"] += 1
        self._world.note("saved", actor, changes)
        self._world.ledger.saved(actor, changes)


_KINDS: dict[type[Actor], ActorTypeInformation] = {}


def _kind(actor: type[Actor]) -> ActorTypeInformation:
    """What the SDK finds out about a class; asked once, since a world is short."""
    if actor not in _KINDS:
        _KINDS[actor] = ActorTypeInformation.create(actor)
    return _KINDS[actor]


def settings(sizes: "Sizes") -> Settings:
    """Settings beyond their own bounds: small."""
    return Settings.model_construct(
        outcomes_kept=sizes.outcomes_kept,
        history_turns=sizes.history_turns,
        queue_length=sizes.queue_length,
        parking_time=sizes.parking_time,
        call_time=sizes.call_time,
        model_time=sizes.model_time,
        window_turns=3,
        window_tokens=16,
        summary_events=2,
        summary_time=5.0,
    )
