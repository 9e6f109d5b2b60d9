"""The service over HTTP, as the commands use it."""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import quote

import click
import httpx2

from agent_actors.cli.failures import CannotStart, Failure

TRIES = 5
LONGEST_PAUSE = 30.0
WAIT = 30
"""Seconds a request waits for its answer, before the turn is asked for by its address."""

PATIENCE = 900.0
"""Seconds after which a turn is given up here; it goes on in the service."""

PAGE = 200


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
        token = os.environ.get("AGENT_ACTORS_TOKEN", "").strip()
        self._pause = pause
        self._tell = tell
        self._waits_for = 0
        """The status that was told last, of those that a message waits for."""
        self._sent = False
        """A message was sent whose answer was lost."""
        try:
            self._http = httpx2.Client(
                base_url=url,
                headers=_credentials(token),
                timeout=httpx2.Timeout(10.0, read=WAIT + 15.0),
                transport=transport,
                trust_env=False,  # A proxy for the web does not lead to this machine.
            )
        except (httpx2.InvalidURL, ValueError) as error:
            raise CannotStart(f"{url!r} is no address of a service: {error}") from None

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
        self._waits_for = 0
        answer = self._patiently("POST", path, content=_message(text), headers=headers)
        turn = _json(answer)
        if answer.status_code == httpx2.codes.ACCEPTED:
            turn = self._follow(answer.headers["location"])
        return cast(str, turn["response"]["content"])

    def history(self, actor_id: str) -> Iterator[dict[str, str]]:
        """Every entry of a conversation, oldest first."""
        for page in reversed(list(self._pages(_chat(actor_id) + "/history"))):
            yield from page

    def notifications(self, user: str) -> list[dict[str, Any]]:
        """Which turns a user was told of, newest first."""
        answer = self._send("GET", f"/notifications/{quote(user, safe='')}")
        return cast(list[dict[str, Any]], _json(answer)["notifications"])

    def dead(self) -> list[dict[str, Any]]:
        """The dead letters, newest first."""
        answer = self._send("GET", "/events/dead", params={"limit": 1000})
        return cast(list[dict[str, Any]], _json(answer)["dead"])

    def requeue(self, letter_id: str) -> None:
        """Delivers a dead letter again."""
        self._send("POST", f"/events/dead/{quote(letter_id, safe='')}/requeue")

    def _pages(self, path: str) -> Iterator[list[dict[str, str]]]:
        at: dict[str, int] = {"limit": PAGE}
        while True:
            page = _json(self._send("GET", path, params=at))
            yield page["history"]
            if page["next"] is None:
                return
            at["before"] = page["next"]

    def _follow(self, location: str) -> dict[str, Any]:
        waited, pause = 0.0, 0.25
        while waited < PATIENCE:
            turn = _json(self._patiently("GET", location))
            if turn["status"] == "done":
                return turn
            if turn["status"] not in {"queued", "running"}:
                raise Failure(_told(turn.get("error") or {}, f"The turn has {turn['status']}."))
            self._pause(pause)
            waited, pause = waited + pause, min(pause * 1.5, 5.0)
        raise Failure(f"The turn still runs after {PATIENCE:.0f} s; it is at {location}")

    def _patiently(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """Only for what may be sent twice: reads, and messages with a key."""
        for tried in range(TRIES - 1):
            pause = 0.25 * 2**tried
            try:
                answer = self._http.request(method, path, **more)
            except httpx2.ConnectError:
                self._pause(pause)
                continue
            except httpx2.TransportError:
                self._sent = method == "POST"
                self._pause(pause)
                continue
            if answer.status_code not in {429, 503}:
                return _checked(answer)
            asked = _retry_after(answer)
            if asked is not None:
                self._explain(answer, asked)
            self._pause(pause if asked is None else asked)
        return self._send(method, path, **more)

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
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            text = f"No answer from {where}: {str(error) or type(error).__name__}"
        if self._sent:
            text += " The message may have been taken: `agent-actors history` shows it if so."
        raise Failure(text)


def _credentials(token: str) -> dict[str, str]:
    """What shows who calls: a user's token, and the sidecar's for operators.

    Raises:
        CannotStart: The user's token is none.
    """
    if not (token.isascii() and token.isprintable()):
        raise CannotStart("AGENT_ACTORS_TOKEN has a character that no token has.")
    sidecars = os.environ.get("APP_API_TOKEN")
    headers = {"dapr-api-token": sidecars} if sidecars else {}
    return headers | {"authorization": f"Bearer {token}"} if token else headers


def _message(text: str) -> bytes:
    try:
        return json.dumps({"role": "user", "content": text}, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Failure("The message is not text in UTF-8.") from None


def _chat(actor_id: str) -> str:
    return f"/chat/{quote(actor_id, safe='')}"


def _retry_after(answer: httpx2.Response) -> float | None:
    """How many seconds the service asks for, as far as a command waits; None if it does not ask."""
    asked = answer.headers.get("retry-after", "")
    return min(float(asked), LONGEST_PAUSE) if asked.isdecimal() else None


def _checked(answer: httpx2.Response) -> httpx2.Response:
    if answer.is_success:
        return answer
    if answer.status_code == httpx2.codes.UNAUTHORIZED:
        raise Failure(_unauthorized(answer.request))
    raise Failure(_why(answer))


def _why(answer: httpx2.Response) -> str:
    """The service's own words about an error, in one line."""
    otherwise = f"The service answered {answer.status_code}."
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        return _told(_json(answer), otherwise)
    return otherwise


def _unauthorized(request: httpx2.Request) -> str:
    if "authorization" in request.headers:
        return "The service does not take the token in AGENT_ACTORS_TOKEN; set one that it knows."
    return "The service wants to know who calls; set AGENT_ACTORS_TOKEN to your token."


def _told(problem: dict[str, Any], otherwise: str) -> str:
    said = [str(problem[part]) for part in ("title", "detail") if problem.get(part)]
    return " ".join(": ".join(said).split()) or otherwise


def _json(answer: httpx2.Response) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], answer.json())
    except ValueError:
        raise Failure(f"What answers at {answer.url} is not this service.") from None
