"""Secret stores: a JSON file and the environment, as Dapr's own local ones.

A secret is read when it is asked for and kept nowhere. What is wrong with a file is said without a
word of what is in it.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic_core import from_json, to_json

from agent_actors.errors import Invalid, StartupError, Unavailable
from agent_actors.runtime.embedded.files.components import (
    ENVIRONMENT_STORE,
    FILE_STORE,
    SecretStore,
)

_SEPARATOR = ":"
_TRUE = frozenset({"y", "yes", "true", "t", "on", "1"})
"""What daprd takes for true in a component's metadata."""


class _Store(Protocol):
    def get(self, name: str) -> str | None:
        """The secret, if there is one; blocks. Raises OSError or ValueError where it is broken."""
        ...


@dataclass(frozen=True, slots=True)
class FileSecretStore:
    """`secretstores.local.file`: what is nested has the names above it before its own.

    Args:
        path: Of the JSON file, from the working directory as with daprd.
        separator: Between the names.
        several: Each name at the top has several values; those below it are theirs.
    """

    path: Path
    separator: str = _SEPARATOR
    several: bool = False

    def get(self, name: str) -> str | None:
        """The secret, read now; of several values that of the same name.

        Raises:
            OSError: The file cannot be read.
            ValueError: It is no JSON object.
        """
        held = self._read()
        if self.several:
            own = held.get(name)
            if not isinstance(own, dict):
                return own if isinstance(own, str) else None
            held = own
        return dict(self._flat(held)).get(name)

    def check(self) -> None:
        """Nothing, as long as the file can be used; raises as `get`."""
        self._read()

    def _read(self) -> dict[str, Any]:
        # By default the parser keeps short texts for the next one that parses them.
        held = from_json(self.path.read_bytes(), cache_strings="none")
        if not isinstance(held, dict):
            raise ValueError("no object")  # noqa: TRY004 - as of any broken file
        return held

    def _flat(self, value: object, above: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict | list):
            below = value.items() if isinstance(value, dict) else enumerate(value)
            for key, each in below:
                yield from self._flat(each, (*above, str(key)))
        else:
            yield self.separator.join(above), _text(value)


@dataclass(frozen=True, slots=True)
class EnvironmentSecretStore:
    """`secretstores.local.env`: the variables of this process, but for the tokens of Dapr.

    Args:
        prefix: Before each name.
    """

    prefix: str = ""

    def get(self, name: str) -> str | None:
        """The variable as it is now."""
        variable = self.prefix + name
        hidden = variable.upper() == "APP_API_TOKEN" or variable.upper().startswith("DAPR_")
        return None if hidden else os.environ.get(variable)


class SecretStores:
    """The secret stores that the component files name; made by `open`."""

    def __init__(self, stores: Mapping[str, _Store | None]) -> None:
        self._stores = stores

    @classmethod
    def open(cls, described: Sequence[SecretStore]) -> "SecretStores":
        """The stores of these descriptions; that of another type is known, and not served.

        Raises:
            StartupError: One cannot be used; the text names its component file and says why.
        """
        return cls({each.name: _made(each) for each in described})

    def require(self, store: str | None) -> None:
        """Refuses settings that name a store which is not here; None names none.

        Raises:
            StartupError: There is no such store, or it is of a type that only Dapr has.
        """
        if store is not None and self._stores.get(store) is None:
            raise StartupError(
                f"AGENT_ACTORS_SECRET_STORE is {store!r}, and no component file has a secret store"
                f" of that name that is {FILE_STORE} or {ENVIRONMENT_STORE}."
            )

    async def get(self, store: str, name: str) -> str | None:
        """A secret, or None where the store has none of that name; an empty one is none.

        Raises:
            Invalid: There is no such store here.
            Unavailable: Its file cannot be used now.
        """
        if store not in self._stores:
            raise Invalid(f"There is no secret store {store!r}.")
        found = self._stores[store]
        if found is None:
            raise Invalid(f"The secret store {store!r} is of a type that only Dapr has.")
        try:
            return await asyncio.to_thread(found.get, name) or None
        except (OSError, ValueError):
            # Neither chained nor quoted: the reason may repeat a piece of the file.
            raise Unavailable(f"The file of the secret store {store!r} cannot be used.") from None


def _made(described: SecretStore) -> _Store | None:
    metadata = described.metadata
    if described.type == ENVIRONMENT_STORE:
        return EnvironmentSecretStore(metadata.get("prefix", ""))
    if described.type != FILE_STORE:
        return None
    if not metadata.get("secretsfile"):
        raise described.bad("a local.file secret store must have a secretsFile")
    path = Path(metadata["secretsfile"])
    several = metadata.get("multivalued", "").strip().lower() in _TRUE
    store = FileSecretStore(path, metadata.get("nestedseparator") or _SEPARATOR, several)
    try:
        store.check()
    except OSError as error:
        raise described.bad(f"its secretsFile {str(path)!r}: {error.strerror}") from None
    except ValueError:
        raise described.bad(f"its secretsFile {str(path)!r} is no JSON object") from None
    return store


def _text(value: object) -> str:
    """A secret that is no text is its JSON, and null is none."""
    if isinstance(value, str):
        return value
    return "" if value is None else to_json(value).decode()
