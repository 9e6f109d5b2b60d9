"""Notifications by SMS, from the number to the status, on the embedded runtime."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from dapr.actor import ActorRuntime

from agent_actors.errors import BindingFailed, Conflict, StartupError
from agent_actors.notifications.sender import SmsBinding
from agent_actors.protocol import wire
from agent_actors.routes.sidecar import subscriptions
from agent_actors.runtime.embedded import EmbeddedRuntime
from agent_actors.runtime.embedded.files.outputs import RecordedOutputs
from tests.conftest import Serve, Served
from tests.fakes import QuickModel, eventually
from tests.unit.routes.sidecar.lessons import AT_ONCE, becomes, got, letters, replied

COMPONENTS = Path(__file__).parents[3] / "components"
NUMBER = "+14155550123"
OTHER = "+14155550199"
BINDING = "twilio-binding"


Telling = Callable[..., AbstractAsyncContextManager[Served]]
"""A service that tells users of turns, of these settings."""


@pytest.fixture
def telling(serve: Serve, tmp_path: Path) -> Telling:
    """A service with SMS that checks unsettled conversations ten times a second."""
    folder = tmp_path / "components"
    shutil.copytree(COMPONENTS, folder, ignore=lambda *_: ["bindings"])
    shutil.copy(COMPONENTS / "bindings" / f"{BINDING}.yaml", folder)
    given = AT_ONCE | {"sms_binding": BINDING, "components": folder, "recovery_period": 0.1}

    @asynccontextmanager
    async def served(**settings: Any) -> AsyncIterator[Served]:
        async with serve(model=QuickModel(), **(given | settings)) as running:
            yield running

    return served


def outputs(served: Served) -> RecordedOutputs:
    """The recorded outputs."""
    runtime = served.services.runtime
    assert isinstance(runtime, EmbeddedRuntime)
    return runtime._outputs


def texts(served: Served, number: str = NUMBER) -> list[str]:
    """The texts that a number has got."""
    return [each.data for each in outputs(served).sent if each.metadata["toNumber"] == number]


async def has_number(served: Served, number: str | None = NUMBER, user: str = "ada") -> None:
    """Sets or removes a user's number."""
    preferences = {"language": "en"} | ({} if number is None else {"phone": number})
    answer = await served.http.put(f"/users/{user}/preferences", json=preferences)
    assert (answer.status_code, answer.json()) == (200, preferences)


async def notified(served: Served, user: str = "ada") -> list[dict[str, str]]:
    """The user's notifications, newest first."""
    told: list[dict[str, str]] = (await got(served, f"/notifications/{user}"))["notifications"]
    return told


async def become(served: Served, *statuses: str) -> None:
    """Waits until ada's notifications have these statuses, oldest first."""

    async def are() -> bool:
        return [each["status"] for each in reversed(await notified(served))] == [*statuses]

    await eventually(are)


async def settled(tmp_path: Path) -> None:
    """Waits until no conversation has a recovery reminder."""
    uri = f"{(tmp_path / 'data' / 'agent-actors.db').as_uri()}?mode=ro"

    def none_left() -> bool:
        with closing(sqlite3.connect(uri, uri=True, timeout=5.0)) as connection:
            return not connection.execute("SELECT 1 FROM reminders").fetchall()

    await eventually(none_left)


def said(number: int) -> str:
    """The text of a turn's SMS."""
    return f"New message from ada: turn {number} -> reply to turn {number}"


async def test_a_user_gets_an_sms_of_a_turn(telling: Telling):
    """There is one SMS, and the route shows the last digits of its number."""
    async with telling() as served:
        await has_number(served)
        turn = (await served.say("ada", "turn 1")).json()
        await become(served, "sent")
        (told,) = await notified(served)

        assert texts(served) == [said(1)]
        assert told.keys() == {"at", "conversation", "turn_id", "status", "to"}
        assert told["at"].endswith("Z")
        assert told["conversation"] == "ada"
        assert (told["turn_id"], told["to"]) == (turn["turn_id"], "123")


async def test_the_newest_comes_first(telling: Telling):
    """Sessions have the id that their user knows."""
    async with telling() as served:
        await has_number(served)
        await served.reply("ada", "turn 1")
        await become(served, "sent")
        await replied(served, "ada", "hello", "s1")
        await become(served, "sent", "sent")

        assert [each["conversation"] for each in await notified(served)] == ["s1", "ada"]
        assert texts(served)[1] == "New message from s1: hello -> reply to hello"


