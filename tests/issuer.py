"""An issuer of JWTs with real keys, and a small server on loopback that publishes them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from jwt.algorithms import get_default_algorithms
from pydantic_core import to_json

from agent_actors.clock import SystemClock
from agent_actors.engine.ports import free_port

ISSUER = "https://issuer.example"
AUDIENCE = "agent-actors"


def now() -> int:
    """Epoch seconds, as the library that checks tokens sees them."""
    return int(SystemClock().now().timestamp())


@dataclass
class SigningKey:
    """A private key of the issuer, and what is published of it."""

    kid: str = "one"
    algorithm: str = "RS256"
    private: PrivateKeyTypes = field(init=False)

    def __post_init__(self) -> None:
        if self.algorithm.startswith("ES"):
            self.private = ec.generate_private_key(ec.SECP256R1())
        else:
            self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def published(self) -> dict[str, Any]:
        """The public key as a JWK."""
        public = self.private.public_key()
        made = get_default_algorithms()[self.algorithm].to_jwk(public, as_dict=True)
        return {**made, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def token(self, subject: str | None = "ada", **claims: Any) -> str:
        """A token that is taken, but for the claims that are given; None leaves one out."""
        said: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now(),
            "exp": now() + 300,
        }
        kept = {name: value for name, value in (said | claims).items() if value is not None}
        return jwt.encode(
            kept,
            self.private,  # type: ignore[arg-type]
            algorithm=self.algorithm,
            headers={"kid": self.kid},
        )


class Published:
    """What the server answers, and how often it was asked."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = list(keys)
        self.status = 200
        self.asked = 0
        self.port = free_port()

    @property
    def url(self) -> str:
        """Where the keys are."""
        return f"http://127.0.0.1:{self.port}/keys"

    @property
    def body(self) -> bytes:
        """The key set."""
        return to_json({"keys": [key.published for key in self.keys]})

    @contextmanager
    def served(self) -> Iterator["Published"]:
        """Answers until the block ends."""
        published = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                published.asked += 1
                self.send_response(published.status)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(published.body)

            def log_message(self, *_: object) -> None:
                """Nothing: a test's output is its own."""

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join(10)
            server.server_close()
