"""JWTs of one issuer: checked by its public keys, never by a secret that both sides know."""

from dataclasses import dataclass
from typing import Any

import jwt

from agent_actors.access.caller import Caller
from agent_actors.access.keys import KeySet
from agent_actors.errors import Unauthorized

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""The asymmetric ones: with HS256 a public key would pass for a secret, `none` signs nothing."""
LEEWAY = 30.0
"""Seconds that the clocks of issuer and service may be apart; PyJWT asks the machine's own."""


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """What a JWT must say, and where it says who comes."""

    issuer: str
    audience: str
    subject_claim: str = "sub"
    roles_claim: str = "roles"
    admin_role: str | None = None


class SignedTokens:
    """Callers by their JWTs.

    Args:
        trusted: What they must say.
        keys: The issuer's keys.
    """

    def __init__(self, trusted: TrustedIssuer, keys: KeySet) -> None:
        self._trusted = trusted
        self._keys = keys

    async def caller(self, token: str) -> Caller:
        """Who comes with a token.

        Raises:
            Unauthorized: It is none of the issuer, for somebody else, or out of its time.
            Unavailable: The issuer's keys cannot be had.
        """
        try:
            header = jwt.get_unverified_header(token)
            algorithm = header.get("alg")
            if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
                raise Unauthorized.invalid("The token is signed in a way that is not taken.")
            key = await self._keys.find(header.get("kid"))
            if key is None or key.get("alg", algorithm) != algorithm:
                raise Unauthorized.invalid("The token is not signed by a key of the issuer.")
            return self._read(self._checked(token, jwt.PyJWK(key, algorithm=algorithm)))
        except jwt.ExpiredSignatureError:
            raise Unauthorized.invalid("The token has expired; get a new one.") from None
        except jwt.PyJWTError:
            raise Unauthorized.invalid("The token is not one that is taken here.") from None

    async def close(self) -> None:
        """Lets go of the connection to the issuer. Idempotent."""
        await self._keys.close()

    def _checked(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=self._trusted.audience,
            issuer=self._trusted.issuer,
            leeway=LEEWAY,
            options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
        )
        return claims

    def _read(self, claims: dict[str, Any]) -> Caller:
        subject = _claim(claims, self._trusted.subject_claim)
        if not isinstance(subject, str) or not subject:
            raise Unauthorized.invalid("The token does not say whose it is.")
        roles = _claim(claims, self._trusted.roles_claim)
        named = roles.split() if isinstance(roles, str) else roles
        admin = isinstance(named, list) and self._trusted.admin_role in named
        return Caller(subject, admin and self._trusted.admin_role is not None)


def _claim(claims: dict[str, Any], name: str) -> Any:
    """A claim by its name, which may have dots in it, or else by its path."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
