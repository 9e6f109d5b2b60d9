"""The commands' client beside a server that is not the service, or means it ill."""

import httpx2
import pytest

from agent_actors.cli.client import LONGEST_LINE, TRIES
from agent_actors.cli.failures import Failure
from tests.unit.cli.test_client import DONE, Setup, answer, problem

STRANGER = r"^What answers at http://service/\S+ is not this service\.$"
PROBLEM = {"content-type": "application/problem+json"}
DEEP = b"[" * 100_000


def raw(content: bytes, status: int = 200, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, content=content, headers=named)


@pytest.mark.parametrize(
    "location",
    [
        "/chat/ada/turns/t?x=1",
        "http://service/chat/ada/turns/t?x=1",
        "http://elsewhere:1/chat/ada/turns/t?x=1",
        "//elsewhere/chat/ada/turns/t?x=1",
    ],
)
def test_a_turn_is_asked_for_where_its_message_went(location: str, monkeypatch: pytest.MonkeyPatch):
    """Whatever host a `Location` names: our token goes to the one that we were told of."""
    monkeypatch.setenv("AGENT_ACTORS_TOKEN", "ada-0123456789abcdef")
    setup = Setup(answer({}, 202, location=location), answer(DONE | {"status": "done"}))

    assert setup.client.say("ada", "Hello") == "Hello"
    assert str(setup.requests[1].url) == "http://service/chat/ada/turns/t?x=1"


@pytest.mark.parametrize(
    "location",
    ["", "turns/t", "http://elsewhere//evil/x", "http://[::1", "mailto:ada", "/a\x01b"],
    ids=repr,
)
def test_a_turn_without_an_address_is_none(location: str):
    """A 202 that does not say where its turn is comes from another server."""
    setup = Setup(answer({}, 202, location=location))

    with pytest.raises(Failure, match=STRANGER):
        setup.client.say("ada", "Hello")
    assert len(setup.requests) == 1


def test_a_turn_without_any_address_is_none():
    """Nor does one without a `Location`."""
    with pytest.raises(Failure, match=STRANGER):
        Setup(answer({}, 202)).client.say("ada", "Hello")


@pytest.mark.parametrize(
    "body",
    [
        [],
        None,
        "text",
        7,
        {},
        {"response": None},
        {"response": {"content": 7}},
    ],
    ids=repr,
)
def test_an_answer_that_holds_no_reply_is_a_strangers(body: object):
    """JSON of any other form than ours is told in one line."""
    with pytest.raises(Failure, match=STRANGER):
        Setup(answer(body)).client.say("ada", "Hello")


@pytest.mark.parametrize(
    "body", [DEEP, rb'{"response": {"content": "\ud800"}}', b"\xff"], ids=["deep", "half", "bytes"]
)
def test_an_answer_that_cannot_be_printed_is_a_strangers(body: bytes):
    """JSON that no parser takes, and a reply that is no Unicode."""
    with pytest.raises(Failure, match=STRANGER):
        Setup(raw(body)).client.say("ada", "Hello")


@pytest.mark.parametrize("body", [[], {}, {"status": 7}, {"status": "done"}, {"status": None}])
def test_a_turn_of_another_form_is_a_strangers(body: object):
    """As is the answer to the message itself."""
    setup = Setup(answer({}, 202, location="/x"), answer(body))

    with pytest.raises(Failure, match=STRANGER):
        setup.client.say("ada", "Hello")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"status": "failed", "error": [1]}, r"^The turn has failed\.$"),
        ({"status": "failed", "error": {"title": 7}}, r"^7$"),
        ({"status": "gone\x1b[2J\n"}, r"^The turn has gone\[2J\.$"),
    ],
)
def test_a_turn_that_ended_otherwise_is_one_line(body: object, told: str):
    """Whatever it says of its end."""
    setup = Setup(answer({}, 202, location="/x"), answer(body))

    with pytest.raises(Failure, match=told):
        setup.client.say("ada", "Hello")


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"history": None, "next": None},
        {"history": [1], "next": None},
        {"history": [{"role": "user"}], "next": None},
        {"history": [{"role": "user", "content": None}], "next": None},
        {"history": [], "next": "3"},
        {"history": []},
    ],
)
def test_a_history_of_another_form_is_a_strangers(body: object):
    """It is looked at before anything of it is printed."""
    with pytest.raises(Failure, match=STRANGER):
        list(Setup(answer(body)).client.history("ada"))


@pytest.mark.parametrize("rows", [None, [1], [{}], {"id": "7"}])
def test_lists_of_another_form_are_a_strangers(rows: object):
    """Those of notifications and of dead letters."""
    client = Setup(answer({"notifications": rows, "dead": rows})).client

    with pytest.raises(Failure, match=STRANGER):
        client.notifications("ada")
    with pytest.raises(Failure, match=STRANGER):
        client.dead()


@pytest.mark.parametrize(
    "body", [b"[1]", b"{", b"7", b"", b"\xff", DEEP], ids=lambda body: body[:3]
)
def test_a_problem_of_another_form_is_told_by_its_status(body: bytes):
    """It is no reason to stop trying, either."""
    trouble = raw(body, 503, retry_after="1", **PROBLEM)
    setup = Setup(trouble)

    with pytest.raises(Failure, match=r"^The service answered 503\.$"):
        setup.client.say("ada", "Hello")
    assert len(setup.requests) == TRIES
    assert setup.told == ["The service answered 503. Trying again in 1 s; Ctrl-C stops that."]


def test_an_answer_that_cannot_be_decoded_is_one_line():
    """What the library cannot unpack is no answer."""

    class Garbled(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            stream = httpx2.ByteStream(b"no gzip")
            return httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=stream)

    setup = Setup(answer(DONE))
    setup.client._http._transport = Garbled()

    with pytest.raises(Failure, match=r"^No answer from http://service"):
        setup.client.say("ada", "Hello")


@pytest.mark.parametrize(
    ("title", "told"),
    [
        ("T\x1b]0;owned\x07\x9b2J", "T]0;owned2J: why"),
        ("one\r\nok\ttwo\u2028three", "one ok two three: why"),
        ("\u202ereversed\ud800", "reversed: why"),
        ("\x1b\n", ": why"),
    ],
    ids=repr,
)
def test_a_servers_words_do_not_reach_the_terminal_raw(title: str, told: str):
    """They are one line of plain text, whatever was sent."""
    with pytest.raises(Failure) as caught:
        Setup(problem(429, title, "why")).client.say("ada", "Hello")

    assert caught.value.message == told


def test_a_servers_words_are_cut():
    """A failure is a line, not a page."""
    setup = Setup(problem(429, "Title", "d" * 100_000, retry_after="7"))

    with pytest.raises(Failure) as caught:
        setup.client.say("ada", "Hello")
    assert len(caught.value.message) == LONGEST_LINE
    assert caught.value.message.endswith("d…")
    assert len(setup.told[0]) < LONGEST_LINE + 60
