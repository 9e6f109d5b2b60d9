"""The log's lines for people and for machines."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from agent_actors.observability import logs, tracing
from agent_actors.observability.logs import LogContext, fields
from agent_actors.protocol.messages import CompleteTurn, ProcessTurn, Reply
from tests.fakes import a_turn

OURS = "agent_actors.some.part"


class Log:
    """What the log has written."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def install(self, form: logs.Form, level: logs.Level = "INFO") -> None:
        logs.install(form, level, self.stream)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    """A log for the test; afterwards the process has its old one."""
    root, ours = logging.getLogger(), logging.getLogger("agent_actors")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    clients = {each: each.level for each in map(logging.getLogger, logs.CLIENTS)}
    root.handlers.clear()
    yield Log()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    for each, level in clients.items():
        each.setLevel(level)


def broken(text: str) -> tuple[Any, Any, Any]:
    """An exception that was raised."""
    try:
        raise RuntimeError(text)
    except RuntimeError as error:
        return RuntimeError, error, error.__traceback__


def test_a_record_is_a_json_object(log: Log):
    """Its time is in UTC, and the arguments are in its message."""
    log.install("json")
    logging.getLogger(OURS).warning("turn %s: %d", "t-1", 7)
    (line,) = log.lines

    assert list(line) == ["time", "level", "logger", "message"]
    assert line["level"] == "WARNING"
    assert line["logger"] == OURS
    assert line["message"] == "turn t-1: 7"
    assert line["time"].endswith("Z")
    assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text", ["two\nlines", "\r\n\x00\x1b[31m", '"quoted" \\', "half \ud800", "☃ \u2028 é", "{}", ""]
)
def test_any_text_is_one_line(log: Log, text: str):
    """Parsing the line gives the same text."""
    log.install("json")
    logging.getLogger(OURS).info("%s", text)
    (line,) = log.lines

    assert log.text.count("\n") == 1
    assert log.text.isascii()
    assert line["message"] == text


def test_the_ids_of_a_turn_are_fields(log: Log):
    """Only while the turn runs; a turn inside another one has its own."""
    log.install("json")
    logger = logging.getLogger(OURS)
    with LogContext("ChatAgent", "ada", (ProcessTurn(a_turn("hi", turn_id="t-1"), 1.0),)):
        with LogContext("ResponseAgent", "ada-response"):
            logger.info("inside")
        logger.info("outside")
    logger.info("after")
    inside, outside, after = log.lines

    assert inside["actor_type"] == "ResponseAgent"
    assert "turn_id" not in inside
    assert {key: outside[key] for key in ("actor_type", "actor_id", "turn_id")} == {
        "actor_type": "ChatAgent",
        "actor_id": "ada",
        "turn_id": "t-1",
    }
    assert "actor_id" not in after


@pytest.mark.parametrize(
    ("about", "turn_id"),
    [
        ((), None),
        (("a text", 3, None), None),
        ((CompleteTurn("t-2", Reply("yes")),), "t-2"),
        ((1, a_turn("hi", turn_id="t-3")), "t-3"),
    ],
)
def test_a_turn_is_found_in_the_arguments_of_a_call(about: tuple[object, ...], turn_id: str | None):
    """The first argument with a turn id names the turn."""
    with LogContext("ChatAgent", "ada", about):
        assert fields().get("turn_id") == turn_id


def test_the_current_trace_is_a_field(log: Log, monkeypatch: pytest.MonkeyPatch):
    """Only while there is a trace."""
    log.install("json")
    monkeypatch.setattr(tracing, "trace_id", lambda: "0af7651916cd43dd8448eb211c80319c")
    logging.getLogger(OURS).info("traced")
    monkeypatch.setattr(tracing, "trace_id", lambda: None)
    logging.getLogger(OURS).info("not traced")
    traced, plain = log.lines

    assert traced["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert "trace_id" not in plain


def test_an_exception_is_its_type(log: Log):
    """Its text may quote a message, so no form has it, not even for a library's logger."""
    forms: tuple[logs.Form, ...] = ("json", "text")
    for form in forms:
        log.install(form)
        logging.getLogger("some.package").error("it broke", exc_info=broken("a secret word"))

    machine, *people = log.text.splitlines()
    assert json.loads(machine)["exception"] == "RuntimeError"
    assert people[-1] == "RuntimeError"
    assert "secret" not in log.text
    assert "Traceback" not in log.text


def test_a_trace_is_written_at_debug(log: Log):
    """One field has all its lines."""
    log.install("json", "DEBUG")
    logging.getLogger(OURS).debug("its trace", exc_info=broken("a word"))
    (line,) = log.lines

    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("RuntimeError: a word")


def test_extra_fields_of_libraries_are_left_out(log: Log):
    """They may hold anything."""
    log.install("json")
    logging.getLogger("openai").warning("asked", extra={"body": "a secret word"})

    assert "secret" not in log.text


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING"])
@pytest.mark.parametrize("form", ["json", "text"])
def test_urls_of_requests_are_not_written(log: Log, form: Any, level: Any):
    """They may have passwords; a server may call its status anything."""
    log.install(form, level)
    answer = httpx2.Response(200, extensions={"reason_phrase": b"hush"})
    with httpx2.Client(transport=httpx2.MockTransport(lambda _: answer)) as client:
        client.get("http://ada:hush@model.example/v1?key=hush")
    logging.getLogger("httpx2").warning("something is wrong")

    assert "something is wrong" in log.text
    assert "hush" not in log.text


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_the_level_is_the_lowest_that_is_written(log: Log, level: Any):
    """For our own lines; lines of libraries below INFO are never written."""
    log.install("json", level)
    for name in (OURS, "openai"):
        for number in (10, 20, 30, 40):
            logging.getLogger(name).log(number, "text")
    written = {
        name: [line["level"] for line in log.lines if line["logger"] == name]
        for name in (OURS, "openai")
    }

    names = ["DEBUG", "INFO", "WARNING", "ERROR"]
    assert written[OURS] == names[names.index(level) :]
    assert written["openai"] == [each for each in written[OURS] if each != "DEBUG"]


def test_installed_twice_it_writes_once(log: Log):
    """A second `install` replaces the first."""
    log.install("text")
    log.install("text")
    logging.getLogger(OURS).info("once")

    assert log.text.count("once") == 1
    assert "INFO agent_actors.some.part: once" in log.text
