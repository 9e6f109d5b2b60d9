"""The round trip of an event, as `doctor` makes it."""

import json
from typing import Any

import httpx2
import pytest

from agent_actors.clock import SystemClock
from agent_actors.doctor import broker
from agent_actors.doctor.broker import BrokerCheck
from agent_actors.doctor.examination import PATIENCE
from agent_actors.doctor.finding import Finding
from agent_actors.doctor.seen import Seen
from agent_actors.errors import Unavailable
from agent_actors.protocol.events import CloudEvent
from agent_actors.routes.sidecar.probes import Probes
from agent_actors.settings import Settings
from tests.unit.doctor.conftest import answering


class Service:
    """The route of events, and the broker before it.

    Args:
        token: What the route wants.
        lost: How many events another replica gets.
    """

    def __init__(self, token: str | None = None, lost: int = 0) -> None:
        self.probes = Probes()
        self.published: list[CloudEvent] = []
        self.refusal: Exception | None = None
        self._token = token
        self._lost = lost

    async def publish(self, pubsub: str, topic: str, event: CloudEvent) -> None:
        assert (pubsub, topic) == ("daca-pubsub", "user-chat")
        if self.refusal is not None:
            raise self.refusal
        self.published.append(event)
        if len(self.published) > self._lost:
            envelope = {"id": event.id, "type": event.type, "data": event.data}
            assert self.probes.answer(json.dumps(envelope).encode()) == "SUCCESS"

    def subscribe(self, request: httpx2.Request) -> httpx2.Response:
        if self._token is not None and request.headers.get("dapr-api-token") != self._token:
            return httpx2.Response(403, json={"status": 403})
        return httpx2.Response(200, json={"status": self.probes.answer(request.content)})


async def ask(broker: Service, token: str | None = None, **given: Any) -> Finding:
    seen = Seen(**({"sidecar": {}, "service": "http://service:1"} | given))
    settings = Settings(app_api_token=token)
    async with answering({"/subscribe": broker.subscribe}) as http:
        check = BrokerCheck(broker.publish, http, settings, seen, SystemClock())
        (finding,) = await check.look()
    return finding


async def test_an_event_that_comes_back_is_ok():
    """One is enough."""
    service = Service()

    assert (await ask(service)).status == "ok"
    assert len(service.published) == 1


async def test_more_are_sent_where_another_replica_has_taken_the_first(
    monkeypatch: pytest.MonkeyPatch,
):
    """Until one comes to the replica that is asked."""
    monkeypatch.setattr(broker, "AGAIN", 0.0)
    service = Service(lost=2)

    assert (await ask(service)).status == "ok"
    assert len(service.published) == 3


async def test_an_event_that_does_not_come_back_is_said(monkeypatch: pytest.MonkeyPatch):
    """After a while; it may have gone to another replica."""
    monkeypatch.setattr(broker, "WITHIN", 0.3)
    found = await ask(Service(lost=1_000))

    assert found.status == "FAIL"
    assert "did not come back" in found.found
    assert "replicas" in found.advice


async def test_a_broker_that_takes_none_is_said():
    """With the reason."""
    service = Service()
    service.refusal = Unavailable("The broker is away.")
    found = await ask(service)

    assert found.status == "FAIL"
    assert "The broker is away" in found.found


async def test_a_token_that_is_wrong_is_said_and_none_is_skipped():
    """Nothing is published then: nobody could say whether it came."""
    service = Service(token="right")
    wrong, none = await ask(service, "wrong"), await ask(service)

    assert (wrong.status, none.status) == ("FAIL", "skip")
    assert not service.published
    assert "wrong" not in wrong.found
    assert (await ask(service, "right")).status == "ok"


@pytest.mark.parametrize("missing", [{"sidecar": None}, {"service": None}])
async def test_without_sidecar_or_service_it_is_skipped(missing: dict[str, None]):
    """There is no way to go round."""
    service = Service()

    assert (await ask(service, **missing)).status == "skip"
    assert not service.published


@pytest.mark.parametrize(
    "answer", [httpx2.Response(200, json={"status": "DROP"}), httpx2.Response(404, text="?")]
)
async def test_an_older_release_is_sent_nothing(answer: httpx2.Response):
    """It says that it does not know the question."""
    service = Service()
    seen = Seen(sidecar={}, service="http://service:1")
    async with answering({"/subscribe": answer}) as http:
        check = BrokerCheck(service.publish, http, Settings(), seen, SystemClock())
        (found,) = await check.look()

    assert found.status == "skip"
    assert not service.published


async def test_a_service_that_goes_meanwhile_is_said():
    """It was ready a moment ago."""
    seen = Seen(sidecar={}, service="http://service:1")
    async with answering({"/subscribe": httpx2.ReadError("gone")}) as http:
        check = BrokerCheck(Service().publish, http, Settings(), seen, SystemClock())
        (found,) = await check.look()

    assert (found.status, found.found) == ("FAIL", "the service has gone meanwhile")


def test_the_probes_fit_into_the_patience_of_a_check():
    """What is told after it is more than that it took too long."""
    assert broker.WITHIN < PATIENCE
