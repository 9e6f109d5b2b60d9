"""Tokens of the settings: each is somebody's, and is known by its digest."""

import hashlib
import re
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from agent_actors.access.caller import Caller, is_user
from agent_actors.errors import StartupError

SHORTEST = 16
"""Characters of a token, at least."""
_FORM = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What the header may carry (RFC 6750)."""
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    token: str | None = None
    sha256: str | None = None
    subject: str
    admin: bool = False


_ENTRIES = TypeAdapter(list[_Entry])


def digest(token: str) -> bytes:
    """What a token is known by."""
    return hashlib.sha256(token.encode()).digest()


class Tokens:
    """Callers by the digests of their tokens.

    Looking a digest up takes a time that says nothing of the token: who does not have it cannot
    choose its digest.

    Args:
        callers: By the digests of their tokens.
    """

    def __init__(self, callers: Mapping[bytes, Caller]) -> None:
        self._callers = callers

    def __len__(self) -> int:
        return len(self._callers)

    def caller(self, token: str) -> Caller | None:
        """Whose token it is, if it is one."""
        return self._callers.get(digest(token))

    @classmethod
    def read(cls, texts: Iterable[tuple[str, str]]) -> "Tokens":
        """The tokens of settings.

        Args:
            texts: The name of each setting, and its JSON.

        Raises:
            StartupError: One is not of its form, too short, or there twice; no text repeats it.
        """
        callers: dict[bytes, Caller] = {}
        for name, text in texts:
            for number, entry in enumerate(_entries(name, text), 1):
                known_by = _known_by(name, number, entry)
                if known_by in callers:
                    raise StartupError(f"{name}: token {number} is there twice.")
                callers[known_by] = Caller(entry.subject, entry.admin)
        return cls(callers)


def _entries(name: str, text: str) -> list[_Entry]:
    try:
        return _ENTRIES.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "json_invalid" or not first["loc"]:
            raise StartupError(f"{name} is not a list of tokens, as JSON.") from None
        number, *place = first["loc"]
        of = f", {place[0]}" if place else ""
        raise StartupError(f"{name}: token {int(number) + 1}{of}: {first['msg']}.") from None


def _known_by(name: str, number: int, entry: _Entry) -> bytes:
    if not is_user(entry.subject):
        raise StartupError(f"{name}: the subject of token {number} is no user id.")
    if (entry.token is None) == (entry.sha256 is None):
        raise StartupError(f"{name}: token {number} needs one of `token` and `sha256`.")
    if entry.sha256 is not None:
        if not _DIGEST.fullmatch(entry.sha256):
            raise StartupError(f"{name}: `sha256` of token {number} is not 64 digits of hex.")
        return bytes.fromhex(entry.sha256)
    token = entry.token or ""
    if len(token) < SHORTEST:
        raise StartupError(f"{name}: token {number} has fewer than {SHORTEST} characters.")
    if not _FORM.fullmatch(token):
        raise StartupError(
            f"{name}: token {number} may have letters, digits and - . _ ~ + / only, then =."
        )
    return digest(token)
