"""`agent-actors chat` beside a service that tells callers to come back later."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread, Timer

import httpx2
import pytest

from agent_actors.cli.client import Client
from agent_actors.engine.ports import free_port
from tests.conftest import Serve
from tests.e2e.service import COMMAND, environment
from tests.hand_clock import HandClock

LIMIT = 30.0


@contextmanager
def refusing(status: int) -> Iterator[str]:
    """The address of a service that refuses each message for now."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("retry-after", "25")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base has it
            """Nothing: what pytest prints is for failures."""

    with ThreadingHTTPServer(("127.0.0.1", free_port()), Refusing) as server:
        serving = Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            serving.join()


@pytest.fixture
def _ctrl_c_is_heeded() -> Iterator[None]:
    """As at a terminal: what runs in the background of a script was started to ignore it.

    A signal that this process handles is at its default again in those that it starts.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_ctrl_c_is_heeded")
@pytest.mark.parametrize("status", [429, 503])
def test_ctrl_c_ends_a_wait_that_was_explained(status: int):
    """The reason is on stderr before the wait; Ctrl-C gives exit code 130 and no traceback."""
    with (
        refusing(status) as url,
        subprocess.Popen(
            [*COMMAND, "chat", "ada", "Hello", "--url", url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        ) as process,
    ):
        too_late = Timer(LIMIT, process.kill)
        too_late.start()
        assert process.stderr
        told = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
        too_late.cancel()

    assert told == f"The service answered {status}. Trying again in 25 s; press Ctrl-C to stop.\n"
    assert (process.returncode, out, err) == (130, "", "\n")


class Served(httpx2.BaseTransport):
    """The app of this process, asked from another thread.

    Args:
        http: Leads to it.
    """

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http
        self._loop = asyncio.get_running_loop()
        self.statuses: list[int] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        sent = self._http.request(
            request.method, request.url, headers=request.headers, content=request.read()
        )
        answer = asyncio.run_coroutine_threadsafe(sent, self._loop).result(LIMIT)
        self.statuses.append(answer.status_code)
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)


async def test_a_rate_limit_is_explained_and_waited_for(serve: Serve):
    """The service asks for a pause; after it the message is answered."""
    clock = HandClock()
    told: list[str] = []
    async with serve(rate_limit="1/second", clock=clock) as served:
        transport = Served(served.http)
        with Client("http://localhost", transport, clock.jump, told.append) as client:
            replies = [
                await asyncio.to_thread(client.say, "ada", text) for text in ("one", "two", "three")
            ]

    assert [reply.rpartition("message: ")[2].split()[0] for reply in replies] == [
        "one",
        "two",
        "three",
    ]
    assert transport.statuses == [200, 429, 200, 429, 200]
    (line,) = set(told)
    assert line.startswith("Too many requests: ")
    assert line.endswith(" Trying again in 1 s; press Ctrl-C to stop.")