async def test_a_user_without_a_number_is_owed_nothing(telling: Telling, tmp_path: Path):
    """No NotificationActor is activated, and the conversation settles."""
    async with telling() as served:
        await served.reply("ada", "turn 1")
        await settled(tmp_path)

        assert await notified(served) == []
        manager = ActorRuntime._actor_managers[wire.NOTIFICATIONS]
        assert manager._active_actors == {}


async def test_a_failing_service_does_not_touch_the_turn(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
):
    """A failed SMS is a dead letter; requeueing sends it and changes its status."""

    async def refuse(*_: object) -> bytes:
        raise BindingFailed("It has answered 400.")

    async with telling() as served:
        await has_number(served)
        with monkeypatch.context() as broken:
            sending = served.services.notifications
            broken.setattr(sending, "_binding", SmsBinding(refuse, BINDING, 1.0))
            await served.reply("ada", "turn 1")
            await become(served, "failed")
        (letter,) = await letters(served)
        assert (letter["topic"], letter["reason"]) == (BINDING, "It has answered 400")

        event = json.dumps(letter["event"]).encode()
        await subscriptions.redeliver(served.services, BINDING, event)
        await become(served, "sent")
        assert texts(served) == [said(1)]


async def test_deletion_takes_all_of_it(telling: Telling):
    """Number, notifications and dead letters are deleted; another user's stay."""
    async with telling() as served:
        await has_number(served)
        await has_number(served, OTHER, "bob")
        await served.reply("ada", "turn 1")
        await served.reply("bob", "hello")
        await become(served, "sent")
        exported = await got(served, "/users/ada/export")
        assert exported["notifications"] == await notified(served)

        await becomes(served, "/analytics/bob", {"message_count": 1})
        assert (await served.http.delete("/users/ada")).status_code == 204
        assert await notified(served) == []
        assert (await served.http.get("/users/ada/export")).status_code == 404
        assert len(await notified(served, "bob")) == 1

        await served.reply("ada", "turn 2")
        await becomes(served, "/analytics/ada", {"message_count": 1})
        assert await notified(served) == []


@pytest.mark.parametrize(
    "number", ["", "0", "14155550123", "+0155550123", "+1415555", "+1415555012345678", "call me"]
)
async def test_a_wrong_number_is_refused(serve: Serve, number: str):
    """The answer is 422, and the preferences do not change."""
    async with serve() as served:
        await has_number(served)
        answer = await served.http.put("/users/ada/preferences", json={"phone": number})

        assert answer.status_code == 422
        assert [each["field"] for each in answer.json()["errors"]] == ["phone"]
        assert "phone: a phone number is + and 8 to 15 digits" in answer.json()["detail"]
        assert (await got(served, "/users/ada/preferences"))["phone"] == NUMBER


async def test_without_a_binding_there_are_no_notifications(serve: Serve):
    """There is no NotificationActor, and the route names the missing setting."""
    async with serve(model=QuickModel(), **AT_ONCE) as served:
        await has_number(served)
        await served.reply("ada", "turn 1")
        await becomes(served, "/analytics/ada", {"message_count": 1})
        answer = await served.http.get("/notifications/ada")

        assert answer.status_code == 404
        assert "AGENT_ACTORS_SMS_BINDING" in answer.json()["detail"]
        assert wire.NOTIFICATIONS not in ActorRuntime.get_registered_actor_types()
        assert (await got(served, "/users/ada/export"))["notifications"] == []
        with pytest.raises(Conflict):
            await subscriptions.redeliver(served.services, BINDING, b"{}")


async def test_a_binding_without_a_component_file_stops_the_start(serve: Serve):
    """The error names the setting."""
    with pytest.raises(StartupError, match="AGENT_ACTORS_SMS_BINDING is 'twilio-binding'"):
        async with serve(sms_binding=BINDING):
            pass


async def test_what_is_being_sent_is_drained_at_a_stop(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
):
    """The status of a running SMS is saved before the store is closed."""
    asked, free = asyncio.Event(), asyncio.Event()

    async def slowly(*_: object) -> bytes:
        asked.set()
        await free.wait()
        return b""

    async with telling(drain=5.0) as served, asyncio.timeout(10):
        binding = SmsBinding(slowly, BINDING, 10.0)
        monkeypatch.setattr(served.services.notifications, "_binding", binding)
        await has_number(served)
        await served.reply("ada", "turn 1")
        await asked.wait()
        draining = asyncio.create_task(served.app.state.drain())
        await asyncio.wait({draining}, timeout=0.05)
        assert not draining.done()

        free.set()
        await draining
        assert [each["status"] for each in await notified(served)] == ["sent"]
