"""The lock of one actor: a turn, or a chain of calls of whose turns one acts."""

import asyncio

import pytest

from agent_actors.turns.lock import TurnEntry, TurnLock, TurnLocks, asking, pass_on
from tests.hand_clock import settle


class Scene:
    """Turns on one lock, each of which goes on when its gate is opened."""

    def __init__(self) -> None:
        self.locks: TurnLocks[str] = TurnLocks()
        self.said: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.tasks: list[asyncio.Task[None]] = []

    async def begin(self, name: str, chain: str | None = "chain", asks: int = 0) -> None:
        """A turn that asks that many others at once, if any, and then acts again."""
        self.gates |= {f"{name}{number}": asyncio.Event() for number in range(asks)}
        self.gates[name] = asyncio.Event()
        self.tasks.append(asyncio.create_task(self._turn(name, chain, asks)))
        await settle()

    async def open(self, gate: str) -> None:
        self.gates[gate].set()
        await settle()

    async def end(self) -> None:
        for gate in self.gates.values():
            gate.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*self.tasks)

    async def _turn(self, name: str, chain: str | None, asks: int) -> None:
        async with TurnEntry(self.locks, "actor", chain):
            self.said.append(f"{name} acts")
            if asks:
                await asyncio.gather(*(self._ask(f"{name}{number}") for number in range(asks)))
                self.said.append(f"{name} acts again")
            await self.gates[name].wait()
            self.said.append(f"{name} leaves")

    async def _ask(self, gate: str) -> None:
        async with asking():
            await self.gates[gate].wait()


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_a_chain_is_let_in_while_its_turn_asks(scene: Scene):
    """The outer turn goes on when the nested one has left."""
    await scene.begin("outer", asks=1)
    await scene.begin("nested")
    await scene.open("outer0")

    assert scene.said == ["outer acts", "nested acts"]

    await scene.open("nested")

    assert scene.said[2:] == ["nested leaves", "outer acts again"]

    await scene.end()


async def test_a_chain_is_not_let_in_while_its_turn_acts(scene: Scene):
    """Two branches of a chain act one after the other."""
    await scene.begin("outer", asks=1)
    await scene.begin("first")
    await scene.begin("second")

    assert scene.said == ["outer acts", "first acts"]

    await scene.open("first")

    assert scene.said[2:] == ["first leaves", "second acts"]

    await scene.end()


async def test_a_nested_turn_may_be_called_back_too(scene: Scene):
    """However deep, whoever asks lets the chain in."""
    await scene.begin("outer", asks=1)
    await scene.begin("nested", asks=1)
    await scene.begin("deepest")

    assert scene.said == ["outer acts", "nested acts", "deepest acts"]

    await scene.end()

    assert not scene.locks


async def test_a_turn_that_asks_several_acts_when_the_last_has_answered(scene: Scene):
    """One answer does not close the actor to the call back that another one needs."""
    await scene.begin("outer", asks=2)
    await scene.open("outer0")
    await scene.begin("nested")

    assert scene.said == ["outer acts", "nested acts"]

    await scene.end()

    assert scene.said[-1] == "outer leaves"


async def test_others_wait_for_the_last_of_the_chain(scene: Scene):
    """Other chains, and calls of none, come in the order of the calls."""
    await scene.begin("outer", asks=1)
    await scene.begin("none", chain=None)
    await scene.begin("other", chain="other")
    await scene.begin("nested")
    await scene.open("outer0")

    assert scene.said == ["outer acts", "nested acts"]

    await scene.end()

    assert [word for word in scene.said if word.endswith("acts")] == [
        "outer acts",
        "nested acts",
        "none acts",
        "other acts",
    ]


async def test_a_cut_turn_leaves_the_lock_as_it_should_be(scene: Scene):
    """A turn that is cut while it acts, asks or waits for its turn frees what it held, once."""
    await scene.begin("outer", asks=1)
    await scene.begin("acts")
    await scene.begin("waits")
    for cut in (2, 1, 0):
        scene.tasks.pop(cut).cancel()
        await settle()
    await scene.begin("next", chain="next")
    await scene.begin("last", chain=None)

    assert scene.said == ["outer acts", "acts acts", "next acts"]

    await scene.end()

    assert not scene.locks


