"""Secret stores: a JSON file and the environment, like Dapr's own local stores.

A secret is read each time it is needed and is kept nowhere. Errors about a file never contain
any of its text.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic_core import from_json, to_json

from agent_actors.errors import Invalid, StartupError, Unavailable
from agent_actors.forms.file import read_file
from agent_actors.runtime.embedded.files.components import ENVIRONMENT_STORE, FILE_STORE, Component

_SEPARATOR = ":"
_TRUE = frozenset({"y", "yes", "true", "t", "on", "1"})
"""What daprd reads as true in a component's metadata."""


class _Store(Protocol):
    def get(self, name: str) -> str | None:
        """The secret, if there is one; blocks. Raises OSError or ValueError if it is broken."""
        ...


@dataclass(frozen=True, slots=True)
class FileSecretStore:
    """`secretstores.local.file`: a nested value is named by its path, `outer:inner`.

    Like daprd, it takes `path` from the working directory. If it is `multi_valued`, each name at
    the top is a secret with several values of its own.
    """

    path: Path
    separator: str = _SEPARATOR
    multi_valued: bool = False

    def get(self, name: str) -> str | None:
        """The secret, read from the file now; if it has several values, the one of the same name.

        Raises:
            OSError: The file cannot be read.
            ValueError: The file is not a JSON object.
        """
        values = self.read()
        if self.multi_valued:
            secret = values.get(name)
            if not isinstance(secret, dict):
                return secret if isinstance(secret, str) else None
            values = secret
        return dict(self._flat(values)).get(name)

    def read(self) -> dict[str, Any]:
        """The file's JSON object; raises as `get` does if it cannot be used."""
        # By default, the parser caches short strings: secrets would stay in memory.
        values = from_json(read_file(self.path), cache_strings="none")
        if not isinstance(values, dict):
            raise ValueError("not an object")  # noqa: TRY004 - the same error as for broken JSON
        return values

    def _flat(self, value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict | list):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, each in items:
                yield from self._flat(each, (*path, str(key)))
        else:
            # A secret that is not a string is its JSON; null is an empty string.
            text = value if isinstance(value, str) else to_json(value).decode()
            yield self.separator.join(path), "" if value is None else text


@dataclass(frozen=True, slots=True)
class EnvironmentSecretStore:
    """`secretstores.local.env`: this process's variables with a prefix, except Dapr's tokens."""

    prefix: str = ""

    def get(self, name: str) -> str | None:
        """The present value of the variable."""
        variable = self.prefix + name
        hidden = variable.upper() == "APP_API_TOKEN" or variable.upper().startswith("DAPR_")
        return None if hidden else os.environ.get(variable)


class SecretStores:
    """The secret stores by name, made by `open`; None is one of a type that only Dapr has."""

    def __init__(self, stores: Mapping[str, _Store | None]) -> None:
        self._stores = stores

    @classmethod
    def open(cls, components: Sequence[Component]) -> "SecretStores":
        """The secret stores of the component files.

        Raises:
            StartupError: A store cannot be used; the text names its component file and says why.
        """
        return cls({each.name: _opened(each) for each in components})

    def require(self, store: str | None) -> None:
        """Refuses to start if the store of the settings is missing; None needs no store.

        Raises:
            StartupError: There is no such store, or only Dapr has its type.
        """
        if store is not None and self._stores.get(store) is None:
            raise StartupError(
                f"AGENT_ACTORS_SECRET_STORE is {store!r}, but no component file has a secret store"
                f" of that name and of type {FILE_STORE} or {ENVIRONMENT_STORE}."
            )

    async def get(self, store: str, name: str) -> str | None:
        """A secret, or None if the store has none of that name, or an empty one.

        Raises:
            Invalid: There is no such store here.
            Unavailable: The store's file cannot be used at the moment.
        """
        if store not in self._stores:
            raise Invalid(f"There is no secret store {store!r}.")
        found = self._stores[store]
        if found is None:
            raise Invalid(f"The secret store {store!r} is of a type that only Dapr has.")
        try:
            return await asyncio.to_thread(found.get, name) or None
        except (OSError, ValueError):
            # The cause is neither chained nor quoted: it may contain a part of the file.
            raise Unavailable(f"The file of the secret store {store!r} cannot be used.") from None


def _opened(component: Component) -> _Store | None:
    metadata = component.metadata
    if component.type == ENVIRONMENT_STORE:
        return EnvironmentSecretStore(metadata.get("prefix", ""))
    if component.type != FILE_STORE:
        return None
    if not metadata.get("secretsfile"):
        raise component.bad("a local.file secret store must have a secretsFile")
    path = Path(metadata["secretsfile"])
    multi_valued = metadata.get("multivalued", "").strip().lower() in _TRUE
    store = FileSecretStore(path, metadata.get("nestedseparator") or _SEPARATOR, multi_valued)
    try:
        store.read()
    except OSError as error:
        raise component.bad(f"its secretsFile {str(path)!r}: {error.strerror}") from None
    except ValueError:
        raise component.bad(f"its secretsFile {str(path)!r} is not a JSON object") from None
    return store
