"""Coroutines that are moved one step at a time.

A coroutine is a generator. `yield None` is a point at which anything else may happen; `yield
future` waits for a future. Nothing runs between two such points but the coroutine itself.
"""

from collections.abc import Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Violation(AssertionError):
    """The protocol was broken."""


class Failed(Exception):
    """An operation, or a whole turn, has failed; whoever asked for it may try again."""


class Cut(Exception):
    """The handler of a turn was cancelled."""


class Future(Generic[T]):
    """A result that is not there yet."""

    __slots__ = ("done", "error", "value")

    def __init__(self) -> None:
        self.done = False
        self.value: T | None = None
        self.error: Exception | None = None

    def set(self, value: T) -> None:
        """Sets the result, unless there is one."""
        if not self.done:
            self.done, self.value = True, value

    def fail(self, error: Exception) -> None:
        """Sets an error as the result, unless there is one."""
        if not self.done:
            self.done, self.error = True, error


Steps = Generator[Future[Any] | None, Any, T]
"""A coroutine and what it returns."""


class Task(Generic[T]):
    """A running coroutine.

    Args:
        work: The coroutine.
        process: The index of the process that it dies with; None for callers and the broker.
        name: What a trace calls it.
    """

    __slots__ = ("name", "over", "process", "result", "thrown", "waits_for", "work")

    def __init__(self, work: Steps[T], process: int | None, name: str) -> None:
        self.work = work
        self.process = process
        self.name = name
        self.result: Future[T] = Future()
        self.waits_for: Future[Any] | None = None
        self.thrown: Exception | None = None
        self.over = False

    def step(self) -> None:
        """Goes on to its next point."""
        try:
            self.waits_for = self._resume()
        except StopIteration as end:
            self.over = True
            self.result.set(end.value)
        except (Failed, Cut) as error:
            self.over = True
            self.result.fail(Failed(str(error)))

    def _resume(self) -> Future[Any] | None:
        thrown, self.thrown = self.thrown, None
        awaited, self.waits_for = self.waits_for, None
        if thrown is not None:
            return self.work.throw(thrown)
        if awaited is None:
            return next(self.work)
        if awaited.error is not None:
            return self.work.throw(awaited.error)
        return self.work.send(awaited.value)

    def kill(self) -> None:
        """Ends it where it is, as the end of its process does."""
        self.over = True
        self.result.fail(Failed("the process has ended"))


class Lock:
    """A FIFO lock: one turn at a time (rule 1)."""

    __slots__ = ("holder", "waiting")

    def __init__(self) -> None:
        self.holder: object | None = None
        self.waiting: list[tuple[object, Future[None]]] = []

    def enter(self, who: object) -> Steps[None]:
        """Returns when it is this one's turn."""
        if self.holder is None:
            self.holder = who
            return
        turn: Future[None] = Future()
        self.waiting.append((who, turn))
        yield turn

    def leave(self, who: object) -> None:
        """Lets the next one in, or takes this one out of the line."""
        self.waiting = [each for each in self.waiting if each[0] is not who]
        if self.holder is not who:
            return
        self.holder = None
        if self.waiting:
            self.holder, turn = self.waiting.pop(0)
            turn.set(None)
