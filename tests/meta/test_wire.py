"""Names on the wire and derived ids are for ever: replicas of two releases run side by side."""

import re
import tomllib
from pathlib import Path

import pytest
from dapr.actor import Actor
from dapr.actor.runtime._type_utils import get_dispatchable_attrs

from agent_actors.conversation.agent import ChatAgent
from agent_actors.conversation.response import ResponseAgent
from agent_actors.dead_letters.actor import DeadLetterActor
from agent_actors.notifications.actor import NotificationActor
from agent_actors.protocol import dead_letters, ids
from agent_actors.protocol.messages import Message
from agent_actors.service import Service
from agent_actors.settings import Settings
from agent_actors.users.analytics import AnalyticsActor
from agent_actors.users.memory import MemoryAgentActor
from agent_actors.users.session import UserSessionActor
from tests.fakes import FakeRuntime, QuickModel
from tests.hand_clock import HandClock

ROOT = Path(__file__).parents[2]

METHODS: dict[type[Actor], str] = {
    ChatAgent: "AddSchedule AdoptTurn AskFollowUp ClearHistory CompleteTurn Forget"
    " GetConversationHistory Ping ProcessMessage RemoveSchedule Settle SumUp",
    ResponseAgent: "FollowUp GetMessageCount Ping ProcessMessage",
    MemoryAgentActor: "Forget ForgetConversation GetMark GetMemory Initialize KeepSummary Ping"
    " Recall UpdateMemory",
    UserSessionActor: "AddExchanges ClearHistory CloseSessions ClosedSessions DropSessions Forget"
    " ForgetConversation GetConversationHistory GetMark OpenSession Ping SetPreferences",
    AnalyticsActor: "CountTurns Forget GetMark GetMessageCount Initialize Ping",
    NotificationActor: "Forget GetMark Notify Ping Report",
    DeadLetterActor: "Forget Keep Ping",
}


class OnDapr(FakeRuntime):
    """A runtime without dead letters of its own: an actor keeps them."""

    dead_letters = None  # type: ignore[assignment]


@pytest.fixture(scope="module")
def actors() -> set[type[Actor]]:
    """Every actor that the service can host."""
    settings = Settings(sms_binding="twilio-binding")
    return set(Service(settings, OnDapr(), QuickModel(), HandClock())._builders())


def test_every_actor_is_listed_above(actors: set[type[Actor]]):
    """A new actor gets its line in `METHODS`."""
    assert actors == set(METHODS)


def test_every_actor_is_under_the_import_contract(actors: set[type[Actor]]):
    """The contract "Actors meet only through their contract" in `pyproject.toml` names each."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        each
        for each in settings["tool"]["importlinter"]["contracts"]
        if each["name"] == "Actors meet only through their contract"
    )

    assert contract["modules"] == sorted(each.__module__ for each in actors)


def test_every_actor_has_a_row_in_the_actors_page(actors: set[type[Actor]]):
    """The first table of `docs/actors.md` has each type."""
    page = (ROOT / "docs" / "actors.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \|", page.partition("\n## ")[0], flags=re.MULTILINE)

    assert sorted(named) == sorted(each.__name__ for each in actors)


@pytest.mark.parametrize("actor", METHODS)
def test_the_methods_of_an_actor_keep_their_names(actor: type[Actor]):
    """Another release, or any caller of Dapr's actor API, finds each method by its name."""
    assert sorted(get_dispatchable_attrs(actor)) == METHODS[actor].split()


def test_derived_ids_stay_the_same():
    """A retry that reaches a newer release is the same turn, event, session or schedule."""
    assert ids.turn_id("c", "k", "b") == "1ff06804-00a6-5d17-93fd-6d323ac2f78a"
    assert ids.event_id("c", 1) == "595e7400-19db-563d-b471-0519ab72f139"
    assert ids.clearing_id("c", 1) == "8c6cdb7c-c8d4-5305-94bc-a6d575783222"
    assert ids.session_for("u", "k") == "b89ab45f-0f57-5486-9be8-63675768147f"
    assert ids.occurrence_id("c", "s", 1.0, 2) == "447ff477-fcfe-5281-84fe-b150250ec0c5"
    assert ids.schedule_id("u", "k", ("a", 1)) == "98b8cbff-1c90-5820-88b8-7e74250d0746"
    assert ids.follow_up_id("c", "t") == "4ed6c624-de37-5039-9a50-2f11853ee544"
    assert ids.key_hash("k") == "8254c329a92850f6d539dd376f4816ee"
    assert ids.body_hash(Message("user", "hi")) == "0235981f325123e10b959946cb44e152"
    letter = dead_letters.id_of("t", b'{"id":"x","source":"s"}')
    assert letter == "e60593ed-2655-5ac6-9fa7-79a16fa6c523"
