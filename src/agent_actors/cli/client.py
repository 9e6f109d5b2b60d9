"""The HTTP client of the commands."""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar
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

Value = TypeVar("Value")


def _to_stderr(line: str) -> None:
    click.echo(line, err=True)


class Client:
    """A client of a running service.

    Args:
        url: Its URL.
        transport: Carries the requests; the network by default.
        pause: Waits a number of seconds.
        tell: Prints why the client waits.
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
        return _read(answer, _reply)

    def history(self, actor_id: str) -> Iterator[dict[str, str]]:
        """Every entry of a conversation, oldest first."""
        pages, position = [], {"limit": PAGE}
        while True:
            answer = self._send("GET", f"{_chat(actor_id)}/history", params=position)
            entries, before = _read(answer, _page)
            pages.append(entries)
            if before is None:
                break
            position["before"] = before
        for page in reversed(pages):
            yield from page

    def notifications(self, user: str) -> list[dict[str, Any]]:
        """The SMS notifications of a user, newest first."""
        answer = self._send("GET", f"/notifications/{quote(user, safe='')}")
        columns = ("at", "status", "conversation", "turn_id", "to")
        return _read(answer, lambda body: _rows(body["notifications"], columns))

    def dead(self) -> list[dict[str, Any]]:
        """The dead letters, newest first."""
        answer = self._send("GET", "/events/dead", params={"limit": 1000}, headers=_operator())
        columns = ("id", "at", "topic", "tries", "reason")
        return _read(answer, lambda body: _rows(body["dead"], columns))

    def requeue(self, letter_id: str) -> None:
        """Delivers a dead letter again."""
        path = f"/events/dead/{quote(letter_id, safe='')}/requeue"
        self._send("POST", path, headers=_operator())

    def _follow(self, path: str) -> str:
        """Polls a turn until it ends, and returns its reply."""
        end, pause = self._paused + PATIENCE, 0.25
        while self._paused < end:
            answer = self._retry("GET", path)
            status, error = _read(answer, lambda body: (str(body["status"]), body.get("error")))
            if status == "done":
                return _read(answer, _reply)
            if status not in {"queued", "running"}:
                raise CommandFailed(_title_and_detail(error) or f"The turn has {_line(status)}.")
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
            asked = _retry_after(answer)
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
    try:
        path = httpx2.URL(answer.headers["location"]).raw_path.decode()
    except (KeyError, httpx2.InvalidURL):
        raise _stranger(answer) from None
    if not path.startswith("/") or path.startswith("//"):
        raise _stranger(answer)
    return path


def _retry_after(answer: httpx2.Response) -> float:
    """The seconds that the service asks to wait, up to `LONGEST_PAUSE`; 0 if it does not ask."""
    seconds = answer.headers.get("retry-after", "")
    return min(float(seconds), LONGEST_PAUSE) if seconds.isdecimal() else 0.0


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
        try:
            text = _title_and_detail(answer.json())
        except ValueError:
            text = ""
    return text or f"The service answered {answer.status_code}."


def _title_and_detail(problem: object) -> str:
    if not isinstance(problem, dict):
        return ""
    return _line(": ".join(str(problem[key]) for key in ("title", "detail") if problem.get(key)))


def _line(text: str) -> str:
    return one_line(text, LONGEST_LINE)


def _read(answer: httpx2.Response, part: Callable[[Any], Value]) -> Value:
    """A part of a JSON body.

    Raises:
        CommandFailed: The body has another form, so another program answered.
    """
    try:
        return part(answer.json())
    except (ValueError, LookupError, TypeError):
        raise _stranger(answer) from None


def _stranger(answer: httpx2.Response) -> CommandFailed:
    return CommandFailed(f"The program at {answer.url} is not this service.")


def _reply(body: Any) -> str:
    return str(body["response"]["content"])


def _page(body: Any) -> tuple[list[dict[str, str]], int | None]:
    """Entries of a history, and the position of the page before them."""
    before = body["next"]
    return _rows(body["history"], ("role", "content")), None if before is None else int(before)


def _rows(items: Any, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{name: item[name] for name in columns} for item in items]
