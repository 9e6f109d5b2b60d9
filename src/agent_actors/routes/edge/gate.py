"""The gate before the public routes: who is the caller, is it allowed, and how often?

It stands before FastAPI, so the body of a stranger's request is never read. If the service asks for
no tokens and has no rate limit, there is no gate.
"""

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from agent_actors.access import Access
from agent_actors.access.rates import RateLimiter
from agent_actors.access.rules import OF_USERS, RULES, Rule
from agent_actors.errors import AgentError, Forbidden, NotFound, TooOften, Unauthorized
from agent_actors.routes.edge.dependencies import CALLER, carries
from agent_actors.routes.edge.problems import document, responses

_FREE = frozenset({"open", "runtime"})
"""Routes with these rules need no token and have no rate limit."""


class Gate:
    """Admits a request, or answers 401, 403, 404, 429 or 503.

    Without `access` anybody may call, and without `rates` as often as they like; `token` is the
    sidecar's.
    """

    def __init__(
        self, app: ASGIApp, access: Access | None, rates: RateLimiter | None, token: str | None
    ) -> None:
        self._app = app
        self._access = access
        self._rates = rates
        self._token = token
        self._rules: dict[str, list[tuple[re.Pattern[str], Rule]]] = defaultdict(list)
        for route, rule in RULES.items():
            method, _, path = route.partition(" ")
            # The same expression as in the router.
            self._rules[method].append((compile_path(path)[0], rule))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request."""
        if scope["type"] == "websocket" and self._access is not None:
            # There are no rules for websockets.
            await send({"type": "websocket.close", "code": 1008})
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
        if self._access is None or self._from_sidecar(scope, rule):
            self._count(_peer(scope))
            return
        try:
            caller = await self._access.caller(_authorization(scope["headers"]))
        except Unauthorized:
            self._count(_peer(scope))  # Guessing tokens is limited as well.
            raise
        self._count(f"user {caller.subject}")
        scope[CALLER] = caller
        if caller.admin or rule in {"own body", "own session"}:
            return
        if rule is None:
            raise NotFound("There is no such route; /docs lists them.")
        if rule == "operator":
            raise Forbidden("This route is for admins.")
        caller.require(user)

    def _from_sidecar(self, scope: Scope, rule: Rule | None) -> bool:
        """Whether the sidecar calls an operator's route, or one that is not in the table.

        Calling from this machine is not enough: a proxy on it may forward strangers.
        """
        allowed = rule is None or rule == "operator"
        return allowed and self._token is not None and carries(scope, self._token)

    def _find(self, scope: Scope) -> tuple[Rule | None, str]:
        """The rule for a request, and the user in its path."""
        path: str = scope["path"]
        for pattern, rule in self._rules.get(scope["method"], ()):
            found = pattern.match(path)
            if found is not None:
                parts = found.groupdict()
                return rule, next((parts[name] for name in OF_USERS if name in parts), "")
        return None, ""

    def _count(self, who: str) -> None:
        """Counts a request of a caller.

        Raises:
            TooOften: The caller has reached the rate limit.
        """
        wait = 0.0 if self._rates is None else self._rates.wait(who)
        if wait > 0:
            raise TooOften(
                "You have sent too many requests; send this again later.", retry_after=wait
            )


def _authorization(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The header `Authorization`.

    Raises:
        Unauthorized: There are two: a proxy may have checked the other one.
    """
    sent = [value for name, value in headers if name == b"authorization"]
    if len(sent) > 1:
        raise Unauthorized.invalid("Send one header Authorization.")
    return sent[0].decode("latin-1") if sent else ""


def _peer(scope: Scope) -> str:
    """The address of the sender; for IPv6 its /64 network, which one machine may own entirely."""
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
    """Adds the tokens and the gate's answers to the OpenAPI document."""
    plain = app.openapi
    refusals = {
        str(status): {name: answer[name] for name in ("description", "content")}
        for status, answer in responses(401, 403, 429, 503).items()
    }

    def described() -> dict[str, Any]:
        document = plain()
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes["token"] = {"type": "http", "scheme": "bearer"}
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if RULES.get(f"{method.upper()} {path}") not in _FREE:
                    operation["security"] = [{"token": []}]
                    operation["responses"] = refusals | operation["responses"]
        return document

    app.openapi = described  # type: ignore[method-assign]
