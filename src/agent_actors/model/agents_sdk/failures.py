"""Turns errors of the libraries and of the model's server into errors for the caller.

The texts name the setting to check. They never quote the server or a library, which may repeat the
message or the key (I13).
"""

import logging
import math
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from json import JSONDecodeError

import httpx2
from agents.exceptions import (
    AgentsException,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    ModelRefusalError,
    ModelTimeoutError,
    OutputGuardrailTripwireTriggered,
    ToolInputGuardrailTripwireTriggered,
    ToolOutputGuardrailTripwireTriggered,
    UserError,
)
from openai import APIConnectionError, APIStatusError, OpenAIError
from pydantic import ValidationError

from agent_actors.errors import GuardrailRefused, ModelError, ModelFailed, ModelTimedOut
from agent_actors.model.endpoint import GEMINI, OPENAI, Endpoint

log = logging.getLogger(__name__)

KNOWN = (
    AgentsException,
    OpenAIError,
    httpx2.HTTPError,
    JSONDecodeError,
    UnicodeDecodeError,
    ValidationError,
)
"""What the libraries raise if the model, its server or the network fails; the rest is a bug."""

MISREAD = (AttributeError, KeyError, TypeError)
"""What the SDK raises on a malformed answer: it does not validate JSON before reading it."""

_NOT_PROCESSED = frozenset({429, 500, 502, 503})
"""Statuses of a server that has not processed the request."""
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_GUARDRAILS_OF_ANSWERS = (
    OutputGuardrailTripwireTriggered,
    ToolInputGuardrailTripwireTriggered,
    ToolOutputGuardrailTripwireTriggered,
)
_BROKEN = "The model's answer was broken."
REFUSED = "The model refused."


def failure(error: Exception, endpoint: Endpoint | None, now: datetime) -> ModelError:
    """The failure for one of the `KNOWN` errors; `endpoint` is None for an agent's own model."""
    # Never with a trace, whatever the level: a server's text may repeat the key.
    log.warning("the model failed: %s", _kind(error))
    failed = _failure(error, endpoint)
    failed.retry_after = retry_after(error, now)
    return failed


def _failure(error: Exception, endpoint: Endpoint | None) -> ModelError:
    if isinstance(error, AgentsException):
        return _of_run(error)
    if isinstance(error, APIStatusError):
        return _of_status(error, endpoint)
    if isinstance(error, APIConnectionError | httpx2.HTTPError):
        return _of_connection(error, endpoint)
    return ModelFailed(_BROKEN)


def worth_repeating(error: Exception) -> bool:
    """Whether the server has certainly not processed the request, and so not charged for it."""
    if isinstance(error, APIStatusError):
        return error.status_code in _NOT_PROCESSED and error.code != "insufficient_quota"
    return _never_sent(error)


def key_refused(error: Exception) -> bool:
    """Whether the server refused the key."""
    if not isinstance(error, APIStatusError):
        return False
    # Gemini answers 400, in a form from which openai 3.54 reads no error code.
    return error.status_code == 401 or "API_KEY_INVALID" in error.response.text


def retry_after(error: Exception, now: datetime) -> float | None:
    """Seconds from a `Retry-After` header, in either of its forms."""
    if not isinstance(error, APIStatusError):
        return None
    value = error.response.headers.get("retry-after", "")
    seconds = _seconds(value)
    if seconds is None:
        seconds = _until(value, now)
    return seconds


def _of_run(error: AgentsException) -> ModelError:
    """A failure of the run rather than of the server."""
    match error:
        case InputGuardrailTripwireTriggered():
            return GuardrailRefused("A guardrail of the agent refused the message.")
        case MaxTurnsExceeded():
            text = "The model did not finish in one turn; check AGENT_ACTORS_MODEL_STEPS."
            return ModelFailed(text, retry="no")
        case ModelRefusalError():
            return ModelFailed(REFUSED, retry="no")
        case UserError():
            return ModelFailed("The agent is not set up correctly.", retry="no")
        case ModelTimeoutError():
            return ModelTimedOut("The agent's own time limit for a model call was exceeded.")
    if isinstance(error, _GUARDRAILS_OF_ANSWERS):
        return ModelFailed("A guardrail of the agent refused the answer.", retry="no")
    return ModelFailed(_BROKEN)


