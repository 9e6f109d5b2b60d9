"""The HTTP client of the commands, against scripted responses."""

import json

import httpx2
import pytest

from agent_actors.cli.client import PATIENCE, TRIES, Client
from agent_actors.cli.failures import CannotStart, CommandFailed

DONE = {"response": {"role": "assistant", "content": "Hello"}, "turn_id": "t"}


class Scripted(httpx2.BaseTransport):
    """Answers in the order given; the last answer is repeated."""

    def __init__(self, *steps: httpx2.Response | Exception) -> None:
        self.steps = list(steps)
        self.requests: list[httpx2.Request] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return httpx2.Response(step.status_code, headers=step.headers, content=step.content)


def answer(body: object, status: int = 200, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, json=body, headers=named)


def problem(status: int, title: str, detail: str, **headers: str) -> httpx2.Response:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    content = json.dumps({"title": title, "detail": detail}).encode()
    return httpx2.Response(
        status, content=content, headers={"content-type": "application/problem+json"} | headers
    )


class Setup:
    def __init__(self, *steps: httpx2.Response | Exception) -> None:
        self.transport = Scripted(*steps)
        self.pauses: list[float] = []
        self.told: list[str] = []
        self.client = Client("http://service", self.transport, self.pauses.append, self.told.append)

    @property
    def requests(self) -> list[httpx2.Request]:
        return self.transport.requests


def test_a_message_is_sent_as_the_contract_says():
    """A message goes out as JSON in UTF-8, with a key of its own and a time to wait."""
    setup = Setup(answer(DONE))

    assert setup.client.say("ada", "Grüße 🎉") == "Hello"
    assert setup.client.say("ada", "Grüße 🎉") == "Hello"
    request, other = setup.requests
    assert request.url == "http://service/chat/ada"
    assert json.loads(request.content) == {"role": "user", "content": "Grüße 🎉"}
    assert len(request.headers["idempotency-key"]) == 36
    assert request.headers["idempotency-key"] != other.headers["idempotency-key"]
    assert request.headers["prefer"] == "wait=30"


@pytest.mark.parametrize(
    "trouble",
    [
        httpx2.ConnectError("refused"),
        httpx2.ReadError("reset"),
        httpx2.ReadTimeout("slow"),
        httpx2.RemoteProtocolError("cut"),
        answer({}, 503),
        answer({}, 429),
    ],
    ids=repr,
)
def test_a_message_is_sent_again_with_its_key(trouble: httpx2.Response | Exception):
    """After a transient error, the message is retried with the same key, without a word."""
    setup = Setup(trouble, trouble, answer(DONE))

    assert setup.client.say("ada", "Hello") == "Hello"
    assert len(setup.requests) == 3
    assert len({request.headers["idempotency-key"] for request in setup.requests}) == 1
    assert (setup.pauses, setup.told) == ([0.25, 0.5], [])


@pytest.mark.parametrize("longest", ["900", "9" * 400])
def test_a_service_that_names_a_pause_gets_it(longest: str):
    """`Retry-After` decides how long the next try waits, up to a bound."""
    setup = Setup(
        answer({}, 503, retry_after="3"), answer({}, 429, retry_after=longest), answer(DONE)
    )
    setup.client.say("ada", "Hello")

    assert setup.pauses == [3.0, 30.0]


@pytest.mark.parametrize(
    "asked", ["0", "00", "", "-5", "2.5", "soon", "Wed, 21 Oct 2099 07:28:00 GMT", "²"]
)
def test_an_invalid_retry_after_is_ignored(asked: str):
    """The default pauses are used, so the service does not get five requests at once."""
    trouble = httpx2.Response(429, headers=[(b"retry-after", asked.encode("latin-1"))])
    setup = Setup(trouble)

    with pytest.raises(CommandFailed, match="The service answered 429"):
        setup.client.say("ada", "Hello")
    assert setup.pauses == [0.25, 0.5, 1.0, 2.0]
    assert setup.told == []


def test_a_lost_answer_belongs_to_its_message():
    """The hint that a message may have arrived is about that message only."""
    setup = Setup(httpx2.ReadError("reset"), answer(DONE), httpx2.ConnectError("refused"))
    setup.client.say("ada", "one")

    with pytest.raises(CommandFailed, match="No service answers") as caught:
        setup.client.say("ada", "two")
    assert "may have arrived" not in caught.value.message

    setup.transport.steps = [httpx2.ReadError("reset"), httpx2.ConnectError("refused")]
    with pytest.raises(CommandFailed, match="The message may have arrived"):
        setup.client.say("ada", "three")


