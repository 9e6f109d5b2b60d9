"""The service itself: does it run, and what does it say of itself?"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from agent_actors.clock import Clock
from agent_actors.doctor.finding import Finding, Report
from agent_actors.doctor.seen import Seen
from agent_actors.forms.url import is_address
from agent_actors.protocol.codec import json_object

DEFAULT = "http://127.0.0.1:8000"
_ELSEWHERE = "set AGENT_ACTORS_URL (or --url) to the address that its start has said"


class ServiceCheck:
    """The service is ready, if it runs.

    Args:
        http: Asks it.
        url: Where it is; by default where the sidecar looks for it, else where it is by default.
        seen: Is told where it answers, and of its clock.
        clock: Our own.
    """

    name = "service"

    def __init__(self, http: httpx2.AsyncClient, url: str | None, seen: Seen, clock: Clock) -> None:
        self._http = http
        self._url = url
        self._seen = seen
        self._clock = clock

    async def look(self) -> Sequence[Finding]:
        """What `/readyz` says."""
        report = Report(self.name)
        url = (self._url or _told(self._seen.sidecar) or DEFAULT).rstrip("/")
        if not is_address(url):
            return _no_address(report)
        if any(each in url for each in "@?#"):
            return report.fail(
                "AGENT_ACTORS_URL (or --url) has a name, a password or a query in it",
                "leave it out",
            )
        try:
            answer = await self._http.get(f"{url}/readyz")
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
            return _no_address(report)
        except httpx2.HTTPError:
            return self._silent(report, url)
        told = json_object(answer.content)
        if answer.status_code == httpx2.codes.OK and told.get("status") == "ok":
            self._seen.service, self._seen.ready = url, True
            note_skew(self._seen, "the service", answer.headers, self._clock)
            return report.ok(f"ready at {url}")
        if answer.status_code != httpx2.codes.SERVICE_UNAVAILABLE or "detail" not in told:
            return report.fail(f"what answers at {url} is not this service", _ELSEWHERE)
        self._seen.service = url
        why = str(told["detail"]).rstrip(".")
        return report.fail(f"not ready at {url}: {why}", "see below, and its log")

    def _silent(self, report: Report, url: str) -> Sequence[Finding]:
        """It does not run, which is no failure, or it is elsewhere."""
        if self._seen.holder is None:
            return report.skip(f"none answers at {url}", f"if one runs, {_ELSEWHERE}")
        return report.warn(
            f"none answers at {url}, though process {self._seen.holder} uses the data", _ELSEWHERE
        )


def _no_address(report: Report) -> Sequence[Finding]:
    return report.fail(
        "AGENT_ACTORS_URL (or --url) is no address of a service", f"give one like {DEFAULT}"
    )


def _told(sidecar: Mapping[str, Any] | None) -> str | None:
    """Where the sidecar looks for the app."""
    told = (sidecar or {}).get("appConnectionProperties")
    if not isinstance(told, dict) or not isinstance(told.get("port"), int) or not told["port"]:
        return None
    url = f"http://{told.get('channelAddress') or '127.0.0.1'}:{told['port']}"
    return url if is_address(url) else None


def note_skew(seen: Seen, who: str, headers: Mapping[str, str], clock: Clock) -> None:
    """Keeps by how much the clock of who has just answered is ahead of ours."""
    try:
        told = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return
    there: datetime = told if told.tzinfo else told.replace(tzinfo=UTC)
    # The header has whole seconds, those that are over: on average half a one is missing.
    seen.skews[who] = (there - clock.now()).total_seconds() + 0.5


WARN, FAIL = 2.0, 30.0
"""Seconds of difference. Below the first nobody notices: the header itself is not more exact."""


class ClockCheck:
    """Our clock is that of the others.

    Due times of schedules and the moment from which a user is forgotten are wall time, compared
    on other machines than the one that wrote them.

    Args:
        seen: What earlier checks saw of other clocks.
    """

    name = "clock"

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    async def look(self) -> Sequence[Finding]:
        """The largest difference."""
        report = Report(self.name)
        if not self._seen.skews:
            return report.skip("nobody has answered who tells the time")
        who, ahead = max(self._seen.skews.items(), key=lambda item: abs(item[1]))
        if abs(ahead) < WARN:
            return report.ok(f"within {WARN:g} s of {' and '.join(sorted(self._seen.skews))}")
        told = report.fail if abs(ahead) > FAIL else report.warn
        way = "behind" if ahead > 0 else "ahead of"
        return told(
            f"{abs(ahead):.0f} s {way} {who}",
            "synchronise it (NTP): schedules speak at the wrong time, and what was said since a"
            " user was forgotten may be lost",
        )
