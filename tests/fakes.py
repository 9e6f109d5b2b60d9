"""Small fakes at our own seams: an actor client, a runtime, a model, and clients of actors."""

import asyncio
import inspect
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from dapr.actor import Actor, ActorRuntime
from dapr.actor.runtime._type_information import ActorTypeInformation
from dapr.actor.runtime.context import ActorRuntimeContext
from dapr.clients.base import DaprActorClientBase

from agent_actors.clock import Clock, SystemClock
from agent_actors.model import Model, Prompt
from agent_actors.protocol import ids, wire
from agent_actors.protocol.codec import ValueSerializer
from agent_actors.protocol.dead_letters import DeadLetter
from agent_actors.protocol.events import CloudEvent
from agent_actors.protocol.messages import Message, Reply, Turn
from agent_actors.runtime import Deliver, Withdraw
from agent_actors.state.documents.conversation import OutcomeRecord, Pair
from agent_actors.state.slots import Slot
from agent_actors.turns.activations import Activations
from agent_actors.turns.actor import Host

DEADLINE = 20.0


async def eventually(holds: Callable[[], Any], within: float = DEADLINE) -> None:
    """Waits on real time until it (or what it promises) is true: for what other tasks do."""
    clock = SystemClock()
    async with clock.timeout(within):
        while True:
            found = holds()
            if await found if inspect.isawaitable(found) else found:
                return
            await clock.sleep(0.002)


@dataclass
class _Fault:
    error: BaseException
    after: bool


class FakeActorClient(DaprActorClientBase):
    """State, reminders, timers and calls of actors, in memory.

    `get`, `save`, `invoke`, `register` and `unregister` (reminders), `start` and `end` (timers) can
    be made to fail, before or after they have taken effect, or to wait at a gate.
    """

    def __init__(self) -> None:
        self.state: defaultdict[tuple[str, str], dict[str, bytes]] = defaultdict(dict)
        self.reminders: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.timers: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.log: list[tuple[str, ...]] = []
        """What was done, in order: the operation, then its names."""
        self.answers: dict[str, bytes] = {}
        """What an invoked method returns, by its name; else the SDK dispatches it."""
        self._faults: defaultdict[str, list[_Fault]] = defaultdict(list)
        self._gates: dict[str, asyncio.Event] = {}

    def fail(
        self, operation: str, error: BaseException, *, after: bool = False, times: int = 1
    ) -> None:
        """The next ones fail; with `after`, although they have worked."""
        self._faults[operation] += [_Fault(error, after)] * times

    def hold(self, operation: str) -> asyncio.Event:
        """From now on it waits for this event before it takes effect."""
        self._gates[operation] = asyncio.Event()
        return self._gates[operation]

    def did(self, operation: str) -> list[tuple[str, ...]]:
        """What was done of that kind."""
        return [entry for entry in self.log if entry[0] == operation]

    def value(self, actor: tuple[str, str], slot: Slot[Any]) -> Any:
        """A stored document as JSON, or None."""
        data = self.state[actor].get(slot.key)
        return None if data is None else json.loads(data)

    @asynccontextmanager
    async def _doing(self, operation: str, *names: str) -> AsyncIterator[None]:
        self.log.append((operation, *names))
        fault = self._faults[operation].pop(0) if self._faults[operation] else None
        if operation in self._gates:
            await self._gates[operation].wait()
        if fault is not None and not fault.after:
            raise fault.error
        yield
        if fault is not None:
            raise fault.error

    async def invoke_method(
        self, actor_type: str, actor_id: str, method: str, data: bytes | None = None
    ) -> bytes:
        async with self._doing("invoke", actor_type, actor_id, method):
            if method in self.answers:
                return self.answers[method]
            answer: bytes = await ActorRuntime.dispatch(actor_type, actor_id, method, data or b"")
            return answer

    async def save_state_transactionally(self, actor_type: str, actor_id: str, data: bytes) -> None:
        changes = json.loads(data)
        keys = [change["request"]["key"] for change in changes]
        async with self._doing("save", actor_type, actor_id, *keys):
            for change in changes:
                request = change["request"]
                if change["operation"] == "delete":
                    self.state[actor_type, actor_id].pop(request["key"], None)
                else:
                    value = json.dumps(request["value"]).encode()
                    self.state[actor_type, actor_id][request["key"]] = value

    async def get_state(self, actor_type: str, actor_id: str, name: str) -> bytes:
        async with self._doing("get", actor_type, actor_id, name):
            return self.state[actor_type, actor_id].get(name, b"")
        raise AssertionError("not reached")

    async def register_reminder(
        self, actor_type: str, actor_id: str, name: str, data: bytes
    ) -> None:
        async with self._doing("register", actor_type, actor_id, name):
            self.reminders[actor_type, actor_id, name] = json.loads(data)

    async def unregister_reminder(self, actor_type: str, actor_id: str, name: str) -> None:
        async with self._doing("unregister", actor_type, actor_id, name):
            self.reminders.pop((actor_type, actor_id, name), None)

    async def register_timer(self, actor_type: str, actor_id: str, name: str, data: bytes) -> None:
        async with self._doing("start", actor_type, actor_id, name):
            self.timers[actor_type, actor_id, name] = json.loads(data)

    async def unregister_timer(self, actor_type: str, actor_id: str, name: str) -> None:
        async with self._doing("end", actor_type, actor_id, name):
            self.timers.pop((actor_type, actor_id, name), None)


