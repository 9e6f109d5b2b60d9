"""The HTTP client of the commands."""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Self
from urllib.parse import quote

import click
import httpx2

from agent_actors.cli.failures import CannotStart, CommandFailed
from agent_actors.forms.line import one_line
from agent_actors.forms.url import is_address
from agent_actors.protocol.wire import TOKEN_HEADER

TRIES = 5
LONGEST_PAUSE = 30.0
WAIT = 30
"""Seconds that a request waits for its turn; after that the turn's URL is polled."""
PATIENCE = 900.0
"""Seconds after which the client gives up on a turn, which goes on in the service."""
PAGE = 200
LONGEST_LINE = 500
"""Characters of a server's text that are printed."""

_to_stderr = partial(click.echo, err=True)


class Client:
    """A client of a running service.

    `transport` carries the requests, by default the network; `pause` waits a number of seconds, and
    `tell` prints why.
    """

    def __init__(
        self,
        url: str,
        transport: httpx2.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
        tell: Callable[[str], None] = _to_stderr,
    ) -> None:
        if not is_address(url):
            raise CannotStart(f"{url!r} is not the URL of a service, such as http://127.0.0.1:8000")
        token = _token("AGENT_ACTORS_TOKEN")
        self._pause = pause
        self._paused = 0.0
        self._tell = tell
        self._explained = 0
        """The status whose wait was explained last, so that it is explained once."""
        self._http = httpx2.Client(
            base_url=url,
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout=httpx2.Timeout(10.0, read=WAIT + 15.0),
            transport=transport,
            trust_env=False,  # A web proxy does not lead to this machine.
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def say(self, actor_id: str, text: str) -> str:
        """Sends a message and returns the reply.

        Every try has the same idempotency key, so the message counts once.
        """
        self._explained = 0
        try:
            content = json.dumps({"role": "user", "content": text}, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise CommandFailed("The message is not valid UTF-8.") from None
        headers = {
            "content-type": "application/json",
            "idempotency-key": str(uuid.uuid4()),
            "prefer": f"wait={WAIT}",
        }
        answer = self._retry("POST", _chat(actor_id), content=content, headers=headers)
        if answer.status_code == httpx2.codes.ACCEPTED:
            return self._follow(_location(answer))
        with _body(answer) as body:
            return str(body["response"]["content"])

    def history(self, actor_id: str) -> list[dict[str, Any]]:
        """Every entry of a conversation, oldest first."""
        entries: list[dict[str, Any]] = []
        position = {"limit": PAGE}
        while True:
            answer = self._send("GET", f"{_chat(actor_id)}/history", params=position)
            with _body(answer) as body:
                entries = _rows(body["history"], "role", "content") + entries
                if body["next"] is None:
                    return entries
                position["before"] = int(body["next"])

    def notifications(self, user: str) -> list[dict[str, Any]]:
        """The SMS notifications of a user, newest first."""
        answer = self._send("GET", f"/notifications/{quote(user, safe='')}")
        with _body(answer) as body:
            rows = body["notifications"]
            return _rows(rows, "at", "status", "conversation", "turn_id", "to")

    def dead(self) -> list[dict[str, Any]]:
        """The dead letters, newest first."""
        answer = self._send("GET", "/events/dead", params={"limit": 1000}, headers=_operator())
        with _body(answer) as body:
            return _rows(body["dead"], "id", "at", "topic", "tries", "reason")

    def requeue(self, letter_id: str) -> None:
        """Delivers a dead letter again."""
        path = f"/events/dead/{quote(letter_id, safe='')}/requeue"
        self._send("POST", path, headers=_operator())

    def _follow(self, path: str) -> str:
        """Polls a turn until it ends, and returns its reply."""
        end, pause = self._paused + PATIENCE, 0.25
        while self._paused < end:
            answer = self._retry("GET", path)
            with _body(answer) as body:
                status = str(body["status"])
                if status == "done":
                    return str(body["response"]["content"])
                problem = _title_and_detail(body.get("error"))
            if status not in {"queued", "running"}:
                raise CommandFailed(problem or f"The turn has {_line(status)}.")
            self._rest(pause)
            pause = min(pause * 1.5, 5.0)
        raise CommandFailed(f"The turn still runs after {PATIENCE:.0f} s; its status is at {path}")

    def _retry(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Sends a request that may be sent twice, up to `TRIES` times."""
        lost = ""
        for pause in (*(0.25 * 2**number for number in range(TRIES - 1)), None):
            try:
                answer = self._http.request(method, path, **options)
            except (httpx2.RequestError, UnicodeError) as error:
                if method == "POST" and not isinstance(error, httpx2.ConnectError):
                    lost = " The message may have arrived: check with `agent-actors history`."
                if pause is None:
                    raise CommandFailed(self._unanswered(error) + lost) from None
                self._rest(pause)
                continue
            if pause is None or answer.status_code not in {429, 503}:
                return _checked(answer)
            # What the service asks for, if it does.
            seconds = answer.headers.get("retry-after", "")
            asked = min(float(seconds), LONGEST_PAUSE) if seconds.isdecimal() else 0.0
            if asked > pause and answer.status_code != self._explained:
                self._explained = answer.status_code
                self._tell(f"{_problem(answer)} Trying again in {asked:g} s; press Ctrl-C to stop.")
            self._rest(max(asked, pause))
        raise AssertionError  # The last try returns or raises.

    def _rest(self, seconds: float) -> None:
        self._pause(seconds)
        self._paused += seconds

    def _send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        try:
            return _checked(self._http.request(method, path, **options))
        except (httpx2.RequestError, UnicodeError) as error:
            raise CommandFailed(self._unanswered(error)) from None

    def _unanswered(self, error: Exception) -> str:
        """Why there is no answer; a `UnicodeError` means that the host name is not possible."""
        url = self._http.base_url
        if isinstance(error, httpx2.ConnectError):
            return (
                f"No service answers at {url} ({error}); start one with `agent-actors dev`, or set"
                " --url (or AGENT_ACTORS_URL) to another."
            )
        if isinstance(error, httpx2.TimeoutException):
            return f"The service at {url} did not answer in time."
        return f"No answer from {url}: {_line(str(error)) or type(error).__name__}"


def _token(variable: str) -> str:
    """A token from the environment, or an empty text.

    Raises:
        CannotStart: No HTTP header can carry it.
    """
    token = os.environ.get(variable, "").strip()
    if not (token.isascii() and token.isprintable()):
        raise CannotStart(f"{variable} contains a character that is not allowed in a token.")
    return token


def _operator() -> dict[str, str]:
    """The sidecar's token, for the routes of operators only."""
    token = _token("APP_API_TOKEN")
    return {TOKEN_HEADER: token} if token else {}


def _chat(actor_id: str) -> str:
    return f"/chat/{quote(actor_id, safe='')}"


def _location(answer: httpx2.Response) -> str:
    """Path and query of the turn's URL.

    The host is ignored: behind a proxy it may be unknown here, and a foreign server could name any,
    which would then get our token.
    """
    with _body(answer):
        path = httpx2.URL(answer.headers["location"]).raw_path.decode()
        if not path.startswith("/") or path.startswith("//"):
            raise ValueError
        return path


def _checked(answer: httpx2.Response) -> httpx2.Response:
    if answer.is_success:
        return answer
    if answer.status_code != httpx2.codes.UNAUTHORIZED:
        raise CommandFailed(_problem(answer))
    if "authorization" in answer.request.headers:
        raise CommandFailed("The service rejects the token in AGENT_ACTORS_TOKEN; set a valid one.")
    raise CommandFailed("The service needs a token; set AGENT_ACTORS_TOKEN to yours.")


def _problem(answer: httpx2.Response) -> str:
    """Title and detail of a problem document, in one line."""
    text = ""
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        with suppress(ValueError):
            text = _title_and_detail(answer.json())
    return text or f"The service answered {answer.status_code}."


def _title_and_detail(problem: object) -> str:
    if not isinstance(problem, dict):
        return ""
    return _line(": ".join(str(problem[key]) for key in ("title", "detail") if problem.get(key)))


def _line(text: str) -> str:
    return one_line(text, LONGEST_LINE)


@contextmanager
def _body(answer: httpx2.Response) -> Iterator[Any]:
    """The JSON body, which the block reads.

    Raises:
        CommandFailed: The answer has another form, so another program answered.
    """
    try:
        yield answer.json()
    except (ValueError, LookupError, TypeError, AttributeError, httpx2.InvalidURL):
        raise CommandFailed(f"The program at {answer.url} is not this service.") from None


def _rows(items: Any, *columns: str) -> list[dict[str, Any]]:
    return [{name: item[name] for name in columns} for item in items]