@pytest.mark.parametrize(("status", "title"), [(429, "Too many requests"), (503, "Unavailable")])
def test_a_wait_is_explained_once(status: int, title: str):
    """The reason and the time are printed once, not for every retry."""
    trouble = problem(status, title, "Later.", retry_after="7")
    setup = Setup(trouble, trouble, answer(DONE), trouble, answer(DONE))
    line = f"{title}: Later. Trying again in 7 s; press Ctrl-C to stop."

    setup.client.say("ada", "Hello")
    assert setup.told == [line]

    setup.client.say("ada", "Hello again")
    assert setup.told == [line, line]


def test_a_persistent_error_is_printed():
    """The number of tries is limited, and the last error is printed."""
    setup = Setup(problem(503, "Unavailable", "The store is away."))

    with pytest.raises(CommandFailed, match=r"^Unavailable: The store is away\.$"):
        setup.client.say("ada", "Hello")
    assert len(setup.requests) == TRIES


@pytest.mark.parametrize("status", [400, 404, 413, 422, 500, 502, 504])
def test_a_permanent_error_is_not_retried(status: int):
    """A retry could not succeed."""
    setup = Setup(problem(status, "Title", "What\nto do."))

    with pytest.raises(CommandFailed, match=r"^Title: What to do\.$"):
        setup.client.say("ada", "Hello")
    assert len(setup.requests) == 1


def test_a_parked_turn_is_followed_to_its_end():
    """After 202 the URL of the turn is polled until it is done."""
    setup = Setup(
        answer({"turn_id": "t", "status": "queued"}, 202, location="/chat/ada/turns/t"),
        answer({"turn_id": "t", "status": "queued"}),
        answer({"turn_id": "t", "status": "running"}),
        answer(DONE | {"status": "done"}),
    )

    assert setup.client.say("ada", "Hello") == "Hello"
    assert [request.url.path for request in setup.requests[1:]] == ["/chat/ada/turns/t"] * 3


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_turn_without_an_answer_is_an_error(status: str):
    """The error of a failed or cancelled turn is printed."""
    error = {"title": "The model failed", "detail": "Send it as a new message."}
    setup = Setup(
        answer({}, 202, location="/chat/ada/turns/t"),
        answer({"turn_id": "t", "status": status, "error": error}),
    )

    with pytest.raises(CommandFailed, match="The model failed: Send it as a new message"):
        setup.client.say("ada", "Hello")


@pytest.mark.parametrize("status", [None, 429, 503])
def test_a_turn_is_not_followed_for_ever(status: int | None):
    """The client gives up and prints the turn's URL; pauses that the service asks for count."""
    running = answer({"turn_id": "t", "status": "running"})
    setup = Setup(answer({}, 202, location="/chat/ada/turns/t"), running)
    if status is not None:
        setup.transport.steps[1:] = [answer({}, status, retry_after="30"), running] * int(PATIENCE)

    with pytest.raises(CommandFailed, match=r"The turn still runs after 900 s.*/chat/ada/turns/t"):
        setup.client.say("ada", "Hello")
    assert PATIENCE <= sum(setup.pauses) < PATIENCE + 40


def test_history_is_read_to_its_beginning():
    """Every page is read, and the oldest entry comes first."""
    entries = [{"role": "user", "content": str(number)} for number in range(6)]
    setup = Setup(
        answer({"history": entries[4:], "next": 3}),
        answer({"history": entries[2:4], "next": 2}),
        answer({"history": entries[:2], "next": None}),
    )

    assert list(setup.client.history("ada")) == entries
    assert [request.url.params.get("before") for request in setup.requests] == [None, "3", "2"]


def test_ids_are_quoted():
    """An id with a slash or a question mark does not reach another route."""
    setup = Setup(problem(422, "Invalid request", "The id must match."))

    with pytest.raises(CommandFailed):
        list(setup.client.history("a/../b?c"))
    assert setup.requests[0].url.raw_path.startswith(b"/chat/a%2F..%2Fb%3Fc/history")


