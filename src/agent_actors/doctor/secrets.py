"""The secret store that the settings name, and the stores of the component files."""

from collections.abc import Sequence

from agent_actors.doctor.aside import aside
from agent_actors.doctor.files import read
from agent_actors.doctor.finding import Finding, Report
from agent_actors.errors import AgentError, Invalid, StartupError
from agent_actors.model.keys import GEMINI, OPENAI, GetSecret
from agent_actors.runtime.embedded.files import components
from agent_actors.runtime.embedded.files.secrets import SecretStores
from agent_actors.settings import Settings

NAMES = (OPENAI.secret, GEMINI.secret)


class SecretsCheck:
    """The secret store answers, and has a key.

    Args:
        settings: Which store.
        get_secret: Asks it.
    """

    name = "secrets"

    def __init__(self, settings: Settings, get_secret: GetSecret) -> None:
        self._store = settings.secret_store
        self._get_secret = get_secret

    async def look(self) -> Sequence[Finding]:
        """The names that it has; what they hide is not kept."""
        report = Report(self.name)
        if self._store is None:
            return report.skip("AGENT_ACTORS_SECRET_STORE names no store")
        try:
            there = [name for name in NAMES if await self._get_secret(self._store, name)]
        except AgentError as error:
            return report.fail(
                error.detail.rstrip("."),
                f"AGENT_ACTORS_SECRET_STORE is {self._store!r}: a component of that name must be"
                " there, and its store must answer",
            )
        if not there:
            return report.warn(
                f"{self._store!r} has none of {', '.join(NAMES)}",
                "add one, or set the key in the environment; else `echo` answers",
            )
        return report.ok(f"{self._store!r} has {', '.join(there)}")


class FileStores:
    """The stores that the component files describe, opened when they are first asked.

    Args:
        settings: Where the files are.
    """

    def __init__(self, settings: Settings) -> None:
        self._where = settings.components
        self._opened: SecretStores | None = None

    async def get(self, store: str, name: str) -> str | None:
        """A secret, as the embedded runtime reads it.

        Raises:
            Invalid: There is no such store, or a component file cannot be used.
            Unavailable: Its file cannot be used now.
        """
        if self._opened is None:
            try:
                self._opened = await aside(self._open)
            except StartupError as error:
                raise Invalid(str(error)) from None
        return await self._opened.get(store, name)

    def _open(self) -> SecretStores:
        return SecretStores.open(read(components.find(self._where)).secret_stores)
