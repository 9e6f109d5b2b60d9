"""A stand-in for Twilio: what daprd sends to `api.twilio.com` comes here, by a proxy of its own.

The address is a constant of Dapr's component, so the proxy answers CONNECT itself, with a
certificate for that name.
"""

import base64
import ssl
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from agent_actors.engine.ports import free_port
from tests.kubernetes.certificates import Authority

HOST = "api.twilio.com"
HELD = 60.0
"""Seconds after which a request that is held is let go at the latest."""


@dataclass(frozen=True)
class Posted:
    """A request for an SMS."""

    path: str
    account: str
    token: str
    form: dict[str, str]


class Twilio:
    """The proxy and, behind it, the one resource that sends an SMS.

    Args:
        folder: For the certificate.
    """

    def __init__(self, folder: Path) -> None:
        self.posted: list[Posted] = []
        self.status = 201
        """What the next requests are answered."""
        self.reachable, self.free = threading.Event(), threading.Event()
        """While one is not set, nothing gets past the proxy, or requests wait for their answer."""
        self.reachable.set()
        self.free.set()
        authority = Authority(folder)
        authority.server("twilio", names=[HOST], addresses=[])
        self.certificate = authority.certificate
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(folder / "twilio.crt", folder / "twilio.key")
        self._server = _Server(("127.0.0.1", free_port()), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> "Twilio":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reachable.set()
        self.free.set()
        self._server.shutdown()
        self._thread.join(HELD)
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """What makes a daprd come here; it goes past a proxy for loopback."""
        proxy = f"http://127.0.0.1:{self._server.server_address[1]}"
        return {"HTTPS_PROXY": proxy, "SSL_CERT_FILE": str(self.certificate), "NO_PROXY": ""}

    @property
    def texts(self) -> list[str]:
        """What was to be sent, in order."""
        return [each.form["Body"] for each in self.posted]


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, address: tuple[str, int], twilio: Twilio) -> None:
        self.twilio = twilio
        super().__init__(address, _Proxy)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a daprd that was killed, or gave up, hangs up."""


class _Proxy(BaseHTTPRequestHandler):
    server: _Server

    def do_CONNECT(self) -> None:
        """Speaks for the host instead of connecting to it."""
        assert self.path == f"{HOST}:443", self.path
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        twilio = self.server.twilio
        twilio.reachable.wait(HELD)
        with twilio.tls.wrap_socket(self.connection, server_side=True) as inside:
            _Resource(inside, self.client_address, self.server)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class _Resource(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        """Keeps the request, then answers what it is told to."""
        twilio = self.server.twilio
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: value for name, (value,) in parse_qs(body, strict_parsing=True).items()}
        scheme, _, given = self.headers["Authorization"].partition(" ")
        assert scheme == "Basic"
        account, _, token = base64.b64decode(given).decode().partition(":")
        twilio.posted.append(Posted(self.path, account, token, form))
        twilio.free.wait(HELD)
        answer = b'{"message": "as a test wants it"}'
        self.send_response(twilio.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Nothing."""
