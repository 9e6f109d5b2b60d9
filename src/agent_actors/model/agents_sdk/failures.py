"""What a failed call or run means to a caller (I13: nothing of what was said, no key, no trace).

The texts name the setting to look at; what the model's server or a library said is never repeated,
for it may repeat the message or the key.
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
"""What the libraries raise when a model, its server or the network fails; the rest is a bug."""

MISREAD = (AttributeError, KeyError, TypeError)
"""What the SDK raises over an answer of another form: it takes any JSON for the right one."""

_NOT_TAKEN = frozenset({429, 500, 502, 503})
"""Answers of a server that has not done the work."""
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)
_GUARDRAILS_ON_THE_WAY = (
    OutputGuardrailTripwireTriggered,
    ToolInputGuardrailTripwireTriggered,
    ToolOutputGuardrailTripwireTriggered,
)
_BROKEN = "The model's answer was broken."
REFUSED = "The model refused."


def failure(error: Exception, endpoint: Endpoint | None, now: datetime) -> ModelError:
    """Which failure one of the `KNOWN` errors is; `endpoint` is None for an agent's own model."""
    # No trace, at no level: what a server says may repeat the key.
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
    """Has the model's server surely not done, and not charged for, what it was asked?"""
    if isinstance(error, APIStatusError):
        return error.status_code in _NOT_TAKEN and not _used_up(error)
    return _never_sent(error)


def key_refused(error: Exception) -> bool:
    """Was it the key?"""
    if not isinstance(error, APIStatusError):
        return False
    # Gemini tells so by a 400, in a form that the library reads no code from.
    return error.status_code == 401 or "API_KEY_INVALID" in error.response.text


def retry_after(error: Exception, now: datetime) -> float | None:
    """Seconds that the server asks to wait, in either form of the header."""
    if not isinstance(error, APIStatusError):
        return None
    value = error.response.headers.get("retry-after", "")
    seconds = _seconds(value)
    if seconds is None:
        seconds = _until(value, now)
    return seconds


def _of_run(error: AgentsException) -> ModelError:
    """The end of a run that no server is to blame for."""
    match error:
        case InputGuardrailTripwireTriggered():
            return GuardrailRefused("A guardrail of the agent refused the message.")
        case MaxTurnsExceeded():
            looked_at = "look at AGENT_ACTORS_MODEL_STEPS"
            return ModelFailed(f"The model came to no end in one turn; {looked_at}.", retry="no")
        case ModelRefusalError():
            return ModelFailed(REFUSED, retry="no")
        case UserError():
            return ModelFailed("The agent cannot be run as it is set up.", retry="no")
        case ModelTimeoutError():
            return ModelTimedOut("The agent's own limit for a model call was over.")
    if isinstance(error, _GUARDRAILS_ON_THE_WAY):
        return ModelFailed("A guardrail of the agent refused the answer.", retry="no")
    return ModelFailed(_BROKEN)


def _of_status(error: APIStatusError, endpoint: Endpoint | None) -> ModelFailed:
    """An answer of the server that is none."""
    told = _BY_CODE.get(error.code or "")
    if told is not None:
        return told(endpoint)
    if key_refused(error) or error.status_code == 403:
        return _wrong_key(endpoint)
    if error.status_code == 404:
        return _not_found(endpoint)
    if error.status_code == 429:
        return ModelFailed("The model's server has too much to do for this account (429).")
    if error.status_code >= 500:
        return ModelFailed(f"The model's server failed ({error.status_code}).")
    return ModelFailed(f"The model's server did not accept the request ({error.status_code}).")


def _of_connection(error: Exception, endpoint: Endpoint | None) -> ModelError:
    cause = error.__cause__ or error
    if isinstance(cause, _NEVER_SENT):
        looked_at = "look at the network"
        if not _of_a_vendor(endpoint):
            looked_at += " and at AGENT_ACTORS_MODEL_BASE_URL"
        return ModelFailed(f"The model's server cannot be reached; {looked_at}.")
    if isinstance(cause, httpx2.TimeoutException):
        return ModelTimedOut("The model's server did not answer in time.")
    return ModelFailed("The connection to the model's server was lost before its answer was whole.")


def _wrong_key(endpoint: Endpoint | None) -> ModelFailed:
    key = endpoint.key_from if endpoint else "the key of the agent's own model"
    return ModelFailed(f"The model's server refused the key; look at {key}.")


def _unknown_model(endpoint: Endpoint | None) -> ModelFailed:
    name = "AGENT_ACTORS_MODEL" if endpoint else "the name of the agent's own model"
    return ModelFailed(f"The model's server does not know the model; look at {name}.")


def _not_found(endpoint: Endpoint | None) -> ModelFailed:
    # A base URL without its `/v1` looks just like it.
    if _of_a_vendor(endpoint):
        return _unknown_model(endpoint)
    looked_at = "AGENT_ACTORS_MODEL and AGENT_ACTORS_MODEL_BASE_URL"
    return ModelFailed(f"The model's server does not know the model or path; look at {looked_at}.")


def _of_a_vendor(endpoint: Endpoint | None) -> bool:
    """Is its address not a setting?"""
    return endpoint is None or endpoint.base_url in {OPENAI.base_url, GEMINI.base_url}


def _too_long(_: Endpoint | None) -> ModelFailed:
    looked_at = "look at AGENT_ACTORS_WINDOW_TOKENS"
    return ModelFailed(f"The conversation is too long for the model; {looked_at}.", retry="no")


def _filtered(_: Endpoint | None) -> ModelFailed:
    return ModelFailed(REFUSED, retry="no")


def _spent(endpoint: Endpoint | None) -> ModelFailed:
    key = endpoint.key_from if endpoint else "the agent's own model"
    return ModelFailed(f"The quota of the model's account is used up; look at {key}.")


_BY_CODE: dict[str, Callable[[Endpoint | None], ModelFailed]] = {
    "model_not_found": _unknown_model,
    "context_length_exceeded": _too_long,
    "content_filter": _filtered,
    "insufficient_quota": _spent,
}


def _used_up(error: APIStatusError) -> bool:
    return error.code == "insufficient_quota"


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