def test_only_operators_routes_get_the_sidecars_token(monkeypatch: pytest.MonkeyPatch):
    """`APP_API_TOKEN` goes to dead letters; chat, history and notifications are for users."""
    monkeypatch.setenv("APP_API_TOKEN", "secret")
    setup = Setup(answer(DONE | {"dead": [], "history": [], "next": None, "notifications": []}))
    setup.client.dead()
    setup.client.requeue("7")
    setup.client.say("ada", "Hello")
    list(setup.client.history("ada"))
    setup.client.notifications("ada")

    tokens = [request.headers.get("dapr-api-token") for request in setup.requests]
    assert tokens == ["secret", "secret", None, None, None]


def test_a_token_of_the_environment_is_shown(monkeypatch: pytest.MonkeyPatch):
    """`AGENT_ACTORS_TOKEN` is sent as a bearer token."""
    monkeypatch.setenv("AGENT_ACTORS_TOKEN", "ada-0123456789abcdef\n")
    setup = Setup(answer(DONE))
    setup.client.say("ada", "Hello")

    assert setup.requests[0].headers["authorization"] == "Bearer ada-0123456789abcdef"


@pytest.mark.parametrize(
    ("token", "told"), [("", "set AGENT_ACTORS_TOKEN to yours"), ("x", "rejects the token")]
)
def test_a_401_names_the_variable_to_set(token: str, told: str, monkeypatch: pytest.MonkeyPatch):
    """There is no retry, and the error is one sentence."""
    monkeypatch.setenv("AGENT_ACTORS_TOKEN", token)
    setup = Setup(problem(401, "Unauthorized", "This route needs a token."))

    with pytest.raises(CommandFailed, match=told) as caught:
        setup.client.say("ada", "Hello")
    assert "AGENT_ACTORS_TOKEN" in caught.value.message
    assert len(setup.requests) == 1


@pytest.mark.parametrize("variable", ["AGENT_ACTORS_TOKEN", "APP_API_TOKEN"])
@pytest.mark.parametrize("token", ["sécret", "sec\nret"])
def test_an_invalid_token_is_refused(variable: str, token: str, monkeypatch: pytest.MonkeyPatch):
    """Nothing is sent, and the error does not repeat it."""
    monkeypatch.setenv(variable, token)

    with pytest.raises(CannotStart, match=variable) as caught:
        Setup(answer({"dead": []})).client.dead()
    assert token not in caught.value.message


def test_a_requeue_is_sent_once():
    """A requeue is not retried, and its error is printed."""
    setup = Setup(problem(409, "Conflict", "It failed again."))

    with pytest.raises(CommandFailed, match="Conflict: It failed again"):
        setup.client.requeue("7")
    assert [request.method for request in setup.requests] == ["POST"]


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (httpx2.ConnectError("refused"), "No service answers at http://service"),
        (httpx2.ReadTimeout("slow"), "did not answer in time"),
        (httpx2.ReadError(""), "No answer from http://service.*: ReadError"),
        (UnicodeError("label too long"), "No answer from http://service.*: label too long"),
        (httpx2.Response(200, content=b"<html>"), "is not this service"),
        (httpx2.Response(500, content=b"oops"), "The service answered 500"),
    ],
)
def test_every_trouble_is_one_line(trouble: httpx2.Response | Exception, told: str):
    """Each error is printed as one line."""
    setup = Setup(trouble)

    with pytest.raises(CommandFailed, match=told) as caught:
        list(setup.client.history("ada"))
    assert "\n" not in caught.value.message


def test_invalid_unicode_is_refused():
    """A lone surrogate, from a terminal with another encoding, is an error."""
    setup = Setup(answer(DONE))

    with pytest.raises(CommandFailed, match="UTF-8"):
        setup.client.say("ada", "\udcff")
    assert not setup.requests


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1",
        "http://host:port",
        "http://host:0",
        "http://",
        "ftp://host",
        "host",
    ],
)
def test_an_invalid_url_is_refused(url: str):
    """A malformed URL is an error of the command line."""
    with pytest.raises(CannotStart, match="is not the URL of a service"):
        Client(url)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("http://[::1]:8000", "/chat/ada"),
        ("https://service.example", "/chat/ada"),
        ("http://localhost./agents/", "/agents/chat/ada"),
    ],
)
def test_an_address_is_kept_as_it_is(url: str, path: str):
    """IPv6 hosts and a path prefix work, too."""
    transport = Scripted(answer(DONE))
    with Client(url, transport) as client:
        client.say("ada", "Hello")

    assert str(transport.requests[0].url) == url.rstrip("/").removesuffix("/agents") + path
