"""The secret store that the settings name."""

from dataclasses import dataclass

from agent_actors.doctor.files import read_components
from agent_actors.doctor.finding import Context, Findings, Report
from agent_actors.doctor.thread import in_thread
from agent_actors.errors import AgentError, Invalid, StartupError
from agent_actors.model.endpoint import GEMINI, OPENAI, GetSecret
from agent_actors.runtime.embedded.files import components
from agent_actors.runtime.embedded.files.secrets import SecretStores
from agent_actors.settings import Settings

NAMES = (OPENAI.secret, GEMINI.secret)


async def check_secrets(context: Context, get_secret: GetSecret) -> Findings:
    """The secret store answers and has a key; the finding has its name, never its value."""
    report, store = Report("secrets"), context.settings.secret_store
    if store is None:
        return report.skip("AGENT_ACTORS_SECRET_STORE is not set")
    try:
        present = [name for name in NAMES if await get_secret(store, name)]
    except AgentError as error:
        return report.fail(
            error.detail.rstrip("."),
            f"AGENT_ACTORS_SECRET_STORE is {store!r}: add a component of that name, and make sure"
            " that its store answers",
        )
    if not present:
        return report.warn(
            f"{store!r} has none of {', '.join(NAMES)}",
            "add one, or set the API key in the environment; otherwise the echo model answers",
        )
    return report.ok(f"{store!r} has {', '.join(present)}")


@dataclass(frozen=True, slots=True)
class FileSecretStores:
    """The secret stores of the component files that the settings name."""

    settings: Settings

    async def get(self, store: str, name: str) -> str | None:
        """A secret, as the embedded runtime reads it.

        Raises:
            Invalid: There is no such store, or a component file is not valid.
            Unavailable: The store's file cannot be read now.
        """
        where = self.settings.components
        try:
            known = await in_thread(lambda: read_components(components.find(where)))
            stores = SecretStores.open(known.secret_stores)
        except StartupError as error:
            raise Invalid(str(error)) from None
        return await stores.get(store, name)
