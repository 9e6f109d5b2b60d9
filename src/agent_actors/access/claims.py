"""JWTs of one issuer, checked with its public keys; shared secrets are not supported."""

from dataclasses import dataclass
from typing import Any

import jwt

from agent_actors.access.caller import Caller
from agent_actors.access.keys import KeySet
from agent_actors.errors import Unauthorized

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Asymmetric only: with HS256 a public key could be used as a secret, and `none` is unsigned."""
LEEWAY = 30.0
"""Seconds by which the clocks of issuer and service may differ; PyJWT uses the system clock."""


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """The claims that a JWT must have, and the names of those that are read."""

    issuer: str
    audience: str
    subject_claim: str = "sub"
    roles_claim: str = "roles"
    admin_role: str | None = None


@dataclass(frozen=True, slots=True)
class SignedTokens:
    """Identifies callers by JWTs with the trusted claims, signed with one of the issuer's keys."""

    trusted: TrustedIssuer
    keys: KeySet

    async def caller(self, token: str) -> Caller:
        """The caller with a token.

        Raises:
            Unauthorized: It is not from the issuer, for another audience, or expired.
            Unavailable: The issuer's keys cannot be fetched.
        """
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
                raise Unauthorized.invalid("The token's signature algorithm is not supported.")
            key = await self.keys.find(header.get("kid"), algorithm)
            if key is None:
                raise Unauthorized.invalid(
                    "The token is not signed with a signing key of the issuer."
                )
            claims: dict[str, Any] = jwt.decode(
                token,
                jwt.PyJWK(key, algorithm=algorithm),
                algorithms=[algorithm],
                audience=self.trusted.audience,
                issuer=self.trusted.issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthorized.invalid("The token has expired; get a new one.") from None
        except jwt.PyJWTError:
            raise Unauthorized.invalid("The token is not valid.") from None
        return self._read(claims)

    async def close(self) -> None:
        """Closes the connection to the issuer. Idempotent."""
        await self.keys.close()

    def _read(self, claims: dict[str, Any]) -> Caller:
        subject = _claim(claims, self.trusted.subject_claim)
        if not isinstance(subject, str) or not subject:
            raise Unauthorized.invalid("The token has no subject.")
        roles = _claim(claims, self.trusted.roles_claim)
        named = roles.split() if isinstance(roles, str) else roles
        admin = isinstance(named, list) and self.trusted.admin_role in named
        return Caller(subject, admin and self.trusted.admin_role is not None)


def _claim(claims: dict[str, Any], name: str) -> Any:
    """A claim by its name, or a nested one by a path with dots; a name may contain dots, too."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
