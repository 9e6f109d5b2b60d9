"""Who may call the public routes: configured tokens, and JWTs of an issuer."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent_actors.access.caller import Caller
from agent_actors.access.tokens import Tokens
from agent_actors.clock import Clock
from agent_actors.errors import StartupError, Unauthorized
from agent_actors.forms.file import read_file
from agent_actors.settings import Settings

if TYPE_CHECKING:
    from agent_actors.access.claims import SignedTokens

INVALID = "The token is not valid."
LONGEST = 16_384
"""Longest token, in characters."""


@dataclass(frozen=True, slots=True)
class Access:
    """Identifies callers by configured tokens, and by the JWTs of an issuer, if there is one."""

    tokens: Tokens
    signed: "SignedTokens | None" = None

    @classmethod
    def open(cls, settings: Settings, clock: Clock) -> "Access | None":
        """The access control of the settings; None if anybody may call.

        Raises:
            StartupError: A setting is not valid, or nobody would have access.
        """
        if not settings.access_on:
            return None
        tokens, signed = Tokens.read(_texts(settings)), None
        if settings.jwt_on:
            from agent_actors.access import issuer

            signed = issuer.signed(settings, clock)
        if signed is None and not tokens:
            raise StartupError(
                "Nobody would have access: set AGENT_ACTORS_ACCESS_TOKENS or"
                " AGENT_ACTORS_JWT_ISSUER, or AGENT_ACTORS_ACCESS=off to let everybody in."
            )
        return cls(tokens, signed)

    async def caller(self, authorization: str) -> Caller:
        """The caller with this `Authorization` header; an empty text if there was none.

        Raises:
            Unauthorized: It has no valid token.
            Unavailable: The token cannot be checked now.
        """
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("This route needs a token: Authorization: Bearer <token>.")
        if len(token) > LONGEST:
            raise Unauthorized.invalid(INVALID)
        known = self.tokens.caller(token)
        if known is not None:
            return known
        if self.signed is None:
            raise Unauthorized.invalid(INVALID)
        return await self.signed.caller(token)

    async def close(self) -> None:
        """Closes the connection to the issuer. Idempotent."""
        if self.signed is not None:
            await self.signed.close()


def _texts(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.access_tokens is not None:
        yield "AGENT_ACTORS_ACCESS_TOKENS", settings.access_tokens.get_secret_value()
    if settings.access_tokens_file is not None:
        name = "AGENT_ACTORS_ACCESS_TOKENS_FILE"
        try:
            yield name, read_file(settings.access_tokens_file).decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            file = settings.access_tokens_file
            raise StartupError(f"{name}: {file} cannot be read: {reason}.") from None
