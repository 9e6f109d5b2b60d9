"""A turn, and the base of every actor: one at a time (I1), and a failed one leaves no trace (I2).

The SDK keeps one object per active actor, but three first calls at once make three objects, and a
killed sidecar deactivates none of them. `Activations` therefore records the live object of each
actor: any other object saves nothing, calls nothing and starts no model
(rule 3, docs/protocol.md), and a call that the SDK hands to such an object runs on the recorded
one.

Where an actor type is reentrant, several turns of one chain of calls may be in an actor at once.
Only one of them acts: the others wait for a call that they made (`ask`). A document that one turn
has read and another has saved since must be read again before it is saved (`state.cache`).
"""

import functools
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from dapr.actor import Actor, ActorId
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.clock import Clock
from agent_actors.errors import AgentError, Deactivated, Defect, Invalid, Unavailable
from agent_actors.observability import tracing
from agent_actors.observability.counters import Counters
from agent_actors.observability.logs import LogContext
from agent_actors.protocol.codec import Malformed
from agent_actors.protocol.ids import ActorRef
from agent_actors.protocol.interfaces import Pingable
from agent_actors.protocol.messages import Failure, Problem
from agent_actors.state.cache import ActorState, ReadTracker
from agent_actors.state.store import StateStore
from agent_actors.turns.activations import Activations
from agent_actors.turns.lock import asking

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A", bound="TurnActor")


@dataclass(frozen=True, slots=True)
class Host:
    """What every actor of a process shares.

    `call_time` is the time limit of every call but the wait for a model, in seconds.
    """

    activations: Activations
    clock: Clock
    call_time: float
    counters: Counters = field(default_factory=Counters)


class TurnActor(Actor, Pingable):
    """The base of our actors."""

    def __init__(self, ctx: ActorRuntimeContext, actor_id: ActorId, host: Host) -> None:
        super().__init__(ctx, actor_id)
        self.ref = ActorRef(ctx.actor_type_info.type_name, actor_id.id)
        self.live = True
        self.activations = host.activations
        self.clock = host.clock
        self._call_time = host.call_time
        self.counters = host.counters
        store = StateStore(ctx.dapr_client, host.clock, host.call_time, host.counters)
        self.state = ActorState(store, self.ref, may_act=self.require_live)

    @property
    def waiting(self) -> int:
        """The number of messages that this actor has not answered yet."""
        return 0

    async def ping(self) -> bool:
        """True, at once; no turn, since a probe must not wait for one."""
        return True

    def successor(self) -> "TurnActor":
        """A fresh activation of the same actor, recorded by the actor factory."""
        return cast(TurnActor, self.runtime_ctx.create_actor(self.id))

    def deactivate(self) -> None:
        """Ends this activation: it may not act any more, and its cache is dropped at once."""
        self.live = False
        self.state.void()

    def require_live(self) -> None:
        """Raises `Deactivated` when another activation, or none, acts for this actor."""
        if not self.live:
            raise Deactivated("The actor was deactivated during this call; send the request again.")

    async def ask(self, call: Callable[[], Awaitable[R]], wait: float = 0.0) -> R:
        """Calls another actor, the runtime or the broker on behalf of this turn.

        The callee may wait `wait` seconds for a model, on top of the call time.

        Raises:
            Deactivated: This activation may not act any more.
            Unavailable: No answer in time.
        """
        self.require_live()
        try:
            # The time limit is for the call, not for the wait until this turn may act again.
            async with asking(), self.clock.timeout(self._call_time + wait):
                return await call()
        except TimeoutError:
            raise Unavailable("A part of the service did not answer in time; try again.") from None

    def traced(self, method: str) -> AbstractContextManager[object]:
        """A turn as a span of the trace that its caller belongs to."""
        if not tracing.enabled():
            return tracing.span("")
        attributes = {"actor.type": self.ref.type, "actor.id": self.ref.id}
        return tracing.span(f"{self.ref.type}.{method}", attributes=attributes)

    async def run(self, method: Callable[..., Awaitable[R]], args: tuple[Any, ...]) -> R | Failure:
        """One turn, under the lock: its result, or the error it returns (rule 10)."""
        self.state.begin_turn()
        try:
            for arg in args:
                if isinstance(arg, Malformed):
                    raise Invalid(f"The argument is not of the method's form: {arg.reason}")
            self.activations.require_shallow(self.ref)
            self.require_live()
            return await method(self, *args)
        except AgentError as error:
            if error.status >= 500:
                log.warning("call of %s %s: %s", *self.ref, error.detail)
                tracing.mark_failed(type(error).__name__)
            return Failure(Problem.of(error))
        except Exception as error:
            # The SDK would answer `500 repr(error)`, and the repr may contain people's messages.
            self.state.void()
            log.error("call of %s %s failed: %s", *self.ref, type(error).__name__)
            tracing.mark_failed(type(error).__name__)
            log.debug("traceback", exc_info=error)
            return Failure(Problem.of(Defect("The call failed inside the service.")))
        finally:
            self.state.end_turn()

    async def _on_activate_internal(self) -> None:
        """Nothing: state is loaded inside the turn, under the lock."""

    async def _on_deactivate_internal(self) -> None:
        """Withdraws the activation before the SDK's first await."""
        self.activations.withdraw(self.ref)

    async def _save_state_internal(self) -> None:
        """Nothing: a turn saves by itself, in one transaction."""

    async def _reset_state_internal(self) -> None:
        """Nothing: the SDK's state manager stays empty."""


_ENDS = {429: "busy", 502: "model", 503: "unavailable", 504: "model"}
"""How a failed turn ended, as the counters name it: who has to act."""


def turn(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[A, P], Coroutine[Any, Any, R]]:
    """Makes an actor's method a turn: serial per actor, on the live activation, never raising.

    The wrapped method returns its result, or a `messages.Failure` that travels as `{"error": …}`;
    a returned error has saved nothing.
    """
    name = method.__name__

    @functools.wraps(method)
    async def guarded(self: A, *args: P.args, **_kwargs: P.kwargs) -> R:
        actor = self.activations.current(self)
        async with self.activations.turn(actor.ref):
            with ReadTracker(), LogContext(*actor.ref, args), actor.traced(name):
                result = await actor.run(method, args)
        end = "ok"
        if isinstance(result, Failure):
            status = result.error.status
            end = _ENDS.get(status, "defect" if status >= 500 else "rejected")
        actor.counters.actor_turn_ended(actor.ref.type, name, end)
        return cast(R, result)

    return cast(Callable[Concatenate[A, P], Coroutine[Any, Any, R]], guarded)
