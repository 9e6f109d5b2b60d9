"""`agent-actors notifications`: which turns a user was told of."""

import httpx2
import pytest
from click.testing import CliRunner

from agent_actors.cli import main
from agent_actors.cli.client import Client
from tests.unit.cli.test_client import Scripted, answer, problem

TOLD = {
    "at": "2026-01-01T12:00:00Z",
    "conversation": "s1",
    "turn_id": "t",
    "status": "over the limit",
    "to": "123",
}


def run(monkeypatch: pytest.MonkeyPatch, step: httpx2.Response) -> tuple[int, str, Scripted]:
    """The exit code and the output, beside a service that answers so."""
    transport = Scripted(step)
    monkeypatch.setattr("agent_actors.cli.client.Client", lambda url: Client(url, transport))
    result = CliRunner().invoke(main, ["notifications", "a:b"])
    return result.exit_code, result.output, transport


def test_each_notification_is_a_line(monkeypatch: pytest.MonkeyPatch):
    """The order is the service's, newest first."""
    given = answer({"notifications": [TOLD, TOLD | {"status": "sent"}]})
    code, output, transport = run(monkeypatch, given)

    assert code == 0
    assert output.splitlines() == [
        "2026-01-01T12:00:00Z  over the limit  s1  t  …123",
        "2026-01-01T12:00:00Z  sent  s1  t  …123",
    ]
    assert transport.requests[0].url.raw_path == b"/notifications/a%3Ab"


def test_none_are_reported_to_be_none(monkeypatch: pytest.MonkeyPatch):
    """Nothing is printed on stdout."""
    assert run(monkeypatch, answer({"notifications": []}))[:2] == (0, "No notifications.\n")


def test_a_service_that_tells_nobody_says_so(monkeypatch: pytest.MonkeyPatch):
    """The exit code is 1."""
    code, output, _ = run(monkeypatch, problem(404, "Not found", "Nobody is told by SMS here."))

    assert code == 1
    assert "Nobody is told by SMS here." in output
