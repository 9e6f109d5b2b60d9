"""The service over HTTP, as the commands use it."""

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

from agent_actors.cli.failures import CannotStart, Failure
from agent_actors.forms.line import one_line
from agent_actors.forms.url import is_address
from agent_actors.protocol.wire import TOKEN_HEADER

TRIES = 5
LONGEST_PAUSE = 30.0
WAIT = 30
"""Seconds a request waits for its answer, before the turn is asked for by its address."""

PATIENCE = 900.0
"""Seconds after which a turn is given up here; it goes on in the service."""

PAGE = 200

LONGEST_LINE = 500
"""Characters of a server's text that are told: it is a line for a terminal, not a page."""

_NOTIFICATION = ("at", "status", "conversation", "turn_id", "to")
_LETTER = ("id", "at", "topic", "tries", "reason")

Found = TypeVar("Found")


def _on_stderr(line: str) -> None:
    click.echo(line, err=True)


class Client:
    """A connection to a running service.

    Args:
        url: Its address.
        transport: What carries requests; the network by default.
        pause: Waits that many seconds.
        tell: Says why it waits.
    """

    def __init__(
        self,
        url: str,
        transport: httpx2.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
        tell: Callable[[str], None] = _on_stderr,
    ) -> None:
        token = _token("AGENT_ACTORS_TOKEN")
        self._pause = pause
        self._paused = 0.0
        """Seconds that all pauses together took."""
        self._tell = tell
        self._waits_for = 0
        """The status that was told last, of those that a message waits for."""
        self._sent = False
        """A message was sent whose answer was lost."""
        self._http = httpx2.Client(
            base_url=_address(url),
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout=httpx2.Timeout(10.0, read=WAIT + 15.0),
            transport=transport,
            trust_env=False,  # A proxy for the web does not lead to this machine.
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
        """The reply to a message.

        All tries carry one key, so the message counts once whatever was lost on the way.
        """
        headers = {
            "content-type": "application/json",
            "idempotency-key": str(uuid.uuid4()),
            "prefer": f"wait={WAIT}",
        }
        path = _chat(actor_id)
        self._waits_for, self._sent = 0, False
        answer = self._patiently("POST", path, content=_message(text), headers=headers)
        if answer.status_code == httpx2.codes.ACCEPTED:
            return self._follow(_parked(answer))
        return _read(answer, _reply)

    def history(self, actor_id: str) -> Iterator[dict[str, str]]:
        """Every entry of a conversation, oldest first."""
        for page in reversed(list(self._pages(_chat(actor_id) + "/history"))):
            yield from page

    def notifications(self, user: str) -> list[dict[str, Any]]:
        """Which turns a user was told of, newest first."""
        answer = self._send("GET", f"/notifications/{quote(user, safe='')}")
        return _read(answer, lambda said: _rows(said["notifications"], _NOTIFICATION))

    def dead(self) -> list[dict[str, Any]]:
        """The dead letters, newest first."""
        answer = self._send("GET", "/events/dead", params={"limit": 1000}, headers=_operator())
        return _read(answer, lambda said: _rows(said["dead"], _LETTER))

    def requeue(self, letter_id: str) -> None:
        """Delivers a dead letter again."""
        path = f"/events/dead/{quote(letter_id, safe='')}/requeue"
        self._send("POST", path, headers=_operator())

    def _pages(self, path: str) -> Iterator[list[dict[str, str]]]:
        at: dict[str, int] = {"limit": PAGE}
        while True:
            entries, before = _read(self._send("GET", path, params=at), _page)
            yield entries
            if before is None:
                return
            at["before"] = before

    def _follow(self, path: str) -> str:
        end, pause = self._paused + PATIENCE, 0.25
        while self._paused < end:
            answer = self._patiently("GET", path)
            status, error = _read(answer, _state)
            if status == "done":
                return _read(answer, _reply)
            if status not in {"queued", "running"}:
                raise Failure(_told(error, f"The turn has {_line(status)}."))
            self._rest(pause)
            pause = min(pause * 1.5, 5.0)
        raise Failure(f"The turn still runs after {PATIENCE:.0f} s; it is at {path}")

    def _patiently(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """Only for what may be sent twice: reads, and messages with a key."""
        for tried in range(TRIES - 1):
            pause = 0.25 * 2**tried
            try:
                answer = self._http.request(method, path, **more)
            except httpx2.ConnectError:
                self._rest(pause)
                continue
            except httpx2.RequestError:
                self._sent = self._sent or method == "POST"
                self._rest(pause)
                continue
            if answer.status_code not in {429, 503}:
                return _checked(answer)
            asked = _retry_after(answer)
            if asked > pause:
                pause = asked
                self._explain(answer, pause)
            self._rest(pause)
        return self._send(method, path, **more)

    def _rest(self, seconds: float) -> None:
        self._pause(seconds)
        self._paused += seconds

    def _explain(self, answer: httpx2.Response, seconds: float) -> None:
        """Says what is waited for, unless that is known already."""
        if answer.status_code == self._waits_for:
            return
        self._waits_for = answer.status_code
        why = _why(answer)
        self._tell(f"{why} Trying again in {seconds:g} s; Ctrl-C stops that.")

    def _send(self, method: str, path: str, **more: Any) -> httpx2.Response:
        where = self._http.base_url
        try:
            return _checked(self._http.request(method, path, **more))
        except httpx2.ConnectError as error:
            text = (
                f"No service answers at {where} ({error}); `agent-actors dev` starts one, and --url"
                " (or AGENT_ACTORS_URL) says where another is."
            )
        except httpx2.TimeoutException:
            text = f"The service at {where} did not answer in time."
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            text = f"No answer from {where}: {_line(str(error)) or type(error).__name__}"
        if self._sent:
            text += " The message may have been taken: `agent-actors history` shows it if so."
        raise Failure(text)


def _address(url: str) -> httpx2.URL:
    """Where the service is.

    Raises:
        CannotStart: That is no address.
    """
    try:
        address = httpx2.URL(url)
        address.raw_host.decode().encode("idna")  # As sockets do, with labels of 63 at most.
    except (httpx2.InvalidURL, ValueError) as error:
        raise CannotStart(f"{url!r} is no address of a service: {error}") from None
    if not is_address(str(address)):
        raise CannotStart(f"{url!r} is no address of a service; http://127.0.0.1:8000 is one.")
    return address


def _token(variable: str) -> str:
    """A token of the environment, or nothing.

    Raises:
        CannotStart: What is there can be none.
    """
    token = os.environ.get(variable, "").strip()
    if not (token.isascii() and token.isprintable()):
        raise CannotStart(f"{variable} has a character that no token has.")
    return token


def _operator() -> dict[str, str]:
    """The sidecar's token, which opens the routes of operators; others have no use for it."""
    token = _token("APP_API_TOKEN")
    return {TOKEN_HEADER: token} if token else {}


def _message(text: str) -> bytes:
    try:
        return json.dumps({"role": "user", "content": text}, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Failure("The message is not text in UTF-8.") from None


def _chat(actor_id: str) -> str:
    return f"/chat/{quote(actor_id, safe='')}"


def _parked(answer: httpx2.Response) -> str:
    """The path and query of a turn that goes on; who is asked for it stays who was asked before.

    A service behind a proxy may name a host that only the proxy knows, and what is not the service
    any host: neither gets our tokens.
    """
    try:
        named = httpx2.URL(answer.headers.get("location", ""))
    except httpx2.InvalidURL:
        raise _stranger(answer) from None
    path = named.raw_path.decode()
    if not str(named) or not path.startswith("/") or path.startswith("//"):
        raise _stranger(answer)
    return path


def _retry_after(answer: httpx2.Response) -> float:
    """How many seconds the service asks for, as far as a command waits; 0 if it does not ask."""
    asked = answer.headers.get("retry-after", "")
    return min(float(asked), LONGEST_PAUSE) if asked.isdecimal() else 0.0


def _checked(answer: httpx2.Response) -> httpx2.Response:
    if answer.is_success:
        return answer
    if answer.status_code == httpx2.codes.UNAUTHORIZED:
        raise Failure(_unauthorized(answer.request))
    raise Failure(_why(answer))


def _why(answer: httpx2.Response) -> str:
    """The service's own words about an error, in one line."""
    otherwise = f"The service answered {answer.status_code}."
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return otherwise
    try:
        return _told(answer.json(), otherwise)
    except (ValueError, RecursionError):
        return otherwise


def _unauthorized(request: httpx2.Request) -> str:
    if "authorization" in request.headers:
        return "The service does not take the token in AGENT_ACTORS_TOKEN; set one that it knows."
    return "The service wants to know who calls; set AGENT_ACTORS_TOKEN to your token."


def _told(problem: object, otherwise: str) -> str:
    if not isinstance(problem, dict):
        return otherwise
    said = [str(problem[part]) for part in ("title", "detail") if problem.get(part)]
    return _line(": ".join(said)) or otherwise


def _line(text: str) -> str:
    """A server's text."""
    return one_line(text, LONGEST_LINE)


def _read(answer: httpx2.Response, part: Callable[[Any], Found]) -> Found:
    """What an answer in JSON holds.

    Raises:
        Failure: It has another form, so another server has sent it.
    """
    try:
        return part(answer.json())
    except (ValueError, LookupError, TypeError, RecursionError):
        raise _stranger(answer) from None


def _stranger(answer: httpx2.Response) -> Failure:
    return Failure(f"What answers at {answer.url} is not this service.")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # A lone surrogate cannot be printed.
    return value


def _reply(said: Any) -> str:
    return _text(said["response"]["content"])


def _state(said: Any) -> tuple[str, object]:
    """How far a turn is, and why it failed if it did."""
    status = _text(said["status"])
    return status, said.get("error")


def _page(said: Any) -> tuple[list[dict[str, str]], int | None]:
    """Entries of a history, and where those before them begin."""
    entries = [
        {name: _text(each[name]) for name in ("role", "content")} for each in said["history"]
    ]
    before = said["next"]
    if not (before is None or isinstance(before, int)):
        raise TypeError
    return entries, before


def _rows(said: Any, names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [{name: each[name] for name in names} for each in said]
