"""Ports of loopback."""

import socket

import pytest

from agent_actors.engine.ports import accepts, free_port, status
from agent_actors.errors import StartupError
from tests.serving import serving


def test_a_free_port_is_free_and_low():
    """It can be listened on, and lies below what systems hand out by themselves."""
    port = free_port()

    assert 1_024 <= port < 32_768
    assert not accepts(port)
    with socket.create_server(("127.0.0.1", port)):
        assert accepts(port)


def test_no_port_is_given_twice(monkeypatch: pytest.MonkeyPatch):
    """Who has been given one may not listen there yet: two servers would get the same."""
    monkeypatch.setattr("agent_actors.engine.ports._given", set())  # The next tests need some too.
    ports = [free_port() for _ in range(500)]

    assert len(set(ports)) == len(ports)


def test_a_machine_without_free_ports_is_an_error(monkeypatch: pytest.MonkeyPatch):
    """The search for a port ends."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr("agent_actors.engine.ports._FIRST", taken.getsockname()[1])
        monkeypatch.setattr("agent_actors.engine.ports._NUMBER", 1)

        with pytest.raises(StartupError, match="No free port"):
            free_port()


def test_a_status_is_what_the_server_says(monkeypatch: pytest.MonkeyPatch):
    """A proxy of the environment is not asked about loopback."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    port = free_port()
    with serving(port, lambda path, _: (204 if path == "/healthz" else 503, b"")):
        assert status(port, "/healthz") == 204
        assert status(port, "/other") == 503


def test_a_silent_port_has_no_status():
    """Neither does a port whose server does not speak HTTP."""
    assert status(free_port(), "/") is None

    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert status(mute.getsockname()[1], "/") is None
