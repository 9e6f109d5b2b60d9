"""The checks of each runtime, in order, each with a time limit."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import httpx2

from agent_actors.doctor.actors import check_actors, check_embedded_actors
from agent_actors.doctor.data import check_data
from agent_actors.doctor.files import check_dapr_files, check_embedded_files
from agent_actors.doctor.finding import Check, Context, Finding, Report
from agent_actors.doctor.model import check_model
from agent_actors.doctor.secrets import FileSecretStores, check_secrets
from agent_actors.doctor.service import check_clock, check_service
from agent_actors.doctor.settings import check_access, check_limits, check_python, check_settings
from agent_actors.doctor.sidecar import check_components, check_no_sidecar, check_sidecar
from agent_actors.errors import StartupError
from agent_actors.runtime.dapr import DaprRuntime
from agent_actors.runtime.dapr.sidecar import SidecarClient
from agent_actors.settings.environment import require_web

ANSWER = 5.0
"""Seconds that a server has for an answer."""
PATIENCE = 15.0
"""Seconds for a check; the requests in it have shorter timeouts."""

Checks = Mapping[str, Check]


@asynccontextmanager
async def open_checks(context: Context) -> AsyncIterator[Checks]:
    """The checks of the context's runtime by their names, with the connections that they need."""
    settings = context.settings
    get_secret = FileSecretStores(settings).get
    checks: dict[str, Check] = {"settings": check_settings, "python": check_python}
    async with AsyncExitStack() as opened:
        # A web proxy does not lead to this machine, but it may lead to a model.
        local = await opened.enter_async_context(
            httpx2.AsyncClient(timeout=ANSWER, trust_env=False)
        )
        remote = await opened.enter_async_context(
            httpx2.AsyncClient(timeout=ANSWER, trust_env=_usable_environment())
        )
        # `service` comes early: later checks report what it says about itself.
        running: dict[str, Check] = {
            "service": partial(check_service, http=local),
            "limits": check_limits,
            "access": check_access,
        }
        actors: Check
        if context.runtime == "embedded":
            checks |= {"data": check_data, **running, "components": check_embedded_files}
            actors = check_embedded_actors
        else:
            sidecar, check = None, check_no_sidecar
            if settings.dapr_http_port is not None:
                sidecar = SidecarClient(settings.dapr_http_port, settings.dapr_api_token, ANSWER)
                await sidecar.start()
                opened.push_async_callback(sidecar.stop)
                get_secret = DaprRuntime(sidecar, context.clock, ANSWER).get_secret
                check = partial(check_sidecar, sidecar=sidecar)
            checks |= {"sidecar": check, **running}
            checks |= {"components": check_components, "files": check_dapr_files}
            actors = partial(check_actors, sidecar=sidecar)
        yield checks | {
            "actors": actors,
            "secrets": partial(check_secrets, get_secret=get_secret),
            "model": partial(check_model, http=remote, get_secret=get_secret),
            "clock": check_clock,
        }


def _usable_environment() -> bool:
    """Whether a client can be made; the checks that need one say why it cannot."""
    try:
        require_web()
    except StartupError:
        return False
    return True


async def run_checks(
    checks: Checks, context: Context, patience: float = PATIENCE
) -> AsyncIterator[Finding]:
    """Yields the findings as they are made; later checks use what earlier ones found."""
    for name, check in checks.items():
        report = Report(name)
        try:
            async with context.clock.timeout(patience):
                findings = await check(context)
        except TimeoutError:
            findings = report.fail(
                f"no result after {patience:g} s", "find out why it hangs, and run doctor again"
            )
        except OSError as error:
            findings = report.fail(
                f"could not be checked ({error.strerror or type(error).__name__})",
                "check the folders and addresses that the settings name",
            )
        for finding in findings:
            yield finding
