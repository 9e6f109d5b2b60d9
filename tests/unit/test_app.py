"""The composition as a whole."""

import gc

import pytest
from dapr.actor import Remindable
from dapr.actor.runtime._type_information import ActorTypeInformation

from agent_actors.app import create_app
from agent_actors.conversation.agent import ChatAgent
from agent_actors.conversation.response import ResponseAgent
from agent_actors.runtime.dapr import DaprRuntime
from agent_actors.runtime.embedded import EmbeddedRuntime
from agent_actors.service import Service
from agent_actors.settings import Settings
from agent_actors.state.documents.conversation import Head
from agent_actors.state.documents.users import Analytics, LastExchanges, Memory
from agent_actors.users.analytics import AnalyticsActor
from agent_actors.users.memory import MemoryAgentActor
from agent_actors.users.session import UserSessionActor
from tests.conftest import Serve
from tests.fakes import FakeRuntime, QuickModel, eventually
from tests.hand_clock import HandClock

ACTORS = (ChatAgent, ResponseAgent, MemoryAgentActor, UserSessionActor, AnalyticsActor)
KEPT_WHILE_ACTIVE = (*ACTORS, Head, Memory, LastExchanges, Analytics)


def resident() -> int:
    """Actors and their documents that are in memory, after a collection."""
    gc.collect()
    return sum(isinstance(each, KEPT_WHILE_ACTIVE) for each in gc.get_objects())


async def test_idle_conversations_are_not_resident(serve: Serve):
    """Thirty conversations that were deactivated leave neither an actor nor a document behind."""
    before = resident()
    async with serve(idle_timeout=0.2, recovery_period=0.3) as served:
        for number in range(30):
            answer = await served.say(f"user{number}", "hi")
            assert answer.status_code == 200
        runtime = served.services.runtime
        assert isinstance(runtime, EmbeddedRuntime)
        await eventually(lambda: runtime._turns.resident == 0)

        assert resident() <= before


def test_every_actor_with_reminders_is_directly_remindable():
    """The SDK asks `__bases__`; one that inherits it would answer 500 to each fire (I14)."""
    service = Service(Settings(), FakeRuntime(), QuickModel(), HandClock())
    with_reminders = [each for each in service._builders() if hasattr(each, "receive_reminder")]

    assert ChatAgent in with_reminders
    assert all(Remindable in each.__bases__ for each in with_reminders)
    assert all(ActorTypeInformation.create(each).is_remindable() for each in with_reminders)


async def test_withdrawing_puts_every_actor_of_the_process_away(serve: Serve):
    """What a new sidecar causes: nothing kept is believed, and conversations go on (I15)."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime) as served:
        await served.reply("ada", "one")
        assert runtime.withdraw is not None
        runtime.withdraw()
        runtime.client.log.clear()
        await served.reply("ada", "two")

        assert ("get", "ChatAgent", "ada", "head") in runtime.client.did("get")
        assert (await served.http.get("/response/ada/count")).json() == {"count": 2}


def test_the_runtime_is_dapr_where_there_is_a_sidecar(monkeypatch: pytest.MonkeyPatch):
    """`dapr run` and Kubernetes name it; nothing else needs to be said."""
    monkeypatch.setenv("DAPR_HTTP_PORT", "3500")
    app = create_app()

    assert isinstance(app.state.services.runtime, DaprRuntime)
