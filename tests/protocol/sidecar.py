"""What daprd does: places actors, lets one call in at a time, fires reminders, runs calls again.

Its lock is the caller's: it is free as soon as the caller has gone, while the handler runs on. An
actor that is deactivated leaves its handlers behind; half of their calls run again elsewhere.
"""

import asyncio
from collections import defaultdict, deque
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from dapr.actor import ActorId

from agent_actors.errors import Unavailable
from agent_actors.protocol import ids, wire
from agent_actors.protocol.codec import encode
from agent_actors.protocol.ids import ActorRef

if TYPE_CHECKING:
    from tests.protocol.process import Process
    from tests.protocol.world import World

TURN: ContextVar["Request | None"] = ContextVar("turn", default=None)
"""The request that is handled: nobody else's work may inherit it (rule 7)."""
PERIOD = 30.0
"""Seconds between the fires of a reminder."""
LATE = 0.5
"""How often a request is on its way to the app long enough for anything to happen."""


@dataclass(eq=False, slots=True)
class Request:
    """A call of an actor that waits for its turn, runs, or was answered."""

    actor: "ActorRef"
    method: str
    data: bytes
    asked: int
    reply: "asyncio.Future[bytes]"
    host: "Process | None" = None
    handler: "asyncio.Task[bytes] | None" = None


@dataclass(eq=False, slots=True)
class Line:
    """The callers of one actor at the process that hosts it, in order."""

    holder: Request | None = None
    waiting: deque[Request] = field(default_factory=deque)


class Sidecar:
    """Both sidecars and the placement between them."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.place: dict[ActorRef, int] = {}
        self._lines: defaultdict[ActorRef, Line] = defaultdict(Line)
        self._running: list[Request] = []

    def host(self, actor: "ActorRef") -> "Process":
        """The process where an actor lives; one is chosen for a new actor."""
        if actor not in self.place:
            self.place[actor] = self._world.chance.randrange(2)
        return self._world.processes[self.place[actor]]

    @property
    def handlers(self) -> list[Request]:
        """The requests whose handler runs."""
        self._running = [each for each in self._running if each.handler and not each.handler.done()]
        return self._running

    def accept(self, actor: "ActorRef", method: str, data: bytes, asked: int) -> Request:
        """Puts a call into the actor's line."""
        reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        request = Request(actor, method, data, asked, reply)
        self._join(request)
        return request

    def leave(self, request: Request) -> None:
        """Its caller has gone: the line goes on, and so does the handler."""
        line = self._lines[request.actor]
        if request in line.waiting:
            line.waiting.remove(request)
        if line.holder is request:
            line.holder = None
            self._next(request.actor)

    async def deactivate(self, actor: "ActorRef", to: int, again: bool) -> None:
        """Deactivates an actor at its process, and goes on with its calls where it is then.

        It does not come back while a turn runs there that came late: both would be live then, which
        the protocol leaves open (section 5).
        """
        if actor not in self.place or actor in self._world.processes[to].strays:
            return
        old = self.host(actor)
        moved = self.place[actor] != to
        self._world.seen["move" if moved else "idle"] += 1
        if moved and actor[0] == wire.RESPONSE:
            conversation = ids.conversation_of(actor[1])
            self._world.ledger.lost(
                lambda call: call.conversation == conversation,
                *(each.data for each in self.handlers if each.actor == actor),
            )
        self.place[actor] = to
        line = self._lines.pop(actor, Line())
        await self._world.spawn(old.deactivate(actor), old)
        if line.holder is not None and again:
            self._world.seen["run again"] += 1
            self._world.note("runs again", line.holder.method, actor)
            self._join(line.holder)
        for request in line.waiting:
            self._join(request)

    def crashed(self, process: "Process") -> None:
        """A process has gone with its sidecar; some of its actors come back in the other one."""
        for actor, index in list(self.place.items()):
            if index != process.index:
                continue
            line = self._lines.pop(actor, Line())
            for request in (line.holder, *line.waiting):
                _answer(request, "The sidecar is away.")
        if self._world.chance.random() < 0.5:
            for actor, index in self.place.items():
                stray = actor in self._world.processes[1 - process.index].strays
                if index == process.index and not stray and self._world.chance.random() < 0.7:
                    self.place[actor] = 1 - index

    async def fire(self, actor: "ActorRef") -> None:
        """Fires the reminder of an actor, as a turn; a failure is forgotten until the next time."""
        reminder = self._world.reminders[actor]
        if not reminder.get("period"):
            del self._world.reminders[actor]
        await self._fire(actor, reminder["reminderName"])

    async def sound(self, actor: "ActorRef", name: str) -> None:
        """Fires the reminder of a schedule, due or not; it comes again after its period."""
        world = self._world
        world.alarms[actor, name] = world.clock.monotonic() + PERIOD
        await self._fire(actor, name)

    async def _fire(self, actor: "ActorRef", name: str) -> None:
        request = self.accept(actor, "", name.encode(), self._world.count)
        try:
            await request.reply
        except Unavailable:
            return

    def _join(self, request: Request) -> None:
        request.handler = None
        self._lines[request.actor].waiting.append(request)
        self._next(request.actor)

    def _next(self, actor: "ActorRef") -> None:
        line = self._lines[actor]
        while line.holder is None and line.waiting:
            request = line.waiting.popleft()
            if request.reply.done():
                continue
            line.holder = request
            request.host = self.host(actor)
            request.handler = self._world.spawn(_handle(request, request.host), request.host)
            request.handler.set_name(f"{actor} {request.method}")
            request.handler.add_done_callback(partial(self._ended, request, line))
            self._running.append(request)

    def _ended(self, request: Request, line: Line, handler: "asyncio.Task[bytes]") -> None:
        if not handler.cancelled() and (error := handler.exception()) is not None:
            self._world.violate(f"{request.method} of {request.actor} raised {error!r}")
        if request.handler is handler:
            if handler.cancelled():
                _answer(request, "The turn was cut.")
            elif not request.reply.done() and handler.exception() is None:
                request.reply.set_result(handler.result())
        if line.holder is request and request.handler is handler:
            line.holder = None
            if self._lines.get(request.actor) is line:
                self._next(request.actor)


def _answer(request: Request | None, problem: str) -> None:
    if request is not None and not request.reply.done():
        request.reply.set_exception(Unavailable(problem))


async def _handle(request: Request, host: "Process") -> bytes:
    """The app's own route for the sidecar."""
    TURN.set(request)
    quiet = request.actor[0] in host.world.sizes.quiet
    if not quiet and host.world.chance.random() < LATE:
        # On its way to the app while anything may happen to the actor, also its DELETE.
        await host.world.gate(f"{request.method} arrives at {request.actor}")
    manager = host.managers[request.actor[0]]
    identity = ActorId(request.actor[1])
    if request.method:
        return await manager.dispatch(identity, request.method, request.data)
    body: dict[str, Any] = {"data": "", "dueTime": "", "period": ""}
    await manager.fire_reminder(identity, request.data.decode(), encode(body))
    return b""