def _of_status(error: APIStatusError, endpoint: Endpoint | None) -> ModelFailed:
    """A failure that the server reports by its status or its error code."""
    by_code = _BY_CODE.get(error.code or "")
    if by_code is not None:
        return by_code(endpoint)
    if key_refused(error) or error.status_code == 403:
        return _wrong_key(endpoint)
    if error.status_code == 404:
        return _not_found(endpoint)
    if error.status_code == 429:
        return ModelFailed("The model's server limits the rate of this account (429).")
    if error.status_code >= 500:
        return ModelFailed(f"The model's server failed ({error.status_code}).")
    return ModelFailed(f"The model's server did not accept the request ({error.status_code}).")


def _of_connection(error: Exception, endpoint: Endpoint | None) -> ModelError:
    cause = error.__cause__ or error
    if isinstance(cause, _NEVER_SENT):
        setting = "" if _of_a_vendor(endpoint) else " and AGENT_ACTORS_MODEL_BASE_URL"
        return ModelFailed(f"The model's server cannot be reached; check the network{setting}.")
    if isinstance(cause, httpx2.TimeoutException):
        return ModelTimedOut("The model's server did not answer in time.")
    return ModelFailed("The connection to the model's server was lost during the answer.")


def _wrong_key(endpoint: Endpoint | None) -> ModelFailed:
    key = endpoint.key_from if endpoint else "the key of the agent's own model"
    return ModelFailed(f"The model's server refused the key; check {key}.")


def _unknown_model(endpoint: Endpoint | None) -> ModelFailed:
    name = "AGENT_ACTORS_MODEL" if endpoint else "the name of the agent's own model"
    return ModelFailed(f"The model's server does not know the model; check {name}.")


def _not_found(endpoint: Endpoint | None) -> ModelFailed:
    # A base URL that lacks its `/v1` gives the same status.
    if _of_a_vendor(endpoint):
        return _unknown_model(endpoint)
    settings = "AGENT_ACTORS_MODEL and AGENT_ACTORS_MODEL_BASE_URL"
    return ModelFailed(f"The model's server does not know the model or path; check {settings}.")


def _of_a_vendor(endpoint: Endpoint | None) -> bool:
    """Whether the address is fixed rather than a setting."""
    return endpoint is None or endpoint.base_url in {OPENAI.base_url, GEMINI.base_url}


def _too_long(_: Endpoint | None) -> ModelFailed:
    text = "The conversation is too long for the model; check AGENT_ACTORS_WINDOW_TOKENS."
    return ModelFailed(text, retry="no")


def _filtered(_: Endpoint | None) -> ModelFailed:
    return ModelFailed(REFUSED, retry="no")


def _spent(endpoint: Endpoint | None) -> ModelFailed:
    key = endpoint.key_from if endpoint else "the agent's own model"
    return ModelFailed(f"The quota of the model's account is used up; check {key}.")


_BY_CODE: dict[str, Callable[[Endpoint | None], ModelFailed]] = {
    "model_not_found": _unknown_model,
    "context_length_exceeded": _too_long,
    "content_filter": _filtered,
    "insufficient_quota": _spent,
}


def _never_sent(error: Exception) -> bool:
    return isinstance(error.__cause__ or error, _NEVER_SENT)


def _kind(error: Exception) -> str:
    status = f" {error.status_code}" if isinstance(error, APIStatusError) else ""
    cause = f" ({type(error.__cause__).__name__})" if error.__cause__ else ""
    return f"{type(error).__name__}{status}{cause}"


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _until(value: str, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