class FakeDeadLetters:
    """`runtime.DeadLetters` in a dict."""

    def __init__(self) -> None:
        self.kept: dict[str, DeadLetter] = {}

    async def keep(self, topic: str, event: bytes, reason: str, tries: int) -> str:
        letter_id = f"letter{len(self.kept)}"
        shown = json.loads(event) if event else None
        at = "2026-01-01T00:00:00Z"
        self.kept[letter_id] = DeadLetter(letter_id, topic, reason, tries, at, shown)
        return letter_id

    async def list(self, limit: int) -> Sequence[DeadLetter]:
        return [*self.kept.values()][::-1][:limit]

    async def find(self, which: Callable[[Any], bool]) -> AsyncIterator[DeadLetter]:
        for letter in [*self.kept.values()]:
            if which(letter.event):
                yield letter

    async def forget(self, letter_id: str) -> None:
        self.kept.pop(letter_id, None)

    async def requeue(self, letter_id: str) -> DeadLetter | None:
        return self.kept.pop(letter_id, None)


class FakeRuntime:
    """`Runtime` in memory: events are delivered when a test says so."""

    def __init__(self, *, called_by_sidecar: bool = False) -> None:
        self.called_by_sidecar = called_by_sidecar
        self.sidecars = 0
        """How often a sidecar has asked for the configuration."""
        self.withdraw: Withdraw | None = None
        self.client = FakeActorClient()
        self.letters = FakeDeadLetters()
        self.published: list[CloudEvent] = []
        self.refusal: BaseException | None = None
        """What `publish` raises, if anything."""
        self.secrets: dict[tuple[str, str], str] = {}
        """By store and name."""
        self.sent: list[tuple[str, Any, dict[str, str]]] = []
        """What bindings were asked to create: the binding, the data and the metadata."""
        self.reason: str | None = None
        """What `unready` says."""
        self.deliver: Deliver | None = None

    @property
    def actor_client(self) -> DaprActorClientBase:
        return self.client

    @property
    def dead_letters(self) -> FakeDeadLetters:
        return self.letters

    async def publish(self, pubsub: str, topic: str, event: CloudEvent) -> None:
        assert (pubsub, topic) == (wire.PUBSUB, wire.USER_CHAT)
        if self.refusal is not None:
            raise self.refusal
        self.published.append(event)

    async def invoke_binding(
        self, name: str, operation: str, data: Any, metadata: dict[str, str]
    ) -> bytes:
        assert operation == "create"
        if self.refusal is not None:
            raise self.refusal
        self.sent.append((name, data, metadata))
        return b""

    async def get_secret(self, store: str, name: str) -> str | None:
        return self.secrets.get((store, name))

    async def start(self, deliver: Deliver, withdraw: Withdraw) -> None:
        self.deliver = deliver
        self.withdraw = withdraw

    async def purge(self) -> None:
        """Nothing is on a disk."""

    async def sidecar_started(self) -> None:
        self.sidecars += 1

    async def stop(self) -> None:
        self.deliver = None

    async def unready(self) -> str | None:
        return self.reason


class HeldModel(Model):
    """Answers `reply to <content>` once it is let go; keeps every prompt."""

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []
        self.free = asyncio.Event()
        self.error: BaseException | None = None
        self.says: str | None = None
        """What it answers instead."""

    async def reply(self, prompt: Prompt) -> Reply:
        self.prompts.append(prompt)
        await self.free.wait()
        if self.error is not None:
            raise self.error
        said = f"reply to {prompt.message.content}" if self.says is None else self.says
        return Reply(said, model="held")


class QuickModel(HeldModel):
    """The same, at once."""

    def __init__(self) -> None:
        super().__init__()
        self.free.set()


def a_host(clock: Clock, call_time: float = 5.0) -> Host:
    """What the actors of a test share."""
    return Host(Activations(), clock, call_time)


def a_context(
    kind: type[Actor],
    client: DaprActorClientBase,
    factory: Callable[..., Actor] | None = None,
) -> ActorRuntimeContext:
    """The SDK's context of an actor, without a sidecar."""
    info = ActorTypeInformation.create(kind)
    serializer = ValueSerializer()
    return ActorRuntimeContext(info, serializer, serializer, client, factory)


def a_turn(content: str = "hello", *, key: str = "", user: str = "ada", turn_id: str = "") -> Turn:
    """A turn of `ada`; its id is made of its content unless it has a key."""
    message = Message("user", content)
    body = ids.body_hash(message)
    if not key:
        return Turn(turn_id or f"turn of {content}", "", body, user, message)
    hashed = ids.key_hash(key)
    return Turn(ids.turn_id(user, hashed, body), hashed, body, user, message)


def a_pair(seq: int, said: str = "", answered: str = "") -> Pair:
    """A committed pair."""
    message = Message("user", said or f"said {seq}")
    reply = Reply(answered or f"answered {seq}", model="echo")
    return Pair(seq, f"turn {seq}", message, reply, "2026-01-01T00:00:00+00:00")


def a_record(no: int, seq: int | None = None) -> OutcomeRecord:
    """How a turn ended."""
    return OutcomeRecord(no, f"turn {no}", "", "body", "done", seq)


async def all_of(calls: Iterable[Awaitable[Any]]) -> list[Any]:
    """Their results, begun at once."""
    return list(await asyncio.gather(*calls))
