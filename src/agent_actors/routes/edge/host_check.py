"""Refuses requests that were meant for another host, or that another site's page sends.

A refused request is answered before anything else of it is read.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from agent_actors.access.hosts import Hosts, is_address, name_of
from agent_actors.errors import AgentError, Forbidden, Misdirected
from agent_actors.routes.edge.dependencies import carries
from agent_actors.routes.edge.problems import document
from agent_actors.routes.edge.security_headers import PLAIN

PROBES = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})
"""Kubernetes and Prometheus ask for these by the address of a pod, which has no fixed name."""
_CHECKED = frozenset({b"host", b"origin"})
_REMEMBERED = 1_024


class HostCheck:
    """Passes a request on, or answers 421 (its `Host`) or 403 (its `Origin`).

    A request with the sidecar's token passes, whatever name the sidecar has for the app.

    Args:
        app: Serves the requests.
        hosts: The names by which the service may be called.
        origins: Origins whose pages may call (CORS), `["*"]` for any.
        token: The sidecar's token.
    """

    def __init__(self, app: ASGIApp, hosts: Hosts, origins: list[str], token: str | None) -> None:
        self._app = app
        self._hosts = hosts
        self._origins = frozenset(origins)
        self._token = token
        self._passed: dict[tuple[tuple[bytes, bytes], ...], None] = {}
        """Headers that have passed: parsing them again would cost each request as much."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        error = self._refusal(scope)
        if error is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            answer = document(error)
            answer.raw_headers.extend(PLAIN)
            await answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> AgentError | None:
        headers = scope["headers"]
        key = tuple(each for each in headers if each[0] in _CHECKED)
        if key in self._passed or (self._token is not None and carries(scope, self._token)):
            return None
        hosts = [value.decode("latin-1") for name, value in key if name == b"host"]
        host = name_of(hosts[0]) if len(hosts) == 1 else None
        if host is None or not self._hosts.allow(host):
            probe = host is not None and is_address(host) and _is_probe(scope)
            return None if probe else Misdirected(_MISDIRECTED)
        origins = [value.decode("latin-1") for name, value in key if name == b"origin"]
        if not all(self._may_call(origin, host) for origin in origins):
            return Forbidden(_FOREIGN)
        if len(self._passed) >= _REMEMBERED:
            self._passed.clear()
        self._passed[key] = None
        return None

    def _may_call(self, origin: str, host: str) -> bool:
        """Whether a page of this origin may call: by its name, or because CORS allows it."""
        if "*" in self._origins or origin in self._origins:
            return True
        scheme, separator, authority = origin.partition("://")
        name = name_of(authority) if separator and scheme in {"http", "https"} else None
        return name is not None and (name == host or self._hosts.include(name))


_MISDIRECTED = (
    "This service does not answer to the host name of the request: call it by localhost, or add the"
    " name to AGENT_ACTORS_HOSTS."
)
_FOREIGN = (
    "Pages of this origin may not call: add it to AGENT_ACTORS_CORS_ORIGINS, or its host to"
    " AGENT_ACTORS_HOSTS."
)


def _is_probe(scope: Scope) -> bool:
    path: str = scope["path"]
    probe = path.removeprefix(scope.get("root_path", "")) in PROBES
    return probe and scope["type"] == "http" and scope["method"] == "GET"
