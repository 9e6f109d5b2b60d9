"""The client of the commands beside another program, or a hostile one."""

from collections.abc import Callable

import httpx2
import pytest

from agent_actors.cli.client import LONGEST_LINE, TRIES, Client
from agent_actors.cli.failures import CommandFailed
from tests.unit.cli.test_client import DONE, Setup, answer, problem

STRANGER = r"^The program at http://service/\S+ is not this service\.$"
PROBLEM = {"content-type": "application/problem+json"}


@pytest.mark.parametrize(
    "location",
    [
        "/chat/ada/turns/t?x=1",
        "http://service/chat/ada/turns/t?x=1",
        "http://elsewhere:1/chat/ada/turns/t?x=1",
        "//elsewhere/chat/ada/turns/t?x=1",
    ],
)
def test_a_turn_is_polled_on_the_host_of_its_message(
    location: str, monkeypatch: pytest.MonkeyPatch
):
    """Whatever host a `Location` names, the token goes to the service of the command only."""
    monkeypatch.setenv("AGENT_ACTORS_TOKEN", "ada-0123456789abcdef")
    setup = Setup(answer({}, 202, location=location), answer(DONE | {"status": "done"}))

    assert setup.client.say("ada", "Hello") == "Hello"
    assert str(setup.requests[1].url) == "http://service/chat/ada/turns/t?x=1"


@pytest.mark.parametrize(
    "headers",
    [{}, *({"location": each} for each in ("turns/t", "http://elsewhere//evil/x", "http://[::1"))],
)
def test_a_turn_without_a_usable_url_is_an_error(headers: dict[str, str]):
    """A 202 whose `Location` is missing or wrong comes from another program."""
    setup = Setup(answer({}, 202, **headers))

    with pytest.raises(CommandFailed, match=STRANGER):
        setup.client.say("ada", "Hello")
    assert len(setup.requests) == 1


def say(client: Client) -> str:
    return client.say("ada", "Hello")


NO_ROWS: list[object] = [None, [1], [{}]]
FORMS: list[tuple[Callable[[Client], object], list[object]]] = [
    (say, [[], None, "text", 7, {}, {"response": None}]),
    (
        lambda client: list(client.history("ada")),
        [[], {"history": None, "next": None}, {"history": [1], "next": None}, {"history": []}],
    ),
    (
        lambda client: client.notifications("ada"),
        [{"notifications": rows} for rows in NO_ROWS],
    ),
    (lambda client: client.dead(), [{"dead": rows} for rows in NO_ROWS]),
]
"""A call, and JSON that its answer cannot have."""


@pytest.mark.parametrize(("call", "body"), [(call, body) for call, some in FORMS for body in some])
def test_json_of_another_form_comes_from_another_program(
    call: Callable[[Client], object], body: object
):
    """A reply, a page of history and the columns of a list are checked before they are printed."""
    with pytest.raises(CommandFailed, match=STRANGER):
        call(Setup(answer(body)).client)


@pytest.mark.parametrize("body", [[], {}, {"status": "done"}])
def test_a_turn_of_another_form_comes_from_another_program(body: object):
    """Its status is polled after a 202."""
    with pytest.raises(CommandFailed, match=STRANGER):
        say(Setup(answer({}, 202, location="/x"), answer(body)).client)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"status": "failed", "error": [1]}, r"^The turn has failed\.$"),
        ({"status": "failed", "error": {"title": 7}}, r"^7$"),
        ({"status": "gone\x1b[2J\n"}, r"^The turn has gone\[2J\.$"),
    ],
)
def test_an_unusual_end_of_a_turn_is_one_line(body: object, message: str):
    """An error of another form, or an unknown status, is printed without control characters."""
    setup = Setup(answer({}, 202, location="/x"), answer(body))

    with pytest.raises(CommandFailed, match=message):
        setup.client.say("ada", "Hello")


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff"])
def test_a_problem_of_another_form_is_described_by_its_status(body: bytes):
    """It is retried like any other 503."""
    trouble = httpx2.Response(503, content=body, headers={"retry-after": "1"} | PROBLEM)
    setup = Setup(trouble)

    with pytest.raises(CommandFailed, match=r"^The service answered 503\.$"):
        setup.client.say("ada", "Hello")
    assert len(setup.requests) == TRIES
    assert setup.told == ["The service answered 503. Trying again in 1 s; press Ctrl-C to stop."]


@pytest.mark.parametrize(
    ("title", "line"),
    [
        ("T\x1b]0;owned\x07\x9b2J", "T]0;owned2J: why"),
        ("one\r\nok\ttwo\u2028three", "one ok two three: why"),
        ("\u202ereversed\ud800", "reversed: why"),
    ],
    ids=repr,
)
def test_a_servers_text_cannot_control_the_terminal(title: str, line: str):
    """It is printed as one line of plain text."""
    with pytest.raises(CommandFailed) as caught:
        Setup(problem(429, title, "why")).client.say("ada", "Hello")

    assert caught.value.message == line


def test_a_servers_text_is_cut():
    """An error is one line, not a page."""
    setup = Setup(problem(429, "Title", "d" * 100_000, retry_after="7"))

    with pytest.raises(CommandFailed) as caught:
        setup.client.say("ada", "Hello")
    assert len(caught.value.message) == LONGEST_LINE
    assert caught.value.message.endswith("d…")
    assert len(setup.told[0]) < LONGEST_LINE + 60
