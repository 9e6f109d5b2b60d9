"""The configured tokens, stored as digests."""

import hashlib
import re
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from agent_actors.access.caller import Caller, is_user
from agent_actors.errors import StartupError

SHORTEST = 16
"""Shortest token, in characters."""
_FORM = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""The characters of a bearer token (RFC 6750)."""
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    token: str | None = None
    sha256: str | None = None
    subject: str
    admin: bool = False


_ENTRIES = TypeAdapter(list[_Entry])


def digest(token: str) -> bytes:
    """The SHA-256 of a token."""
    return hashlib.sha256(token.encode()).digest()


class Tokens:
    """Identifies callers by the digests of their tokens.

    The time of a lookup reveals nothing about a token: an attacker cannot choose digests.
    """

    def __init__(self, callers: Mapping[bytes, Caller]) -> None:
        self._callers = callers

    def __len__(self) -> int:
        return len(self._callers)

    def caller(self, token: str) -> Caller | None:
        """The caller with that token, if there is one."""
        return self._callers.get(digest(token))

    @classmethod
    def read(cls, texts: Iterable[tuple[str, str]]) -> "Tokens":
        """Parses settings: the name of each, and its JSON.

        The `StartupError` for a token that is invalid, too short or a duplicate never repeats it.
        """
        callers: dict[bytes, Caller] = {}
        for name, text in texts:
            for number, entry in enumerate(_entries(name, text), 1):
                key = _digest(name, number, entry)
                if key in callers:
                    raise StartupError(f"{name}: token {number} is a duplicate.")
                callers[key] = Caller(entry.subject, entry.admin)
        return cls(callers)


def _entries(name: str, text: str) -> list[_Entry]:
    try:
        return _ENTRIES.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid" or not first["loc"]:
            raise StartupError(f"{name} is not a JSON list of tokens.") from None
        number, *place = first["loc"]
        of = f", {place[0]}" if place else ""
        raise StartupError(f"{name}: token {int(number) + 1}{of}: {first['msg']}.") from None


def _digest(name: str, number: int, entry: _Entry) -> bytes:
    if not is_user(entry.subject):
        raise StartupError(f"{name}: the subject of token {number} is not a user id.")
    if (entry.token is None) == (entry.sha256 is None):
        raise StartupError(f"{name}: token {number} needs either `token` or `sha256`.")
    if entry.sha256 is not None:
        if not _DIGEST.fullmatch(entry.sha256):
            raise StartupError(f"{name}: `sha256` of token {number} is not 64 hexadecimal digits.")
        return bytes.fromhex(entry.sha256)
    token = entry.token or ""
    if len(token) < SHORTEST:
        raise StartupError(f"{name}: token {number} has fewer than {SHORTEST} characters.")
    if not _FORM.fullmatch(token):
        raise StartupError(
            f"{name}: token {number} may contain only letters, digits, - . _ ~ + / and a final =."
        )
    return digest(token)
