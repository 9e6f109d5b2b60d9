"""SMS by the real component of Dapr, which speaks to a stand-in of Twilio."""

import json
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dapr.engine import COMPONENTS, Engine
from tests.dapr.twilio import Twilio
from tests.e2e.dapr import DaprService
from tests.e2e.service import becomes, clock, eventually

ACCOUNT = "AC0123456789abcdef"
TOKEN = "the-token-of-the-account"
SENDER = "+15005550006"
NUMBER = "+14155550123"
SECRETS = {"accountSid": ACCOUNT, "authToken": TOKEN, "fromNumber": SENDER}
SETTINGS: dict[str, Any] = {
    "model": "scripted",
    "recovery_period": 1,
    "feed_time": 0.05,
    "sms_binding": "twilio-binding",
}


@pytest.fixture
def twilio(tmp_path: Path) -> Iterator[Twilio]:
    with Twilio(tmp_path) as twilio:
        yield twilio


@pytest.fixture
async def service(
    engine: Engine, tmp_path: Path, twilio: Twilio, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[DaprService]:
    """A replica that is ready, with a user who has a number."""
    for name, value in twilio.environment.items():
        monkeypatch.setenv(name, value)
    service = DaprService(engine, tmp_path, components=components(tmp_path), **SETTINGS)
    try:
        await service.start()
        await has_number(service, "ada", NUMBER)
        yield service
    finally:
        await service.close()


def components(folder: Path) -> Path:
    """The shipped component files, with those of the binding as a user copies them."""
    secrets = folder / "secrets.json"
    secrets.write_text(json.dumps({"twilio-credentials": SECRETS}))
    given = folder / "given"
    given.mkdir()
    for path in COMPONENTS.glob("*.yaml"):
        shutil.copy(path, given)
    for name in ("twilio-binding.yaml", "secretstore.yaml"):
        text = (COMPONENTS / "bindings" / name).read_text()
        (given / name).write_text(text.replace("secrets.json", str(secrets)))
    return given


async def has_number(service: DaprService, user: str, number: str | None) -> None:
    """Sets or withdraws a user's number."""
    preferences = {} if number is None else {"phone": number}
    answer = await service.http.put(f"/users/{user}/preferences", json=preferences)
    assert answer.status_code == 200, answer.text


async def notified(service: DaprService, user: str = "ada") -> list[dict[str, str]]:
    """What the user was told of, newest first."""
    answer = await service.http.get(f"/notifications/{user}")
    assert answer.status_code == 200, answer.text
    told: list[dict[str, str]] = answer.json()["notifications"]
    return told


async def statuses(service: DaprService, user: str = "ada") -> list[str]:
    """What became of each, oldest first."""
    return [each["status"] for each in reversed(await notified(service, user))]


async def become(service: DaprService, *wanted: str, user: str = "ada") -> None:
    """Waits until the user's notifications have these statuses, oldest first."""
    await becomes(lambda: statuses(service, user), [*wanted], 15.0)


async def letters(service: DaprService) -> list[dict[str, Any]]:
    """The dead letters, newest first."""
    dead: list[dict[str, Any]] = (await service.http.get("/events/dead")).json()["dead"]
    return dead


async def test_a_turn_causes_one_notification(service: DaprService, twilio: Twilio):
    """By one request, as Twilio wants it; the status names no number."""
    said = await service.say("ada", "Test SMS")
    await service.reply("eve", "I have no number")
    await become(service, "sent")
    (posted,) = twilio.posted
    (told,) = await notified(service)

    assert posted.path == f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert (posted.account, posted.token) == (ACCOUNT, TOKEN)
    answered = said.json()["response"]["content"]
    assert posted.form == {
        "To": NUMBER,
        "From": SENDER,
        "Body": f"New message from ada: Test SMS -> {answered}"[:160],
    }
    assert (told["turn_id"], told["conversation"]) == (said.json()["turn_id"], "ada")
    assert told["to"] == "123"
    assert await notified(service, "eve") == []


async def test_what_twilio_refuses_is_kept_and_can_be_sent_again(
    service: DaprService, twilio: Twilio
):
    """Once for each turn, whatever the status; by hand, to the number that the user has then."""
    refusals = (400, 401, 429, 500)
    for number, status in enumerate(refusals, 1):
        twilio.status = status
        await service.reply("ada", f"turn {number}")
        await become(service, *["failed"] * number)
    dead = await letters(service)

    assert [each["reason"][-3:] for each in reversed(dead)] == [str(each) for each in refusals]
    assert {each["topic"] for each in dead} == {"twilio-binding"}
    assert len(twilio.posted) == len(refusals)

    again = f"/events/dead/{dead[0]['id']}/requeue"
    assert (await service.http.post(again)).status_code == 409

    twilio.status = 201
    await has_number(service, "ada", None)
    assert (await service.http.post(again)).status_code == 409
    assert len(twilio.posted) == len(refusals) + 1

    await has_number(service, "ada", "+4915112345678")
    assert (await service.http.post(again)).status_code == 200
    await become(service, "failed", "failed", "failed", "sent")
    assert twilio.posted[-1].form["To"] == "+4915112345678"
    assert twilio.texts[-1].startswith("New message from ada: turn 4 -> ")
    assert len(await letters(service)) == len(refusals) - 1

    metadata = await service.http.get(service.beside("metadata"))
    broken = await service.http.post(service.beside("bindings/twilio-binding"), json={})
    assert "bindings.twilio.sms" in metadata.text
    assert broken.status_code >= 400
    for secret in (ACCOUNT, TOKEN, SENDER, NUMBER, "+4915112345678"):
        assert secret not in service.logged() + metadata.text + broken.text + json.dumps(dead)


async def test_no_turn_waits_for_twilio(service: DaprService, twilio: Twilio):
    """Without an answer in time it is unknown whether the SMS was sent: it is not sent again."""
    twilio.free.clear()
    begun = clock.monotonic()
    await service.reply("ada", "turn 1")

    assert clock.monotonic() - begun < 5.0
    await become(service, "unknown")
    assert (await service.http.get("/analytics/ada")).json() == {"message_count": 1}
    await eventually(lambda: "no answer came in time" in service.logged(), "it was given up")
    await clock.sleep(1.5)  # A recovery period and more.
    assert len(twilio.posted) == 1
    twilio.free.set()
    await service.reply("ada", "turn 2")
    await become(service, "unknown", "sent")
    assert [text[:31] for text in twilio.texts] == [
        f"New message from ada: turn {number} ->" for number in (1, 2)
    ]
    assert await letters(service) == []


@pytest.mark.parametrize("reached", [False, True])
async def test_a_crash_costs_an_sms_and_never_doubles_it(
    service: DaprService, twilio: Twilio, reached: bool
):
    """Whether it comes before Twilio has the request or after: what was saved is not sent again."""
    gate = twilio.free if reached else twilio.reachable
    gate.clear()
    await service.reply("ada", "lost")
    await become(service, "unknown")
    if reached:
        await eventually(lambda: twilio.posted, "the request is there")
    service.kill()
    gate.set()
    await service.start()
    await clock.sleep(2.5)  # Two recovery periods: the conversation has asked all marks.
    await service.reply("ada", "told")
    await become(service, "unknown", "sent")

    assert [text[22:27] for text in twilio.texts] == (["lost ", "told "] if reached else ["told "])


async def test_nothing_of_it_stays_of_a_user_who_is_deleted(service: DaprService, twilio: Twilio):
    """Neither the number nor what was told, nor what could not be; and nothing is told any more."""
    twilio.status = 400
    await service.reply("ada", "xyzzy")
    await become(service, "failed")
    exported = (await service.http.get("/users/ada/export")).json()
    answer = await service.http.delete("/users/ada")
    before = len(twilio.posted)
    await service.reply("ada", "a new life")
    await service.remembered("ada", "a new life")
    await clock.sleep(2.5)

    assert exported["notifications"][0]["status"] == "failed"
    assert answer.status_code == 204
    assert await notified(service) == await letters(service) == []
    assert len(twilio.posted) == before
    kept = b"".join(service.stored("NotificationActor") + service.stored("DeadLetterActor"))
    assert b"xyzzy" not in kept
    assert service.places_of(NUMBER) == []


async def test_a_binding_that_is_not_there_is_told_by_the_first_sms(engine: Engine, tmp_path: Path):
    """Its file in a folder below is not loaded. Turns go on: the service is there for them."""
    service = DaprService(engine, tmp_path, **SETTINGS)
    shutil.copytree(COMPONENTS / "bindings", service.cluster.components / "bindings")
    try:
        await service.start()
        await has_number(service, "ada", NUMBER)
        await service.reply("ada", "hello")
        await become(service, "failed")

        (letter,) = await letters(service)
        assert "twilio-binding" in letter["reason"]
        assert (await service.http.get("/readyz")).status_code == 200
    finally:
        await service.close()


async def test_replicas_tell_of_a_turn_once(service: DaprService, twilio: Twilio):
    """In order, though the events of a conversation reach either of them."""
    other = service.cluster.replica().start()
    for number in range(1, 6):
        url = other.url if number % 2 else service.url
        said = {"role": "user", "content": f"turn {number}"}
        answer = await service.http.post(f"{url}/chat/ada", json=said)
        assert answer.status_code == 200, answer.text
    await become(service, *["sent"] * 5)
    await clock.sleep(2.5)  # Recovery periods.

    assert [text[22:28] for text in twilio.texts] == [f"turn {number}" for number in range(1, 6)]