async def test_a_turn_that_is_cut_as_it_comes_back_goes(scene: Scene):
    """Cut while a nested turn acts, it does not free what the nested one holds."""
    await scene.begin("outer", asks=1)
    await scene.begin("nested")
    await scene.open("outer0")
    scene.tasks.pop(0).cancel()
    await scene.begin("second")

    assert scene.said == ["outer acts", "nested acts"]

    await scene.open("nested")

    assert scene.said[2:] == ["nested leaves", "second acts"]

    await scene.end()


async def test_a_turn_that_asks_again_as_it_comes_back_lets_others_act(scene: Scene):
    """It does not keep its chain out while one of its branches waits for an answer."""
    begin, ask = asyncio.Event(), scene._ask

    async def late() -> None:
        await begin.wait()
        await ask("late")

    async def turn() -> None:
        async with TurnEntry(scene.locks, "actor", "chain"):
            await asyncio.gather(ask("early"), late())
            scene.said.append("outer acts again")

    scene.gates |= {"early": asyncio.Event(), "late": asyncio.Event()}
    scene.tasks.append(asyncio.create_task(turn()))
    await settle()
    await scene.begin("first")
    await scene.open("early")
    begin.set()
    await settle()
    await scene.open("first")
    await scene.begin("second")

    assert scene.said == ["first acts", "first leaves", "second acts"]

    await scene.end()

    assert scene.said[3:] == ["second leaves", "outer acts again"]


async def test_who_is_in_no_turn_asks_as_well():
    """Outside of a turn, and in an actor nobody is let back into, asking is only that."""
    async with asking():
        pass
    locks: TurnLocks[str] = TurnLocks()
    async with TurnEntry(locks, "actor", None), asking():
        assert locks.inside("actor") == 1


async def test_what_a_turn_left_behind_does_not_act_for_it():
    """Of two questions at once one fails, and the turn ends; the other's answer comes later."""
    locks: TurnLocks[str] = TurnLocks()
    slow = asyncio.Event()

    async def ask() -> None:
        async with asking():
            await slow.wait()

    async def fail() -> None:
        raise LookupError

    async def nested() -> None:
        async with TurnEntry(locks, "actor", "chain"):
            with pytest.raises(LookupError):
                await asyncio.gather(ask(), fail())

    async with asyncio.timeout(5), TurnEntry(locks, "actor", "chain"), asking():
        await asyncio.create_task(nested())
        slow.set()
        await settle()

    assert not locks


async def test_a_callee_does_not_act_for_its_caller():
    """In process its turn begins in the context of the caller's, and may outlive it."""
    locks: TurnLocks[str] = TurnLocks()
    answer = asyncio.Event()

    async def called() -> None:
        async with TurnEntry(locks, "callee", None), asking():
            await answer.wait()

    async with asyncio.timeout(5), TurnEntry(locks, "caller", "chain"), asking():
        left = asyncio.create_task(called())
        await settle()
    async with asyncio.timeout(5), TurnEntry(locks, "caller", "other"):
        answer.set()
        await left
    async with asyncio.timeout(5), TurnEntry(locks, "caller", "third"):
        pass

    assert not locks


async def test_a_turn_runs_under_the_lock_that_its_runtime_holds():
    """It takes no lock of its own and leaves the runtime's alone; the next turn takes its own."""
    locks: TurnLocks[str] = TurnLocks()
    held = TurnLock()
    held.take("chain")
    pass_on(held)

    async with TurnEntry(locks, "actor", "chain"):
        assert not locks
        assert held.acting.locked()
        async with TurnEntry(locks, "other", None):
            assert len(locks) == 1

    assert not held.acting.locked()
    assert (held.inside, held.chain) == (1, "chain")


async def test_a_cut_turn_leaves_the_lock_that_its_runtime_holds():
    """A turn that is cut while another turn of its chain acts takes nothing with it."""
    locks: TurnLocks[str] = TurnLocks()
    held = TurnLock()
    held.take("chain")

    async def turn() -> None:
        pass_on(held)
        async with TurnEntry(locks, "actor", "chain"):
            raise AssertionError

    async with held.acting:
        cut = asyncio.create_task(turn())
        await settle()
        cut.cancel()
        await asyncio.wait({cut})

    assert cut.cancelled()
    assert (held.inside, held.acting.locked()) == (1, False)
