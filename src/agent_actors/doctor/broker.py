"""The round trip of an event: published, delivered, taken by the service."""

import uuid
from collections.abc import Awaitable, Callable, Sequence

import httpx2

from agent_actors.clock import Clock
from agent_actors.doctor.finding import Finding, Report
from agent_actors.doctor.seen import Seen
from agent_actors.errors import AgentError
from agent_actors.protocol import wire
from agent_actors.protocol.codec import json_object
from agent_actors.protocol.events import CloudEvent
from agent_actors.protocol.wire import TOKEN_HEADER
from agent_actors.routes.sidecar import probes
from agent_actors.settings import Settings

Publish = Callable[[str, str, CloudEvent], Awaitable[None]]

ROUTE = "/subscribe"
WITHIN = 10.0
"""Seconds for the way through the broker."""
AGAIN = 1.0
"""Seconds before one more is sent: with several replicas, another may have got the last one."""
PAUSE = 0.1


class BrokerCheck:
    """An event comes back to the service that was asked.

    Args:
        publish: Hands an event to the broker.
        http: Asks the service.
        settings: The token that its callbacks want.
        seen: Where it is.
        clock: Paces the questions.
    """

    name = "broker"

    def __init__(
        self,
        publish: Publish,
        http: httpx2.AsyncClient,
        settings: Settings,
        seen: Seen,
        clock: Clock,
    ) -> None:
        self._publish = publish
        self._http = http
        self._token = settings.app_api_token
        self._seen = seen
        self._clock = clock
        self._probe = uuid.uuid4().hex
        self._report = Report(self.name)

    async def look(self) -> Sequence[Finding]:
        """How long it took, or where it was lost."""
        if self._seen.sidecar is None:
            return self._report.skip(self._seen.silent)
        if self._seen.service is None:
            return self._report.skip("no service answers that could take an event")
        begun = self._clock.monotonic()
        try:
            refused = _refused(*await self._asked(), token=self._token)
            if refused is not None:
                return [refused]
            if await self._returns():
                took = self._clock.monotonic() - begun
                return self._report.ok(f"an event came back after {took:.2f} s")
        except AgentError as error:
            return self._report.fail(
                f"{wire.PUBSUB!r} takes no event ({error.detail.rstrip('.')})",
                "start the broker; the sidecar's log has its words",
            )
        except httpx2.HTTPError:
            return self._report.fail("the service has gone meanwhile", "look at its log")
        return self._report.fail(
            f"an event was published, and did not come back within {WITHIN:g} s",
            "the sidecar's log says why it is not delivered, or other replicas got each of them:"
            " ask one of those, too",
        )

    async def _returns(self) -> bool:
        """Sends probes until one has come; raises as `publish` and the client."""
        event = probes.probe(self._probe, self._clock.now().isoformat())
        now = self._clock.monotonic()
        end, due = now + WITHIN, now
        while now < end:
            if now >= due:
                await self._publish(wire.PUBSUB, wire.USER_CHAT, event)
                due = now + AGAIN
            await self._clock.sleep(PAUSE)
            _, verdict = await self._asked()
            if verdict == "SUCCESS":
                return True
            now = self._clock.monotonic()
        return False

    async def _asked(self) -> tuple[int, str]:
        """The status of the service's answer, and its verdict."""
        answer = await self._http.post(
            f"{self._seen.service}{ROUTE}",
            content=probes.question(self._probe),
            headers={"content-type": "application/json"}
            | ({TOKEN_HEADER: self._token} if self._token else {}),
        )
        return answer.status_code, str(json_object(answer.content).get("status", ""))


def _refused(status: int, verdict: str, *, token: str | None) -> Finding | None:
    """Why the service does not say what has come to it; None where it does."""
    if status == httpx2.codes.FORBIDDEN and token is None:
        reason = "APP_API_TOKEN is not set here, so the service does not say what has come to it"
        return Finding("broker", "skip", reason)
    if status == httpx2.codes.FORBIDDEN:
        return Finding(
            "broker",
            "FAIL",
            "the service refuses our APP_API_TOKEN",
            "give service, sidecar and doctor the same one",
        )
    if status != httpx2.codes.OK or verdict != "RETRY":
        return Finding("broker", "skip", "the service is of a release that knows no probes")
    return None


class EmbeddedBrokerCheck:
    """In the embedded runtime there is no broker beside the service."""

    name = "broker"

    async def look(self) -> Sequence[Finding]:
        """That there is nothing to look at."""
        return Report(self.name).skip("events are delivered inside the service's process")
