"""The turn protocol as hypothesis plays it: it chooses deeds and faults, and shrinks failures."""

import asyncio
import random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.protocol.people import People
from tests.protocol.schedule import ASIDE, come_to_rest, shrunk
from tests.protocol.sidecar import Request
from tests.protocol.verify import verify
from tests.protocol.world import Sizes, World

CONVERSATIONS = st.sampled_from(("u", "session:s"))
OPERATIONS = st.sampled_from(("save", "load", "reminder", "publish", "model"))


class Armed:
    """The next operation of each armed kind fails."""

    def __init__(self) -> None:
        self.next: dict[str, str] = {}

    def strikes(self, kind: str) -> str | None:
        return self.next.pop(kind, None)


class ProtocolMachine(RuleBasedStateMachine):
    """A world in the hands of hypothesis; at the end it comes to rest and is verified."""

    @initialize(
        seed=st.integers(0, 255),
        kept=st.sampled_from(((2, 2), (4, 4), (64, 8))),
        history_turns=st.sampled_from((0, 2)),
        sums_up=st.booleans(),
    )
    def begin(self, seed: int, kept: tuple[int, int], history_turns: int, sums_up: bool) -> None:
        sizes = Sizes(*kept, history_turns=history_turns, quiet=ASIDE, sums_up=sums_up)
        self.small = shrunk(sizes)
        self.small.__enter__()
        self.runner = asyncio.Runner()
        self.armed = Armed()
        self.world = World(random.Random(seed), sizes, self.armed)
        self.world.model_gates = (0, 1, 3)
        self.world.model_pauses = (0.0, 0.0, 2.0)
        self.people = People(self.world)
        self.runner.run(self.world.begin())

    @rule(
        conversation=CONVERSATIONS,
        key=st.sampled_from(("", "K1", "K2")),
        said=st.sampled_from(("a", "b", "c" * 40)),
        wait=st.sampled_from((0.0, 0.5, 5.0)),
    )
    def say(self, conversation: str, key: str, said: str, wait: float) -> None:
        if not key:
            said = f"{said}{self.world.new_id()}"
        self._spawn(self.people.say(conversation, "u", said, key, wait))

    @rule(conversation=CONVERSATIONS)
    def clear(self, conversation: str) -> None:
        self._spawn(self.people.clear(conversation))

    @rule(conversation=CONVERSATIONS, times=st.integers(1, 2))
    def tell(self, conversation: str, times: int) -> None:
        self._spawn(self.people.tell(conversation, "u", f"t{self.world.new_id()}", times))

    @rule()
    def forget(self) -> None:
        self._spawn(self.people.forget("u"))

    @rule(conversation=CONVERSATIONS)
    def read(self, conversation: str) -> None:
        self._spawn(self.people.read(conversation))

    @precondition(lambda self: self.world.gates)
    @rule(picks=st.lists(st.integers(0, 99), min_size=1, max_size=30))
    def let_through(self, picks: list[int]) -> None:
        for pick in picks:
            if self.world.gates:
                self.runner.run(self.world.release(pick % len(self.world.gates)))

    @rule(seconds=st.sampled_from((0.1, 1.0, 5.0)))
    def wait(self, seconds: float) -> None:
        self.runner.run(self.world.advance(seconds))

    @rule(kind=OPERATIONS, how=st.sampled_from(("before", "after")))
    def fail_next(self, kind: str, how: str) -> None:
        self.armed.next[kind] = how

    @rule(index=st.integers(0, 1))
    def crash(self, index: int) -> None:
        self.runner.run(self.world.crash(self.world.processes[index]))

    @precondition(lambda self: self.world.sidecar.place)
    @rule(pick=st.integers(0, 9), move=st.booleans(), again=st.booleans())
    def deactivate(self, pick: int, move: bool, again: bool) -> None:
        places = self.world.sidecar.place
        actor = sorted(places)[pick % len(places)]
        to = 1 - places[actor] if move else places[actor]
        self.runner.run(self.world.deactivate(actor, to, again=again))

    @precondition(lambda self: self.world.sidecar.handlers)
    @rule(pick=st.integers(0, 9))
    def cut(self, pick: int) -> None:
        running: list[Request] = self.world.sidecar.handlers
        handler = running[pick % len(running)].handler
        assert handler is not None
        self.runner.run(self.world.cut(handler))

    @precondition(lambda self: self.world.reminders)
    @rule()
    def tick(self) -> None:
        self._spawn(self.world.sidecar.fire(min(self.world.reminders)))

    @precondition(lambda self: self.world.broker.letters)
    @rule(pick=st.integers(0, 9), fate=st.sampled_from(("arrives", "arrives twice", "is lost")))
    def event(self, pick: int, fate: str) -> None:
        self.runner.run(self._event(pick, fate))

    async def _event(self, pick: int, fate: str) -> None:
        broker = self.world.broker
        index = pick % len(broker.letters)
        if fate == "is lost":
            broker.lose(index)
        else:
            broker.deliver(index, keep=fate == "arrives twice")
        await self.world.settle()

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        try:
            self.runner.run(come_to_rest(self.world))
            verify(self.world)
        finally:
            self.runner.close()
            self.small.__exit__(None, None, None)

    def _spawn(self, deed) -> None:
        async def spawn() -> None:
            self.world.spawn(deed)
            await self.world.settle()

        self.runner.run(spawn())


ProtocolMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


TestProtocol = ProtocolMachine.TestCase
