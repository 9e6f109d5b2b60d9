"""The model: does its server accept the key, and does it have the model?"""

import socket
import ssl
from dataclasses import replace
from urllib.parse import quote, urlsplit

import httpx2

from agent_actors.access.hosts import is_loopback
from agent_actors.doctor.finding import Context, Findings, Report
from agent_actors.doctor.running import described, shown
from agent_actors.doctor.service import note_skew
from agent_actors.errors import AgentError, StartupError
from agent_actors.model import ModelDescription
from agent_actors.model.endpoint import (
    BUILT_IN,
    NO_KEY,
    Endpoint,
    EndpointFinder,
    GetSecret,
    require_served,
)
from agent_actors.protocol.codec import json_object
from agent_actors.settings import Settings
from agent_actors.settings.environment import require_model_client

WITHIN = 5.0
"""Seconds for the secret store."""
LISTED = 5
"""Models of the server that a finding names."""
_CAUSES: dict[type[BaseException], str] = {
    ConnectionRefusedError: "connection refused",
    socket.gaierror: "unknown host",
    ssl.SSLCertVerificationError: "its certificate is not trusted",
}
_report = Report("model")


async def check_model(
    context: Context, http: httpx2.AsyncClient, get_secret: GetSecret
) -> Findings:
    """Can the model be called that the running service has, or else that of this environment?

    Its server is asked for its list of models. The model itself is not called: that may cost.
    """
    told = context.told
    if told.own_model:
        return _report.ok(f"{described(told)} answers: the code of the service brings it")
    endpoint, found = await _chosen(context, get_secret)
    if endpoint is not None:
        endpoint = _named_by_code(context, endpoint)
    if told.model is not None and (other := _other(context, endpoint, found)):
        return _report.warn(
            f"the service answers with {described(told)}; {other}",
            "restart the service if you have changed its model; else give doctor its environment",
        )
    return found if endpoint is None else await _asked(context, http, endpoint)


async def _chosen(context: Context, get_secret: GetSecret) -> tuple[Endpoint | None, Findings]:
    """The endpoint that this environment would use; without one, what there is to say about it."""
    settings = context.settings
    if settings.model in BUILT_IN:
        return None, _report.ok(f"{settings.model} answers: no API key and no network needed")
    try:
        require_served(settings)
        finder = EndpointFinder(settings, context.clock, get_secret)
        async with context.clock.timeout(WITHIN):
            endpoint = await finder.find()
        if endpoint is not None:
            require_model_client()
            return endpoint, []
    except StartupError as error:
        found, advice = _said(error)
        return None, _report.fail(found, advice or "docs/models.md has examples")
    except (AgentError, TimeoutError):
        return None, _report.fail("the secret store returns no API key", "see `secrets` above")
    if settings.model:
        return None, _report.fail(*finder.no_key.rstrip(".").split("; ", 1))
    none = "no API key found: answering with the built-in echo model"
    return None, _report.ok(f"{none}; for a real model {finder.hint}")


def _named_by_code(context: Context, endpoint: Endpoint) -> Endpoint:
    """The endpoint with the model that the service's agent names, where the settings name none."""
    name = context.told.model
    if context.settings.model or name is None or ".." in name or shown(name) != name:
        return endpoint
    return replace(endpoint, model=name)


def _other(context: Context, endpoint: Endpoint | None, found: Findings) -> str:
    """What this environment has instead of the model of the service; empty if it is the same."""
    told = ModelDescription(context.told.model or "", context.told.model_server)
    if endpoint is not None:
        here = endpoint.describe()
    elif found[0].status == "ok":
        here = ModelDescription(context.settings.model or "echo")
    else:
        return f"in this environment {found[0].found}"
    if here == told:
        return ""
    place = f" at {here.server}" if here.server else ""
    return f"this environment has {here.name}{place}"


async def _asked(context: Context, http: httpx2.AsyncClient, endpoint: Endpoint) -> Findings:
    settings = context.settings
    host, place = _host(endpoint.base_url)
    try:
        answer = await _get(http, endpoint, "models")
        note_skew(context, "the model's server", answer.headers)
        return await _model(http, settings, answer, endpoint)
    except httpx2.TimeoutException:
        problem = "does not answer in time"
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        problem = f"cannot be reached ({_cause(error)})"
    return _report.fail(f"{place} {problem}", _advice(settings, host))


