"""`agent-actors chat` beside a service that tells callers to come back later."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread, Timer

import pytest

from agent_actors.engine.ports import free_port
from tests.unit.cli.test_process import COMMAND, ENVIRONMENT, running

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


@pytest.mark.parametrize("status", [429, 503])
def test_ctrl_c_ends_a_wait_that_was_explained(status: int):
    """What is waited for is on stderr before the wait; Ctrl-C is exit code 130 and no trace."""
    with (
        refusing(status) as url,
        subprocess.Popen(
            [*COMMAND, "chat", "ada", "Hello", "--url", url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        ) as process,
    ):
        too_late = Timer(LIMIT, process.kill)
        too_late.start()
        assert process.stderr
        told = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
        too_late.cancel()

    assert told == f"The service answered {status}. Trying again in 25 s; Ctrl-C stops that.\n"
    assert (process.returncode, out, err) == (130, "", "\n")


def test_a_rate_limit_is_waited_for_and_told(tmp_path: Path):
    """The real service names the time; after it the message gets its reply."""
    with running(tmp_path / "data", AGENT_ACTORS_RATE_LIMIT="1/second") as service:
        done = subprocess.run(
            [*COMMAND, "chat", "ada", "--url", service.url],
            input="one\ntwo\nthree\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT,
            env=ENVIRONMENT,
        )

    assert (done.returncode, len(done.stdout.splitlines())) == (0, 3)
    (told,) = set(done.stderr.splitlines())
    assert told.startswith("Too many requests: ")
    assert told.endswith(" Trying again in 1 s; Ctrl-C stops that.")
