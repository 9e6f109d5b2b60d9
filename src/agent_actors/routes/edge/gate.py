"""In front of the public routes: who calls, may it, and how often?

It stands before FastAPI, so nothing of a stranger's body is read. Where nobody is asked for a token
and nobody's requests are counted, it is not there at all.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_actors.access import Access
from agent_actors.access.caller import Caller
from agent_actors.access.rates import RateLimiter
from agent_actors.access.rules import OF_USERS, RULES, Rule
from agent_actors.errors import AgentError, Forbidden, NotFound, TooOften, Unauthorized
from agent_actors.routes.edge.dependencies import CALLER, carries
from agent_actors.routes.edge.problems import document, responses

_FREE = frozenset({"open", "runtime"})
"""Rules by which nobody is asked for a token, or counted."""


@dataclass(frozen=True, slots=True)
class RouteRule:
    """A route of the table, as a request is matched with it: by the expression of the router."""

    path: re.Pattern[str]
    rule: Rule


def rows(rules: Mapping[str, Rule]) -> dict[str, list[RouteRule]]:
    """The table by methods."""
    found: dict[str, list[RouteRule]] = {}
    for route, rule in rules.items():
        method, _, path = route.partition(" ")
        found.setdefault(method, []).append(RouteRule(compile_path(path)[0], rule))
    return found


class Gate:
    """Lets a request through, or answers 401, 403, 404, 429 or 503.

    Args:
        app: What is served.
        access: Knows callers; None where anybody may call.
        rates: Counts their requests; None where that is not asked.
        token: The sidecar's.
    """

    def __init__(
        self, app: ASGIApp, access: Access | None, rates: RateLimiter | None, token: str | None
    ) -> None:
        self._app = app
        self._access = access
        self._rates = rates
        self._token = token
        self._rows = rows(RULES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "websocket" and self._access is not None:
            await send({"type": "websocket.close", "code": 1008})  # No rule says whose one is.
            return
        if scope["type"] == "http":
            try:
                await self._admit(scope)
            except AgentError as error:
                await document(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> None:
        rule, user = self._find(scope)
        if rule in _FREE:
            return
        if self._access is None or self._is_ours(scope, rule):
            self._count(_peer(scope))
            return
        caller = await self._caller(scope, self._access)
        self._count(f"user {caller.subject}")
        scope[CALLER] = caller
        if caller.admin or rule in {"own body", "own session"}:
            return
        if rule is None:
            raise NotFound("There is no such route; /docs lists them.")
        if rule == "operator":
            raise Forbidden("This route is for admins.")
        caller.require(user)

    def _is_ours(self, scope: Scope, rule: Rule | None) -> bool:
        """Does the sidecar's token come, for an operator's route or one that was added?

        Not whoever calls from this machine: a proxy on it may not say that it is one.
        """
        ours = rule is None or rule == "operator"
        return ours and self._token is not None and carries(scope, self._token)

    def _find(self, scope: Scope) -> tuple[Rule | None, str]:
        """The rule of a request, and the user in its path."""
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        path: str = scope["path"]
        for row in self._rows.get(method, ()):
            found = row.path.match(path)
            if found is not None:
                named = found.groupdict()
                return row.rule, next((named[name] for name in OF_USERS if name in named), "")
        return None, ""

    async def _caller(self, scope: Scope, access: Access) -> Caller:
        try:
            return await access.caller(_authorization(scope["headers"]))
        except Unauthorized:
            self._count(_peer(scope))  # Whoever guesses tokens is stopped, too.
            raise

    def _count(self, who: str) -> None:
        """Counts a request.

        Raises:
            TooOften: It is one too many.
        """
        wait = 0.0 if self._rates is None else self._rates.wait(who)
        if wait > 0:
            raise TooOften(
                "You have sent too many requests; send this again later.", retry_after=wait
            )


def _authorization(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The header `Authorization`.

    Raises:
        Unauthorized: There are two: what is in front of the service may have looked at the other.
    """
    sent = [value for name, value in headers if name == b"authorization"]
    if len(sent) > 1:
        raise Unauthorized.invalid("Send one header Authorization.")
    return sent[0].decode("latin-1") if sent else ""


def _peer(scope: Scope) -> str:
    """The address a request comes from; of IPv6 the network, of which one machine has all."""
    host = scope["client"][0] if scope.get("client") else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"peer {host}"
    if address.version == 6 and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.version == 6:
        return f"peer {ipaddress.ip_network((address.packed[:8] + bytes(8), 64))}"
    return f"peer {address}"


def describe(app: FastAPI) -> None:
    """Names the tokens, and what else may be answered, in the OpenAPI document."""
    plain = app.openapi
    refusals = {str(status): answer for status, answer in _refusals().items()}

    def described() -> dict[str, Any]:
        told = plain()
        schemes = told.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["token"] = {"type": "http", "scheme": "bearer"}
        for path, methods in told["paths"].items():
            for method, operation in methods.items():
                if RULES.get(f"{method.upper()} {path}") not in _FREE:
                    operation["security"] = [{"token": []}]
                    operation["responses"] = refusals | operation["responses"]
        return told

    app.openapi = described  # type: ignore[method-assign]


def _refusals() -> dict[int | str, dict[str, Any]]:
    told = responses(401, 403, 429, 503)
    return {
        status: {name: answer[name] for name in ("description", "content")}
        for status, answer in told.items()
    }
