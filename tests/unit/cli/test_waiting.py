"""`agent-actors chat` beside a service that tells callers to come back later."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread, Timer

import pytest

from agent_actors.engine.ports import free_port
from tests.e2e.service import COMMAND, environment

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
