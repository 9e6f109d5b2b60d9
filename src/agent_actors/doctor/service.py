"""The running service, and the clocks of all who answer."""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from agent_actors.doctor.finding import Context, Findings, Report
from agent_actors.doctor.running import check_running, get
from agent_actors.forms.url import is_address
from agent_actors.protocol.codec import json_object

DEFAULT = "http://127.0.0.1:8000"
_ELSEWHERE = (
    "set AGENT_ACTORS_URL (or --url) to the address that its start printed; if another app mounts"
    " it, with the path"
)
WARN, FAIL = 2.0, 30.0
"""Seconds of clock difference. The `Date` header has whole seconds, so less is not measurable."""
_report = Report("service")


async def check_service(context: Context, http: httpx2.AsyncClient) -> Findings:
    """Is the service ready, at the given URL or where the sidecar expects it, and what does it run?

    Later checks report that, rather than what this environment would run.
    """
    found = await _ready(context, http)
    if context.service is not None:
        found += await check_running(context, http, context.service)
    return found


async def _ready(context: Context, http: httpx2.AsyncClient) -> Findings:
    url = (context.url or _app_url(context.metadata) or DEFAULT).rstrip("/")
    invalid = _report.fail(
        "AGENT_ACTORS_URL (or --url) is not the URL of a service", f"use one like {DEFAULT}"
    )
    if not is_address(url):
        return invalid
    if any(each in url for each in "@?#"):
        return _report.fail(
            "AGENT_ACTORS_URL (or --url) contains a user, a password or a query", "remove it"
        )
    try:
        answer = await get(http, f"{url}/readyz")
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError):
        return invalid
    except httpx2.HTTPError:
        if context.data_user is None:  # Not running is no failure: doctor is useful before a start.
            return _report.skip(
                f"no service answers at {url}: the other lines are about this environment",
                f"if it is running, {_ELSEWHERE}",
            )
        return _report.warn(
            f"no service answers at {url}, but process {context.data_user} uses the data",
            _ELSEWHERE,
        )
    body = json_object(answer.body)
    if answer.status == httpx2.codes.OK and body.get("status") == "ok":
        context.service, context.ready = url, True
        note_skew(context, "the service", answer.headers)
        return _report.ok(f"ready at {url}")
    if answer.status != httpx2.codes.SERVICE_UNAVAILABLE or "detail" not in body:
        return _report.fail(f"the program at {url} is not this service", _ELSEWHERE)
    context.service = url
    reason = str(body["detail"]).rstrip(".")
    return _report.fail(f"not ready at {url}: {reason}", "see below, and check its log")


def _app_url(metadata: Mapping[str, Any] | None) -> str | None:
    """Where the sidecar expects the app."""
    app = (metadata or {}).get("appConnectionProperties")
    if not isinstance(app, dict) or not isinstance(app.get("port"), int) or not app["port"]:
        return None
    url = f"http://{app.get('channelAddress') or '127.0.0.1'}:{app['port']}"
    return url if is_address(url) else None


def note_skew(context: Context, name: str, headers: Mapping[str, str]) -> None:
    """Remembers how many seconds the clock of a server is ahead of ours."""
    try:
        date = parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, OverflowError):  # Its zone may have any number of digits.
        return
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    # The header is rounded down to whole seconds: half a second on average.
    context.skews[name] = (date - context.clock.now()).total_seconds() + 0.5


async def check_clock(context: Context) -> Findings:
    """Our clock agrees with the others.

    Due times of schedules and erasures of users are wall-clock times, which another machine
    compares with its own clock.
    """
    report = Report("clock")
    if not context.skews:
        return report.skip("no server has answered with its time")
    name, ahead = max(context.skews.items(), key=lambda item: abs(item[1]))
    if abs(ahead) < WARN:
        return report.ok(f"within {WARN:g} s of {' and '.join(sorted(context.skews))}")
    finding = report.fail if abs(ahead) > FAIL else report.warn
    return finding(
        f"{abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} {name}",
        "synchronise it (NTP): schedules fire at the wrong time, and messages sent after a user was"
        " erased may be lost",
    )
