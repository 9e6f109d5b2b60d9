"""Every error has one form: an RFC 9457 problem document that says what the caller can do."""

import logging
from collections.abc import Callable, Mapping, Sequence
from math import ceil, isfinite
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from agent_actors.errors import AgentError, Defect, Retry, Unauthorized
from agent_actors.routes.edge.unknown_members import place_of
from agent_actors.routes.edge.unreadable_bodies import why_no_object, why_not_json

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
ROWS = 32
"""The invalid fields that an answer names: a body may have thousands."""
RETRY_AFTER = "1"
"""Seconds, for 429 and 503: both are over as soon as a turn ends or a dependency is back."""


class ProblemDocument(BaseModel):
    """The answer of every route to a request that fails (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(examples=["Blank message"])
    status: int = Field(examples=[400])
    detail: str = Field(examples=["The message has no content."])
    retry: Retry = Field(
        description="What to send next: the same request, a new message, or nothing."
    )
    turn_id: str | None = Field(None, description="The turn, whose state can be read.")
    session_id: str | None = Field(None, description="The session, in which a retry goes on.")
    errors: list[dict[str, str]] | None = Field(None, description="The fields that are invalid.")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problem documents of a route, for the OpenAPI document."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {
        status: {"description": "Problem", "model": ProblemDocument, "content": content}
        for status in statuses
    }


def document(error: AgentError, errors: Sequence[Mapping[str, str]] | None = None) -> Response:
    """The answer to an error."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "retry": error.retry,
    }
    if error.turn_id is not None:
        body["turn_id"] = error.turn_id
    if error.session_id is not None:
        body["session_id"] = error.session_id
    if errors is not None:
        body["errors"] = errors
    headers = {"Retry-After": RETRY_AFTER} if error.status in {429, 503} else None
    if error.retry_after is not None:
        headers = {"Retry-After": str(ceil(error.retry_after))}
    if isinstance(error, Unauthorized):
        headers = {"WWW-Authenticate": error.challenge}
    return JSONResponse(body, error.status, headers, MEDIA_TYPE)


def describe(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """The app's OpenAPI document, in which problems are `application/problem+json` only.

    FastAPI also lists the model of a response as `application/json`.
    """
    plain = app.openapi

    def described() -> dict[str, Any]:
        document = plain()
        for path in document["paths"].values():
            for operation in path.values():
                for answer in operation["responses"].values():
                    if MEDIA_TYPE in answer.get("content", {}):
                        answer["content"].pop("application/json", None)
        return document

    return described


def install(app: FastAPI) -> None:
    """Turns every exception of the app into a problem document."""
    app.openapi = describe(app)  # type: ignore[method-assign]

    @app.exception_handler(AgentError)
    async def agent_error(_: Request, error: AgentError) -> Response:
        if isinstance(error, Defect):
            log.error("%s", error.detail)
        return document(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        content_type = request.headers.get("content-type", "").lower()
        rows = [_row(row, error.body, content_type) for row in error.errors()[:ROWS]]
        summary = AgentError("; ".join(f"{row['field']}: {row['reason']}" for row in rows))
        summary.status, summary.title = 422, "Invalid request"
        return document(summary, rows)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        plain = AgentError(_DETAILS.get(error.status_code, error.detail))
        plain.status, plain.title = error.status_code, error.detail
        answer = document(plain)
        answer.headers.update(error.headers or {})
        if answer.headers.get("allow") == "GET":
            answer.headers["allow"] = "GET, HEAD"
        return answer

    @app.exception_handler(Exception)
    async def defect(_request: Request, _error: Exception) -> Response:
        # Without the text of the error, which may contain messages. Starlette logs the traceback.
        return document(Defect("The service failed; its log has the traceback."))


_DETAILS = {
    400: "The request's body cannot be read: it has to be JSON in UTF-8, not nested too deeply, and"
    " with numbers of at most 4,300 digits.",
    404: "There is no such route; /docs lists them.",
    405: "This route does not take that method; /docs lists them.",
    413: "The request's body is larger than a message may be.",
}


def _row(error: Mapping[str, Any], body: Any, content_type: str) -> dict[str, str]:
    """The invalid field of a request and the reason, without its value."""
    place = [_printable(str(part)) for part in error["loc"] if part != "body"]
    if error["type"] == "json_invalid":
        at = error["loc"][-1]
        reason = why_not_json(body, at, error["ctx"]["error"])
        return {"field": "body", "reason": f"not JSON at character {at}: {reason}"}
    reason = str(error["msg"]).removeprefix("Value error, ")
    if not place and error["type"] != "value_error":
        reason = why_no_object(body, content_type)
    elif error["type"] == "extra_forbidden":
        reason = place_of(place[-1])
    elif isinstance(error.get("input"), float) and not isfinite(error["input"]):
        reason = "this is no finite number: JSON has no NaN and no Infinity"
    return {"field": ".".join(place) or "body", "reason": reason}


def _printable(name: str) -> str:
    """A name that a caller has chosen, such that it can be shown."""
    return "".join(each if each.isprintable() else "?" for each in name[:64])
