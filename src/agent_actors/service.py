"""The composition: the one place that names every part and wires them together."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dapr.actor import Actor, ActorId, ActorRuntime
from dapr.actor.runtime.config import (
    ActorReentrancyConfig,
    ActorRuntimeConfig,
    ActorTypeConfig,
)
from dapr.actor.runtime.context import ActorRuntimeContext
from dapr.ext.fastapi import DaprActor
from uuid_utils import uuid7

from agent_actors.clock import Clock
from agent_actors.conversation.agent import ChatAgent
from agent_actors.conversation.base import ChatDependencies
from agent_actors.conversation.outbox import Outbox
from agent_actors.conversation.response import ResponseAgent, ResponseDependencies
from agent_actors.conversation.runner import TurnRunner
from agent_actors.dead_letters.actor import DeadLetterActor
from agent_actors.dead_letters.store import ActorDeadLetters
from agent_actors.errors import StartupError
from agent_actors.model import Model
from agent_actors.model.calls import ModelCalls
from agent_actors.notifications.actor import NotificationActor
from agent_actors.notifications.recipients import NotificationRecipients
from agent_actors.notifications.sender import SmsBinding, SmsSender
from agent_actors.observability.counters import Counters
from agent_actors.observability.loop_lag import LoopLag
from agent_actors.observability.metrics import Metrics
from agent_actors.protocol import wire
from agent_actors.protocol.clients import Clients, ProxyFactory
from agent_actors.protocol.codec import ValueSerializer
from agent_actors.protocol.dead_letters import LetterLimits
from agent_actors.protocol.events import CloudEvent
from agent_actors.protocol.messages import CompleteTurn, Outcome
from agent_actors.protocol.service_info import ServiceInfo
from agent_actors.routes.edge.dependencies import Services
from agent_actors.routes.gauges import ProcessGauges, info
from agent_actors.routes.sidecar import subscriptions
from agent_actors.runtime import DeadLetters, Deliver, Runtime
from agent_actors.settings import Settings
from agent_actors.settings.actors import ActorRules
from agent_actors.state.reader import StateReader
from agent_actors.state.store import StateStore
from agent_actors.turns.activations import Activations
from agent_actors.turns.actor import Host
from agent_actors.turns.bell import TurnBell
from agent_actors.turns.drain import Drain
from agent_actors.users.analytics import AnalyticsActor
from agent_actors.users.eraser import UserEraser
from agent_actors.users.feed import EventFeed
from agent_actors.users.memory import MemoryAgentActor
from agent_actors.users.session import UserSessionActor
from agent_actors.users.summaries import Summaries

if TYPE_CHECKING:
    from agent_actors.workflow.orchestration import Orchestration


class Service:
    """What is made once per process, started and stopped in order.

    Args:
        settings: The process's settings.
        runtime: What carries the actors.
        model: What answers.
        clock: The time.
        info: What the service says about itself, if more than its settings.
    """

    def __init__(
        self,
        settings: Settings,
        runtime: Runtime,
        model: Model,
        clock: Clock,
        info: ServiceInfo | None = None,
    ) -> None:
        self._counters = counters = Counters(clock.monotonic)
        store = StateStore(runtime.actor_client, clock, settings.call_time, counters)
        proxies = ProxyFactory(runtime.actor_client, counters)
        self._actors = actors = Clients.of(proxies)
        self._settings = settings
        self._runtime = runtime
        self._clock = clock
        self._store = store
        self._reader = StateReader(store, settings.outcomes_kept)
        self._activations = Activations(settings.rules_of)
        self._bell = TurnBell()
        self._drained = False
        self.stopping = Drain(clock, settings.drain, self._bell)
        phones = (
            [NotificationRecipients(proxies, self._reader, clock)] if settings.sms_binding else []
        )
        fed = (actors.sessions, actors.analytics, *phones)
        self._consumers = (actors.memory, *fed)
        self._feed = EventFeed(fed, self._reader, clock, settings.feed_time)
        self._model = model
        self._calls = ModelCalls(model, clock, settings.model_time, self._complete, counters)
        self._summaries = self._summing_up()
        self._lag = LoopLag(counters)
        self._info = info or ServiceInfo.of(settings, dapr=runtime.called_by_sidecar)
        self.token = settings.app_api_token or self._own_token()
        self._orchestration = self._orchestrated()
        self.services = self._routes()
        """What the routes are given."""

    def _own_token(self) -> str | None:
        """In process, callbacks carry one that nobody else can know."""
        return None if self._runtime.called_by_sidecar else secrets.token_urlsafe(32)

    def _summing_up(self) -> Summaries:
        model, actors, clock = self._model, self._actors, self._clock
        return Summaries(
            model, self._reader, actors.memory, actors.chat, clock, self._settings, self._counters
        )

    def _routes(self) -> Services:
        chat = self._actors.chat
        turns = TurnRunner(
            chat, self._reader, self._bell, self.stopping, self._settings, self._counters
        )
        gauges = ProcessGauges(self._activations, self._calls, self._feed)
        letters = self._runtime.dead_letters or self._kept_by_an_actor()
        return Services(
            settings=self._settings,
            runtime=self._runtime,
            model=self._model,
            clock=self._clock,
            dead_letters=letters,
            turns=turns,
            session_turns=self._orchestration.runner if self._orchestration else turns,
            reader=self._reader,
            actors=self._actors,
            feed=self._feed,
            erase_user=self._forgetter(letters),
            token=self.token,
            new_turn_id=new_turn_id,
            counters=self._counters,
            metrics=Metrics(self._counters, gauges, info(self._runtime, self._model)),
            info=self._info,
            notifications=self._sending(letters),
        )

    def _orchestrated(self) -> "Orchestration | None":
        """What carries turns by workflows, where the settings say so."""
        if self._settings.orchestration == "turn":
            return None
        from agent_actors.workflow.activities import WorkflowDependencies
        from agent_actors.workflow.orchestration import Orchestration

        dependencies = WorkflowDependencies(
            reader=self._reader,
            memory=self._actors.memory,
            chat=self._actors.chat,
            calls=self._calls,
            publish=self._publish,
            settings=self._settings,
            drain=self.stopping,
            counters=self._counters,
        )
        return Orchestration(dependencies, self._bell)

    def _sending(self, letters: DeadLetters) -> SmsSender | None:
        settings = self._settings
        if settings.sms_binding is None:
            return None
        carrier = SmsBinding(self._invoke_binding, settings.sms_binding)
        actors = self._actors.notifications
        return SmsSender(carrier, actors, self._reader, letters, self._clock, self._counters)

    async def _publish(self, pubsub: str, topic: str, event: CloudEvent) -> None:
        with self._counters.timed("publish"):
            await self._runtime.publish(pubsub, topic, event)

    async def _invoke_binding(
        self, name: str, operation: str, data: Any, metadata: dict[str, str]
    ) -> bytes:
        with self._counters.timed("sms"):
            return await self._runtime.invoke_binding(name, operation, data, metadata)

    def _forgetter(self, letters: DeadLetters) -> Callable[[str], Awaitable[None]]:
        chat, sessions = self._actors.chat, self._actors.sessions
        forgetting = UserEraser(chat, self._consumers, sessions, letters, self._clock)

        async def forget(user: str) -> None:
            await forgetting.forget(user)
            await self._runtime.purge()

        return forget

    async def start(self, dapr: DaprActor, deliver: Deliver) -> None:
        """Registers the actors, then lets the runtime serve.

        Raises:
            StartupError: A setting names an actor type that there is not, or the runtime cannot.
        """
        ActorRuntime.set_actor_config(actor_config(self._settings))
        builders = self._builders()
        self._require_types({each.__name__ for each in builders})
        for actor, build in builders.items():
            await dapr.register_actor(
                actor,
                actor_client=self._runtime.actor_client,
                actor_factory=build,
                message_serializer=ValueSerializer(),
                state_serializer=ValueSerializer(),
            )
        await self._runtime.start(deliver, self._activations.withdraw_all)
        await self._model.start()
        if self._orchestration is not None:
            self._orchestration.start()
        self._lag.start()

    def _require_types(self, known: set[str]) -> None:
        for name in self._settings.actor_types:
            if name not in known:
                raise StartupError(
                    f"AGENT_ACTORS_ACTOR_TYPES: there is no actor type {name!r} here; there are"
                    f" {', '.join(sorted(known))}."
                )

    async def drain(self) -> None:
        """Lets model calls end, and hand over what they owe, within the drain time. Idempotent."""
        self.stopping.begin()
        if not self._drained:
            self._drained = True
            await self._calls.drain(self.stopping.left())
            if self._orchestration is not None:
                await self._orchestration.drain()
            await self._drain_feed()

    async def _drain_feed(self) -> None:
        """The events first: what they have told is sent after them."""
        with suppress(TimeoutError):
            async with self._clock.timeout(max(self.stopping.left(), 0.0)):
                await self._feed.drain()
                if self.services.notifications is not None:
                    await self.services.notifications.drain()

    async def stop(self) -> None:
        """Lets model calls and turns end within the drain time, then stops what was started."""
        await self.drain()
        if self._orchestration is not None:
            await self._orchestration.stop()
        await self._runtime.stop()
        self._lag.stop()
        # Only now does no event come any more that could begin something here.
        await self._summaries.stop()
        await self._feed.stop()
        if self.services.notifications is not None:
            await self.services.notifications.stop()
        await self._calls.stop()
        await self._model.stop()

    def _builders(self) -> Mapping[type[Actor], Callable[[ActorRuntimeContext, ActorId], Actor]]:
        """The actor factories: each object they make is recorded as the one that may act."""
        host = Host(self._activations, self._clock, self._settings.call_time, self._counters)
        chat, response = self._chat_dependencies(), self._response_dependencies()
        request_summary = self._summaries.request_user_summary
        record = self._activations.record
        built: dict[type[Actor], Callable[[ActorRuntimeContext, ActorId], Actor]] = {
            ChatAgent: lambda ctx, id_: record(ChatAgent(ctx, id_, host, chat)),
            ResponseAgent: lambda ctx, id_: record(ResponseAgent(ctx, id_, host, response)),
            MemoryAgentActor: lambda ctx, id_: record(
                MemoryAgentActor(ctx, id_, host, request_summary)
            ),
            UserSessionActor: lambda ctx, id_: record(UserSessionActor(ctx, id_, host)),
            AnalyticsActor: lambda ctx, id_: record(AnalyticsActor(ctx, id_, host)),
        }
        sending, limit = self.services.notifications, self._settings.sms_per_day
        if sending is not None:
            built[NotificationActor] = lambda ctx, id_: record(
                NotificationActor(ctx, id_, host, limit, sending.send)
            )
        if self._runtime.dead_letters is None:
            bounds = LetterLimits()
            built[DeadLetterActor] = lambda ctx, id_: record(
                DeadLetterActor(ctx, id_, host, bounds)
            )
        return built

    def _kept_by_an_actor(self) -> DeadLetters:
        actor, age = self._actors.dead_letters, LetterLimits().age
        return ActorDeadLetters(actor, self._store, self._redeliver, self._clock, age)

    async def _redeliver(self, topic: str, event: bytes) -> None:
        await subscriptions.redeliver(self.services, topic, event)

    def _chat_dependencies(self) -> ChatDependencies:
        return ChatDependencies(
            settings=self._settings,
            response=self._actors.response,
            consumers=self._consumers,
            forgetful=(self._actors.memory, self._actors.sessions),
            outbox=Outbox(self._publish, self._clock, self._settings.call_time),
            bell=self._bell,
            new_turn_id=new_turn_id,
            request_summary=self._summaries.request_conversation_summary,
            may_follow_up=all(
                self._settings.rules_of(each).reentrant for each in (wire.CHAT, wire.RESPONSE)
            ),
            counters=self._counters,
        )

    def _response_dependencies(self) -> ResponseDependencies:
        return ResponseDependencies(
            chat=self._actors.chat,
            memory=self._actors.memory,
            calls=self._calls,
            reader=self._reader,
            parking_time=self._settings.parking_time,
        )

    async def _complete(self, conversation: str, turn_id: str, outcome: Outcome) -> None:
        await self._actors.chat.complete(conversation, CompleteTurn(turn_id, outcome))


_DEPTH_TOLD = 1_000
"""More than our own actors let in, however many branches a chain of calls has."""


def new_turn_id() -> str:
    """The id of a turn without a key."""
    return str(uuid7())


def actor_config(settings: Settings) -> ActorRuntimeConfig:
    """What `/dapr/config` says: only what Dapr heeds (docs/dapr-behaviour.md#configuration).

    While replicas come or go, daprd lets turns drain, and until they have it answers no read or
    save of an actor's state: whoever waits for one waits for the drain to be over. So the drain is
    hardly longer than a turn may wait for its model; a turn that is cut is sent again by daprd, and
    happens once (docs/dapr.md).
    """
    general = settings.rules_of("")
    return ActorRuntimeConfig(
        actor_idle_timeout=timedelta(seconds=general.idle_timeout),
        actor_scan_interval=None,
        drain_ongoing_call_timeout=timedelta(seconds=general.drain),
        drain_rebalanced_actors=True,
        reentrancy=_reentrancy(general),
        actor_type_configs=[
            _type_config(name, settings.rules_of(name)) for name in settings.actor_types
        ],
    )


def _type_config(name: str, rules: ActorRules) -> ActorTypeConfig:
    """All that a type has: daprd takes such an entry *instead* of the general values."""
    return ActorTypeConfig(
        name,
        actor_idle_timeout=timedelta(seconds=rules.idle_timeout),
        drain_ongoing_call_timeout=timedelta(seconds=rules.drain),
        drain_rebalanced_actors=True,
        reentrancy=_reentrancy(rules),
    )


def _reentrancy(rules: ActorRules) -> ActorReentrancyConfig:
    """The depth is kept by our own lock: what daprd refuses for its depth it never counts out.

    On 1.18.0 no call enters that actor any more, until it is deactivated.
    """
    return ActorReentrancyConfig(enabled=rules.reentrant, maxStackDepth=_DEPTH_TOLD)