def _said(error: StartupError) -> tuple[str, str]:
    """What is wrong with a variable, and what to do about it."""
    found, _, advice = str(error).rstrip(".").partition("; ")
    return found, advice


async def _get(http: httpx2.AsyncClient, endpoint: Endpoint, path: str) -> httpx2.Response:
    bearer = {"authorization": f"Bearer {endpoint.key.get_secret_value()}"}
    return await http.get(f"{endpoint.base_url.rstrip('/')}/{path}", headers=bearer)


def _refused(answer: httpx2.Response, endpoint: Endpoint, host: str) -> Findings:
    status = answer.status_code
    # Gemini answers 400 to an invalid key.
    if status in {401, 403} or "API_KEY_INVALID" in answer.text:
        return _report.fail(
            f"{host} rejects the API key ({status})", f"set a valid one in {endpoint.key_from}"
        )
    if status == httpx2.codes.TOO_MANY_REQUESTS:
        return _report.warn(
            f"{host} accepts the API key, but the quota is used up ({status})", "check its quota"
        )
    if answer.is_server_error:
        return _report.fail(f"{host} returns an error ({status})", "try again later")
    return _report.warn(
        f"{host} does not list its models ({status}), so the API key could not be checked",
        "try it with `agent-actors chat doctor hello`",
    )


def _key(endpoint: Endpoint) -> str:
    if endpoint.key is NO_KEY:
        return "asks for no API key"
    return f"accepts the API key from {endpoint.key_from}"


async def _model(
    http: httpx2.AsyncClient, settings: Settings, answer: httpx2.Response, endpoint: Endpoint
) -> Findings:
    """Does the server have the model?"""
    host, _ = _host(endpoint.base_url)
    names = _names(answer)
    if names is None:
        return _refused(answer, endpoint, host)
    if not endpoint.model:
        return _report.ok(f"{host} {_key(endpoint)}")
    found = f"{endpoint.model} at {host}, which {_key(endpoint)}"
    # Gemini writes `models/` before a name, Ollama `:latest` after it.
    wanted = {endpoint.model, f"{endpoint.model}:latest"}
    if any(name.removeprefix("models/") in wanted for name in names):
        return _report.ok(found)
    single = await _get(http, endpoint, f"models/{quote(endpoint.model, safe='/:')}")
    if single.is_success:  # Aliases are not always listed.
        return _report.ok(found)
    listed = ", ".join(names[:LISTED]) + (", …" if len(names) > LISTED else "")
    # A server of one's own may answer to any name; a provider does not.
    finding = _report.warn if settings.model_base_url else _report.fail
    return finding(
        f"{host} has no model {endpoint.model!r}",
        f"set AGENT_ACTORS_MODEL to another: {listed or 'it lists none'}",
    )


def _advice(settings: Settings, host: str) -> str:
    """What to do about a server that does not answer."""
    if settings.model_base_url is None:
        return "check the network and its proxies (HTTPS_PROXY)"
    if is_loopback(host):
        return "is it running? start it, or correct AGENT_ACTORS_MODEL_BASE_URL"
    return "check AGENT_ACTORS_MODEL_BASE_URL, the network and its proxies (HTTPS_PROXY)"


def _host(base_url: str) -> tuple[str, str]:
    """The host, and the host with its port; the URL itself may contain a password."""
    url = urlsplit(base_url)
    name = url.hostname or ""
    bracketed = f"[{name}]" if ":" in name else name
    return name, f"{bracketed}:{url.port or (443 if url.scheme == 'https' else 80)}"


def _cause(error: BaseException) -> str:
    """What failed, in our words: those of the library may contain the URL."""
    cause: BaseException | None = error
    while cause is not None:
        for kind, words in _CAUSES.items():
            if isinstance(cause, kind):
                return words
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _names(answer: httpx2.Response) -> list[str] | None:
    """The names in a list of models; None if it is not one, or the server refused."""
    models = json_object(answer.content).get("data")
    if not answer.is_success or not isinstance(models, list):
        return None
    return [str(each["id"]) for each in models if isinstance(each, dict) and "id" in each]
