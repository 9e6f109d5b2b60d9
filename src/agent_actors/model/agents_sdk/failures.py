"""Turns errors of the libraries and of the model's server into errors for the caller.

The texts name the setting to check. They never quote the server or a library, which may repeat the
message or the key (I13).
"""

import logging
import math
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
from openai import APIConnectionError, APIError, APIStatusError, OpenAIError
from pydantic import ValidationError

from agent_actors.errors import (
    ContextTooLong,
    GuardrailRefused,
    ModelError,
    ModelFailed,
    ModelTimedOut,
)
from agent_actors.model.dialects import errors
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

_NOT_PROCESSED = frozenset({429, 500, 502, 503})
"""Statuses of a server that has not processed the request."""
_FINAL = frozenset({errors.NO_QUOTA, errors.TOO_LONG, errors.NO_KEY, errors.NO_MODEL})
"""Codes that waiting does not help."""
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_GUARDRAILS_OF_ANSWERS = (
    OutputGuardrailTripwireTriggered,
    ToolInputGuardrailTripwireTriggered,
    ToolOutputGuardrailTripwireTriggered,
)
_TEMPORARY = frozenset({408, 409, 425, 429})
"""Statuses under 500 after which the same request may work."""
_BROKEN = "The model's answer was broken."
REFUSED = "The model refused."


def failure(error: Exception, endpoint: Endpoint | None, now: datetime) -> ModelError:
    """The failure for one of the `KNOWN` errors; `endpoint` is None for an agent's own model."""
    status = f" {error.status_code}" if isinstance(error, APIStatusError) else ""
    cause = f" ({type(error.__cause__).__name__})" if error.__cause__ else ""
    # Never with a trace, whatever the level: a server's text may repeat the key.
    log.warning("the model failed: %s%s%s", type(error).__name__, status, cause)
    failed: ModelError
    if isinstance(error, AgentsException):
        failed = _of_run(error)
    elif isinstance(error, APIStatusError):
        failed = _of_status(error, endpoint)
    elif isinstance(error, APIError) and (coded := _of_code(error.code, endpoint)) is not None:
        failed = coded  # An error in the middle of a stream.
    elif isinstance(error, APIConnectionError | httpx2.HTTPError):
        failed = _of_connection(error, endpoint)
    else:
        failed = ModelFailed(_BROKEN)
    failed.retry_after = retry_after(error, now)
    return failed


def worth_repeating(error: Exception) -> bool:
    """Whether the server has certainly not processed the request, and so not charged for it."""
    if isinstance(error, APIStatusError):
        return error.status_code in _NOT_PROCESSED and error.code not in _FINAL
    return isinstance(error.__cause__ or error, _NEVER_SENT)


def key_refused(error: Exception) -> bool:
    """Whether the server refused the key."""
    if not isinstance(error, APIStatusError):
        return False
    return error.status_code == 401 or error.code == errors.NO_KEY


def retry_after(error: Exception, now: datetime) -> float | None:
    """Seconds from a `Retry-After` header, in either of its forms, or as a duration."""
    if not isinstance(error, APIStatusError):
        return None
    value = error.response.headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        pass
    else:
        return min(seconds, errors.LONGEST) if math.isfinite(seconds) and seconds >= 0 else None
    try:
        at = parsedate_to_datetime(value)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return min(max(0.0, (at - now).total_seconds()), errors.LONGEST)
    except (ValueError, OverflowError):
        return errors.seconds_of(value)


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
    if error.status_code < 400:
        text = "The model's server redirects elsewhere; check AGENT_ACTORS_MODEL_BASE_URL."
        return ModelFailed(text, retry="no")
    if (by_code := _of_code(error.code, endpoint)) is not None:
        return by_code
    if key_refused(error) or error.status_code == 403:
        key = endpoint.key_from if endpoint else "the API key of the agent's own model"
        return ModelFailed(f"The model's server refused the API key; check {key}.", retry="no")
    if error.status_code == 404:
        if _of_a_vendor(endpoint):
            return _unknown_model(endpoint)
        # A base URL that lacks its `/v1` gives the same status.
        settings = "AGENT_ACTORS_MODEL and AGENT_ACTORS_MODEL_BASE_URL"
        text = f"The model's server does not know the model or path; check {settings}."
        return ModelFailed(text, retry="no")
    if error.status_code == 429:
        return ModelFailed("The model's server limits the rate of this account (429).")
    if error.status_code >= 500:
        return ModelFailed(f"The model's server failed ({error.status_code}).")
    text = f"The model's server did not accept the request ({error.status_code})."
    return ModelFailed(text, retry="new-key" if error.status_code in _TEMPORARY else "no")


def _of_connection(error: Exception, endpoint: Endpoint | None) -> ModelError:
    cause = error.__cause__ or error
    if isinstance(cause, _NEVER_SENT):
        setting = "" if _of_a_vendor(endpoint) else " and AGENT_ACTORS_MODEL_BASE_URL"
        return ModelFailed(f"The model's server cannot be reached; check the network{setting}.")
    if isinstance(cause, httpx2.TimeoutException):
        return ModelTimedOut("The model's server did not answer in time.")
    return ModelFailed("The connection to the model's server was lost during the answer.")


def _unknown_model(endpoint: Endpoint | None) -> ModelFailed:
    name = "AGENT_ACTORS_MODEL" if endpoint else "the name of the agent's own model"
    return ModelFailed(f"The model's server does not know the model; check {name}.", retry="no")


def _of_a_vendor(endpoint: Endpoint | None) -> bool:
    """Whether the address is fixed rather than a setting."""
    return endpoint is None or endpoint.base_url in {OPENAI.base_url, GEMINI.base_url}


def _of_code(code: str | None, endpoint: Endpoint | None) -> ModelFailed | None:
    """The failure for an error code that says more than the status."""
    match code:
        case errors.NO_MODEL:
            return _unknown_model(endpoint)
        case errors.TOO_LONG:
            text = "The conversation is too long for the model; check AGENT_ACTORS_WINDOW_TOKENS."
            return ContextTooLong(text)
        case errors.FILTERED:
            return ModelFailed(REFUSED, retry="no")
        case errors.NO_QUOTA:
            key = endpoint.key_from if endpoint else "the agent's own model"
            text = f"The quota of the model's account is used up; check {key}."
            return ModelFailed(text, retry="no")
    return None
