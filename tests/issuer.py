"""An issuer of JWTs with real keys, and a small server on loopback that publishes them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from jwt.algorithms import get_default_algorithms
from pydantic_core import to_json

from agent_actors.clock import SystemClock
from agent_actors.engine.ports import free_port
from tests.serving import serving

ISSUER = "https://issuer.example"
AUDIENCE = "agent-actors"


def now() -> int:
    """Epoch seconds, as the library that checks tokens sees them."""
    return int(SystemClock().now().timestamp())


@dataclass
class SigningKey:
    """A private key of the issuer, and what is published of it."""

    kid: str | None = "one"
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
            headers={"kid": self.kid} if self.kid is not None else None,
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

        def respond(path: str, sent: bytes) -> tuple[int, bytes]:
            self.asked += 1
            return self.status, self.body

        with serving(self.port, respond):
            yield self
