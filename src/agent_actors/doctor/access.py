"""Who may call the public routes, and whether anybody could."""

from collections.abc import Sequence

from agent_actors.access import Access
from agent_actors.access.rates import Rate
from agent_actors.clock import Clock
from agent_actors.doctor.aside import aside
from agent_actors.doctor.finding import Finding, Report
from agent_actors.errors import StartupError
from agent_actors.routes.edge import security_headers
from agent_actors.settings import Settings


class AccessCheck:
    """The tokens of the settings can be read, and somebody has one; so can rate and origins.

    Args:
        settings: Say who may call.
        runtime: What carries the actors.
        clock: The time, for tokens that end.
    """

    name = "access"

    def __init__(self, settings: Settings, runtime: str, clock: Clock) -> None:
        self._settings = settings
        self._callbacks_open = runtime == "dapr" and settings.app_api_token is None
        self._clock = clock

    async def look(self) -> Sequence[Finding]:
        """Whether callers must show a token."""
        return await aside(self._looked)

    def _looked(self) -> Sequence[Finding]:
        report = Report(self.name)
        try:
            access = Access.open(self._settings, self._clock)
            if self._settings.rate_limit is not None:
                Rate.read(self._settings.rate_limit)
            if self._settings.cors_origins is not None:
                security_headers.origins(self._settings.cors_origins)
        except StartupError as error:
            return report.fail(
                str(error).rstrip("."), "mend that setting; docs/security.md has the forms"
            )
        if access is not None and self._callbacks_open:
            return report.fail(
                "access control needs APP_API_TOKEN, or callbacks would be a way in",
                "set the same one for service, sidecar and doctor",
            )
        if access is not None:
            return report.ok("callers must show a token")
        if self._settings.access == "off":
            return report.ok("off: whoever reaches the port may call")
        return report.ok(
            "no token is asked for, so only callers on this machine are served, unless it is"
            " started with --insecure"
        )
