"""The errors of this service, and who must act on each.

    AgentError                     what a caller sees: status, title, detail, retry
    ├── CallerError                the request is wrong; the same request will never work
    │   ├── Blank            400   the message says nothing
    │   ├── Unauthorized     401   a public route was called without a valid token
    │   ├── Forbidden        403   a callback route was called by a stranger, a user's by another,
    │   │                          any by another site's page
    │   ├── NotFound         404   no such thing, or not yet
    │   ├── Conflict         409   the thing is in another state
    │   ├── Gone             410   it was there and has been cleared
    │   ├── TooLarge         413   over a limit of size
    │   ├── Misdirected      421   sent to a host name that the service does not have
    │   └── Invalid          422   an id, a field, a header or a reused key
    ├── TryLater                   nothing is wrong with the request; send it again later
    │   ├── Busy             429   too many messages wait for this actor
    │   ├── TooOften         429   one caller has sent too many requests
    │   └── Unavailable      503   the store, the sidecar or the broker is unavailable
    │       ├── Deactivated  503   this activation of the actor may not act any more
    │       └── Unreachable  503   a call of an actor was lost on its way, there or back
    ├── ModelError                 the model did not answer; nothing of the turn is kept
    │   ├── ModelFailed      502   it failed or refused
    │   │   └── ContextTooLong 502 the request has more tokens than the model takes
    │   ├── GuardrailRefused 422   a guardrail of the agent refused the message
    │   └── ModelTimedOut    504   it took longer than the model time
    ├── BindingFailed        502   what an output binding speaks to has failed or refused
    ├── Refused               any  an actor's returned error, as its caller sees it
    │   └── Deferred     429, 503  one that passes (also a TryLater)
    └── Defect               500   our bug

    StartupError                   the process cannot start; its text is for the terminal

`detail` is a sentence that a caller can act on, and never contains people's messages.
`retry` is a caller's next step: `same-key` (send the same request again, it cannot count twice),
`new-key` (this attempt has ended; send it as a new message) or `no`.
"""

from typing import Literal

Retry = Literal["same-key", "new-key", "no"]


class StartupError(Exception):
    """The process cannot start; the text is one sentence for the terminal (exit code 2)."""


class AgentError(Exception):
    """The base of every error that a caller sees.

    Args:
        detail: One sentence a caller can act on.
        turn_id: The turn whose state the caller may ask for, if there is one.
        retry: Replaces the retry advice of the class.
        retry_after: Seconds after which a retry may succeed, if known.

    Attributes:
        session_id: The session that the message has opened, if it was for one.
    """

    status: int = 500
    title: str = "Internal error"
    retry: Retry = "no"
    session_id: str | None = None

    def __init__(
        self,
        detail: str,
        *,
        turn_id: str | None = None,
        retry: Retry | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.turn_id = turn_id
        self.retry_after = retry_after
        if retry is not None:
            self.retry = retry


class CallerError(AgentError):
    """The request is wrong; the same request will never work."""


class Blank(CallerError):
    """The message has no content."""

    status, title = 400, "Blank message"


class Unauthorized(CallerError):
    """A public route was called without a valid token."""

    status, title = 401, "Unauthorized"
    challenge = 'Bearer realm="agent-actors"'
    """The value of the header `WWW-Authenticate` (RFC 6750)."""

    @classmethod
    def invalid(cls, detail: str) -> "Unauthorized":
        """The error for a token that was sent and is not valid."""
        error = cls(detail)
        error.challenge += ', error="invalid_token"'
        return error


class Forbidden(CallerError):
    """A callback route was called by a stranger, or a user's route with the token of another."""

    status, title = 403, "Forbidden"


class NotFound(CallerError):
    """There is no such thing, or not yet."""

    status, title = 404, "Not found"


class Conflict(CallerError):
    """The thing is in a state in which this cannot be done."""

    status, title = 409, "Conflict"


class Gone(CallerError):
    """It was there and has been cleared."""

    status, title = 410, "Cleared"


class TooLarge(CallerError):
    """The request is over a limit of size."""

    status, title = 413, "Too large"


class Misdirected(CallerError):
    """The request was sent to a host name that the service does not have."""

    status, title = 421, "Misdirected request"


class Invalid(CallerError):
    """An id, a field or a header does not have the required form, or a key was reused."""

    status, title = 422, "Invalid request"


class TryLater(AgentError):
    """Nothing is wrong with the request; send it again later."""

    retry: Retry = "same-key"


class Busy(TryLater):
    """Too many messages wait for this actor."""

    status, title = 429, "Too many messages waiting"


class TooOften(TryLater):
    """One caller has sent more requests than the setting allows."""

    status, title = 429, "Too many requests"


class Unavailable(TryLater):
    """The store, the sidecar or the broker is unavailable, or the service is stopping."""

    status, title = 503, "Unavailable"


class Deactivated(Unavailable):
    """This activation of the actor was deactivated: it may save, call and start nothing."""


class Unreachable(Unavailable):
    """A call of an actor, or its response, was lost; the turn may have run."""


class ModelError(AgentError):
    """The model did not answer; nothing of the turn is kept."""

    retry: Retry = "same-key"


class ModelFailed(ModelError):
    """The model failed or refused."""

    status, title = 502, "The model failed"


class ContextTooLong(ModelFailed):
    """The request has more tokens than the model takes; a shorter window may fit."""

    retry: Retry = "no"


class GuardrailRefused(ModelError):
    """A guardrail of the agent refused the message; the same message will be refused again."""

    status, title = 422, "Refused by a guardrail"
    retry: Retry = "no"


class ModelTimedOut(ModelError):
    """The model took longer than the model time."""

    status, title = 504, "The model took too long"


class BindingFailed(AgentError):
    """The system behind an output binding has failed or refused."""

    status, title = 502, "The binding failed"


class Defect(AgentError):
    """A bug of this service; the log has its traceback under the same ids."""


class Refused(AgentError):
    """The error that an actor returned, raised at its caller."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        retry: Retry,
        turn_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail, turn_id=turn_id, retry=retry, retry_after=retry_after)
        self.status = status
        self.title = title


class Deferred(Refused, TryLater):
    """A returned error that passes by itself."""
