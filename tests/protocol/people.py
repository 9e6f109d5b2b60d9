"""Callers: they send, retry, leave, send again, clear and read, and write down what they heard."""

import asyncio
from typing import TYPE_CHECKING, Any

from agent_actors.errors import AgentError
from agent_actors.protocol import ids
from agent_actors.protocol.messages import AdoptTurn, Message, Turn, TurnState
from agent_actors.protocol.schedules import Schedule
from agent_actors.routes.edge.dependencies import Services
from agent_actors.routes.turns import new_turn
from agent_actors.users.session import open_session
from tests.protocol.ledger import Answered
from tests.protocol.watched_model import a_reply

if TYPE_CHECKING:
    from tests.protocol.process import Process
    from tests.protocol.world import World


class People:
    """The callers of one world, each with the chances of that world."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance = world.chance

    # -- what a caller does once -----------------------------------------------------------------

    async def say(self, conversation: str, user: str, said: str, key: str, wait: float) -> str:
        """Sends a message and returns how it ended: a status, `cut`, or an HTTP status."""
        process = self._chance.choice(self._world.processes)
        turn = self.turn(process, conversation, user, said, key)
        return await self.send(process, conversation, turn, wait)

    def turn(self, process: "Process", conversation: str, user: str, said: str, key: str) -> Turn:
        """The turn that the route makes of a message."""
        message = Message("user", said)
        turn = new_turn(process.services, conversation, user, message, key or None)
        self._world.ledger.made(conversation, turn)
        return turn

    async def send(
        self, process: "Process", conversation: str, turn: Turn, wait: float, leaves: int = -1
    ) -> str:
        """The route's part; with `leaves` the caller is gone after so many steps."""
        route = self._world.spawn(_answer(process.services, conversation, turn, wait), process)
        if leaves >= 0:
            await self._watch(route, leaves)
            return "left"
        state = await self._outcome(route)
        if not isinstance(state, TurnState):
            return state
        if state.reply is not None:
            self._heard(conversation, state, turn.message.content)
        return state.status

    def _heard(self, conversation: str, state: TurnState, said: str) -> None:
        answer = state.reply.content if state.reply else ""
        self._world.ledger.answered.append(Answered(conversation, state.turn_id, answer, said))
        self._world.seen["answered"] += 1

    async def clear(self, conversation: str) -> None:
        """Clears a conversation: what was accepted before has an end then, and is hidden."""
        world, ledger = self._world, self._world.ledger
        accepted, floor = set(ledger.accepted), max(ledger.pairs[conversation], default=0)
        process = self._chance.choice(world.processes)
        cleared = await self._outcome(
            world.spawn(process.services.actors.chat.clear(conversation), process)
        )
        if isinstance(cleared, str):
            return
        world.seen["cleared"] += 1
        ledger.floor[conversation] = max(ledger.floor[conversation], floor)
        left = ledger.open_turns(conversation, accepted)
        if left:
            world.violate(f"{conversation} was cleared, but {left} have no end")

    async def tell(self, conversation: str, user: str, said: str, times: int = 1) -> str:
        """Tells of a turn that another service has answered; how that ended the last time."""
        world = self._world
        turn_id, ended = f"adopted-{said}", ""
        message = Message("user", said)
        turn = Turn(turn_id, "", ids.body_hash(message), user, message)
        told = AdoptTurn(turn, a_reply(said, world.ledger.next_number()))
        world.ledger.made(conversation, turn)
        world.ledger.adopted.add(turn_id)
        for _ in range(times):
            process = self._chance.choice(world.processes)
            work = _adopt(process.services, conversation, told)
            state = await self._outcome(world.spawn(work, process))
            ended = state.status if isinstance(state, TurnState) else str(state)
            if isinstance(state, TurnState) and state.reply is not None:
                self._heard(conversation, state, said)
        return ended

    async def forget(self, user: str) -> str:
        """Forgets a user: what was said before is nowhere then; what was accepted has an end."""
        world, ledger = self._world, self._world.ledger
        before = set(ledger.accepted)
        names = ledger.conversations(user)
        floors = {name: max(ledger.pairs[name], default=0) for name in names}
        process = self._chance.choice(world.processes)
        ended = await self._outcome(world.spawn(_forget(process.services, user), process))
        if isinstance(ended, str):
            return ended
        world.seen["forgotten"] += 1
        for name, floor in floors.items():
            if floor and ids.session_of(name):
                ledger.closed.setdefault(name, max(ledger.pairs[name], default=0))
            ledger.floor[name] = max(ledger.floor[name], floor)
            ledger.forgotten[name] = max(ledger.forgotten[name], floor)
            left = ledger.open_turns(name, before)
            if left:
                world.violate(f"{user} was forgotten, but {left} have no end")
        return "done"

    async def plan(self, user: str, number: int) -> None:
        """Has the agent speak up some times; sends it until it is kept, or was."""
        await self.dawdle(0, 20, 100)
        every = self._chance.choice((2.0, 2.0, None))
        times = self._chance.choice((2, 1, 3)) if every else None
        self._world.ledger.owners.setdefault(user, user)
        for _ in range(4):
            process = self._chance.choice(self._world.processes)
            now = self._world.clock.now().timestamp()
            said, key = f"planned{number}", f"key of {number}"
            asked = Schedule(f"s{number}", said, now + (every or 1.0), now, every, times, 0, key)
            kept = await self._outcome(
                self._world.spawn(process.services.actors.chat.add_schedule(user, asked), process)
            )
            if isinstance(kept, Schedule) or kept == "410":
                self._world.seen["planned"] += 1
                return

    async def read(self, conversation: str) -> None:
        """Reads the whole history, without a turn."""
        world, ledger = self._world, self._world.ledger
        wanted, floor = set(ledger.pairs[conversation]), ledger.floor[conversation]
        process = self._chance.choice(world.processes)
        page = await self._outcome(
            world.spawn(process.services.reader.history(conversation, 1_000), process)
        )
        if isinstance(page, str):
            return
        world.seen["histories read"] += 1
        ledger.read(conversation, wanted, floor, page)

    async def look(self, conversation: str, turn_id: str) -> str:
        """Asks where a turn is; an answer that was saved before is told, or cleared."""
        world, ledger = self._world, self._world.ledger
        before = [r for r in ledger.outcomes[conversation] if r["turn_id"] == turn_id]
        process = self._chance.choice(world.processes)
        state = await self._outcome(
            world.spawn(process.services.reader.turn(conversation, turn_id), process)
        )
        kept = ledger.outcomes[conversation][-world.sizes.outcomes_kept :]
        if before and before[-1] in kept:
            self._check_told(conversation, before[-1], state)
        return state.status if isinstance(state, TurnState) else str(state)

    def _check_told(self, conversation: str, record: dict[str, Any], state: object) -> None:
        ledger = self._world.ledger
        if state == "404":
            self._world.violate(f"{record['turn_id']} is not found, though it has an end")
        if record["status"] != "done":
            return
        if state == "410" and record["seq"] > ledger.start(conversation):
            self._world.violate(f"the answer of {record['turn_id']} is missed")
        answer = ledger.pairs[conversation][record["seq"]]["output"]["content"]
        if isinstance(state, TurnState) and (not state.reply or state.reply.content != answer):
            self._world.violate(f"{record['turn_id']} is told another answer")

    # -- what a caller does in a random schedule --------------------------------------------------

    async def insist(self, conversation: str, user: str, said: str, key: str) -> None:
        """Sends until there is an answer: at once, later, leaving, in parallel; maybe once more."""
        await self.dawdle(0, 0, 5, 40, 150)
        again = bool(key) and self._chance.random() < 0.5
        for _ in range(self._chance.choice((1, 2, 3, 4)) if key else 1):
            process = self._chance.choice(self._world.processes)
            turn = self.turn(process, conversation, user, said, key)
            ended = await self.send(
                process, conversation, turn, self._chance.choice((0, 0.5, 3, 20)), self._leaves()
            )
            if ended in {"queued", "running"}:
                await self.dawdle(0, 30, 200)
                ended = await self.look(conversation, turn.turn_id)
            if ended == "done":
                if not again:
                    return
                again = False
                await self.dawdle(0, 60, 300)
            await self.dawdle(0, 1)

    async def hold_forth(self, conversation: str, user: str) -> None:
        """Says many things one after another, and clears them all at once."""
        for index in range(self._chance.choice((5, 7, 9))):
            await self.say(conversation, user, f"long{index}", f"L{index}", 20.0)
        await self.clear(conversation)

    async def browse(self, conversation: str) -> None:
        """Reads the history now and then."""
        for _ in range(self._chance.choice((1, 2, 4))):
            await self.dawdle(0, 10, 60, 200)
            await self.read(conversation)

    async def wipe(self, conversation: str) -> None:
        """Clears at some time."""
        await self.dawdle(0, 10, 60, 200)
        await self.clear(conversation)

    async def tell_of(self, conversation: str, user: str, said: str) -> None:
        """Tells of another service's turn at some time, and maybe again."""
        await self.dawdle(0, 10, 60, 200)
        await self.tell(conversation, user, said, self._chance.choice((1, 2, 3)))

    async def vanish(self, user: str) -> None:
        """Forgets a user at some time, until it is done, or only once."""
        await self.dawdle(0, 20, 80, 250)
        for _ in range(self._chance.choice((4, 4, 1))):
            if await self.forget(user) == "done":
                return
            await self.dawdle(0, 10)

    async def dawdle(self, *steps: int) -> None:
        """Lets one of these numbers of steps pass."""
        until = self._world.count + self._chance.choice(steps)
        while self._world.count < until:
            await self._world.gate("pause")

    def _leaves(self) -> int:
        return self._chance.choice((0, 2, 6, 15, 40)) if self._chance.random() < 0.35 else -1

    async def _watch(self, route: "asyncio.Task[Any]", steps: int) -> None:
        """Waits for some steps, then leaves; the connection is cut in half of the cases."""
        until = self._world.count + steps
        while self._world.count < until and not route.done():
            await self._world.gate("pause")
        if not route.done() and self._chance.random() < 0.5:
            self._world.seen["disconnect"] += 1
            route.cancel()

    async def _outcome(self, task: "asyncio.Task[Any]") -> Any:
        """What a route's task returned; the status of its error; or `cut`."""
        await asyncio.wait({task})
        if task.cancelled():
            return "cut"
        error = task.exception()
        if isinstance(error, AgentError):
            return str(error.status)
        if error is not None:
            self._world.violate(f"a caller gets {error!r}")
            return "500"
        return task.result() if task.result() is not None else True


async def _answer(services: Services, conversation: str, turn: Turn, wait: float) -> TurnState:
    """What a route does with a message."""
    await open_session(services.reader, services.actors.sessions, turn.user, conversation)
    return await services.turns.answer(conversation, turn, wait)


async def _adopt(services: Services, conversation: str, told: AdoptTurn) -> TurnState:
    """What a route does with a turn of another service."""
    await open_session(services.reader, services.actors.sessions, told.turn.user, conversation)
    return await services.actors.chat.adopt(conversation, told)


async def _forget(services: Services, user: str) -> None:
    """What a route does to forget a user."""
    await services.erase_user(user)
