"""What the running service says about itself, and where that differs from this environment."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
from pydantic import ValidationError

from agent_actors.doctor.finding import Context, Findings, Report
from agent_actors.doctor.thread import in_thread
from agent_actors.errors import StartupError
from agent_actors.forms.line import one_line
from agent_actors.protocol.service_info import ServiceInfo
from agent_actors.protocol.wire import TOKEN_HEADER
from agent_actors.runtime.embedded.files import components

WITHIN = 4.0
"""Seconds for the answer."""
LARGEST = 65_536
"""Bytes of an answer that are read."""
LONGEST = 100
"""Characters of a value that are shown."""
ACCESS = {
    "token": "callers need a token",
    "none": "callers need no token",
    "off": "access control is off",
}
_OK = httpx2.codes.OK
_HERE = "the other lines are about this environment"
_NAMES = {
    "version": "release",
    "runtime": "runtime",
    "sidecar_port": "DAPR_HTTP_PORT",
    "access": "access",
    "data": "data folder",
    "components": "component files",
    "secret_store": "AGENT_ACTORS_SECRET_STORE",
    "orchestration": "AGENT_ACTORS_ORCHESTRATION",
}
_OF_RUNTIME = {"sidecar_port", "data", "components"}
"""Members that only one of the runtimes has."""
_PLAIN = re.compile(r"[\w./:@+~-]+", re.ASCII)
_report = Report("service")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a program that may be anybody's."""

    status: int
    headers: httpx2.Headers
    body: bytes


async def get(http: httpx2.AsyncClient, url: str, headers: dict[str, str] | None = None) -> Answer:
    """An answer, of which no more than `LARGEST` bytes are read; raises as httpx2 does."""
    plain = {"accept-encoding": "identity", **(headers or {})}
    async with http.stream("GET", url, headers=plain) as answer:
        body = b""
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > LARGEST:
                break
        return Answer(answer.status_code, answer.headers, body)


async def check_running(context: Context, http: httpx2.AsyncClient, url: str) -> Findings:
    """Asks the service what it runs, for the checks that follow, and compares it with this."""
    try:
        answer = await _ask(context, http, url)
    except (httpx2.HTTPError, TimeoutError):
        return _report.skip(f"it does not say in time what it runs; {_HERE}", "see its log")
    if answer.status == httpx2.codes.MISDIRECTED_REQUEST:
        return _report.skip(
            f"it does not answer to the host name of {url}; {_HERE}",
            "name it by localhost, or add that name to AGENT_ACTORS_HOSTS of the service",
        )
    if answer.status in {401, 403}:
        if answer.status == httpx2.codes.UNAUTHORIZED:
            context.told = ServiceInfo(access="token")
        return _report.skip(
            f"it says only to admins what it runs; {_HERE}",
            "set AGENT_ACTORS_TOKEN to an admin's token, or APP_API_TOKEN to the service's",
        )
    told = _read(answer)
    if told.runtime is None:
        return _report.skip(
            f"it does not say what it runs ({answer.status}); {_HERE}",
            "if it is of another release, start it with this one",
        )
    context.told = told
    found = _report.ok(f"it runs {', '.join(_parts(told))}")
    if different := list(differences(told, await _expected(context))):
        found += _report.warn(
            f"this environment differs: {'; '.join(different)}",
            "give doctor the environment and the options of the service, or restart the service",
        )
    return found


def _read(answer: Answer) -> ServiceInfo:
    """What the service says; nothing, if that has another form."""
    try:
        return ServiceInfo.model_validate_json(answer.body if answer.status == _OK else b"{}")
    except ValidationError:
        return ServiceInfo()


async def _ask(context: Context, http: httpx2.AsyncClient, url: str) -> Answer:
    """The answer of `/info`; tokens are sent only if it wants one."""
    async with context.clock.timeout(WITHIN):
        answer = await get(http, f"{url}/info")
        tokens = _tokens(context)
        if answer.status in {401, 403} and tokens:
            answer = await get(http, f"{url}/info", tokens)
    return answer


def _tokens(context: Context) -> dict[str, str]:
    headers = {}
    token = context.environment.get("AGENT_ACTORS_TOKEN", "").strip()
    if token.isascii() and token.isprintable() and token:
        headers["authorization"] = f"Bearer {token}"
    if context.settings.app_api_token is not None:
        headers[TOKEN_HEADER] = context.settings.app_api_token
    return headers


def _parts(told: ServiceInfo) -> Iterator[str]:
    yield f"agent-actors {shown(told.version)} as process {told.process}"
    yield f"runtime {shown(told.runtime)}"
    if told.runtime == "dapr":
        yield f"sidecar on port {told.sidecar_port}"
    yield f"model {described(told)}"
    if told.own_tools:
        yield f"{told.own_tools} {'tool' if told.own_tools == 1 else 'tools'} of its own"
    yield ACCESS.get(told.access or "", "access unknown")
    if told.data is not None:
        yield f"data in {shown(told.data)}"


def described(told: ServiceInfo) -> str:
    """The model of the service, and its server."""
    if told.model is None:
        return "not chosen yet"
    place = f" at {shown(told.model_server)}" if told.model_server else ""
    return f"{shown(told.model)}{place}"


def shown(value: object) -> str:
    """A value that came from outside: in quotes if it could be taken for words of ours."""
    if value is None:
        return "not set"
    plain = not isinstance(value, str) or _PLAIN.fullmatch(value)
    return one_line(str(value) if plain else repr(value), LONGEST)


async def _expected(context: Context) -> ServiceInfo:
    """What a service with this environment would say."""
    settings, dapr = context.settings, context.runtime == "dapr"
    try:
        files = await in_thread(lambda: components.find(settings.components))
    except StartupError:  # Its own check says so.
        files = settings.components
    return ServiceInfo.of(settings, dapr=dapr, components=files)


def differences(told: ServiceInfo, here: ServiceInfo) -> Iterator[str]:
    """What a service has otherwise than this environment; its model has a check of its own."""
    for name, words in _NAMES.items():
        theirs, ours = getattr(told, name), getattr(here, name)
        other = told.runtime != here.runtime and name in _OF_RUNTIME and theirs is None
        if name in told.model_fields_set and theirs != ours and not other:
            yield f"{words} {shown(theirs)} (here {shown(ours)})"
