"""Which checks there are, and what they share."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx2

from agent_actors.clock import Clock
from agent_actors.doctor.access import AccessCheck
from agent_actors.doctor.actors import EmbeddedActorsCheck, PlacementCheck
from agent_actors.doctor.broker import BrokerCheck, EmbeddedBrokerCheck
from agent_actors.doctor.data import DataCheck
from agent_actors.doctor.files import FilesCheck
from agent_actors.doctor.finding import Check
from agent_actors.doctor.model import ModelCheck
from agent_actors.doctor.secrets import FileStores, SecretsCheck
from agent_actors.doctor.seen import Seen
from agent_actors.doctor.service import ClockCheck, ServiceCheck
from agent_actors.doctor.settings import LimitsCheck, PythonCheck, SettingsCheck
from agent_actors.doctor.sidecar import (
    LoadedCheck,
    NoSidecarCheck,
    SidecarCheck,
    WithoutSidecarCheck,
)
from agent_actors.model.keys import GetSecret
from agent_actors.runtime.dapr import DaprRuntime
from agent_actors.runtime.dapr.sidecar import SidecarClient
from agent_actors.settings import Settings

ANSWER = 5.0
"""Seconds that a server has for an answer."""


def in_pod() -> bool:
    """Is this a pod of Kubernetes?"""
    return "KUBERNETES_SERVICE_HOST" in os.environ  # Kubernetes sets it in every pod.


@asynccontextmanager
async def opened(
    settings: Settings, runtime: str, url: str | None, clock: Clock
) -> AsyncIterator[Sequence[Check]]:
    """The checks of a runtime, in their order, with the connections that they share.

    Args:
        settings: As the service has them.
        runtime: `embedded` or `dapr`.
        url: Where the service is, if somebody has said so.
        clock: The time.
    """
    async with (
        # A proxy for the web does not lead to this machine, but to a model it does.
        httpx2.AsyncClient(timeout=ANSWER, trust_env=False) as near,
        httpx2.AsyncClient(timeout=ANSWER) as far,
    ):
        always: list[Check] = [
            SettingsCheck(settings, runtime, clock, os.environ),
            PythonCheck(),
            LimitsCheck(),
            AccessCheck(settings, runtime, clock),
        ]
        made = _Made(settings, url, clock, near, far)
        if runtime == "embedded":
            yield [*always, *made.embedded()]
        elif settings.dapr_http_port is None:
            yield [*always, *made.without_sidecar()]
        else:
            sidecar = SidecarClient(settings.dapr_http_port, settings.dapr_api_token, ANSWER)
            await sidecar.start()
            try:
                yield [*always, *made.dapr(sidecar)]
            finally:
                await sidecar.stop()


class _Made:
    """Makes the checks."""

    def __init__(
        self,
        settings: Settings,
        url: str | None,
        clock: Clock,
        near: httpx2.AsyncClient,
        far: httpx2.AsyncClient,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._near = near
        self._far = far
        self._seen = Seen()
        self._service = ServiceCheck(near, url, self._seen, clock)

    def embedded(self) -> list[Check]:
        settings = self._settings
        return [
            DataCheck(settings.data, self._clock, self._seen),
            FilesCheck(settings, strict=True),
            self._service,
            EmbeddedActorsCheck(self._seen),
            EmbeddedBrokerCheck(),
            *self._last(FileStores(settings).get),
        ]

    def without_sidecar(self) -> list[Check]:
        return [
            NoSidecarCheck(in_pod=in_pod()),
            WithoutSidecarCheck(LoadedCheck.name, self._seen),
            FilesCheck(self._settings, strict=False),
            self._service,
            WithoutSidecarCheck(PlacementCheck.name, self._seen),
            WithoutSidecarCheck(BrokerCheck.name, self._seen),
            *self._last(FileStores(self._settings).get),
        ]

    def dapr(self, sidecar: SidecarClient) -> list[Check]:
        settings, seen = self._settings, self._seen
        runtime = DaprRuntime(sidecar, self._clock, ANSWER)
        return [
            SidecarCheck(sidecar, settings, seen, in_pod=in_pod()),
            LoadedCheck(settings, seen),
            FilesCheck(settings, strict=False),
            self._service,
            PlacementCheck(sidecar, settings, seen),
            BrokerCheck(runtime.publish, self._near, settings, seen, self._clock),
            *self._last(runtime.get_secret),
        ]

    def _last(self, get_secret: GetSecret) -> list[Check]:
        return [
            SecretsCheck(self._settings, get_secret),
            ModelCheck(self._far, self._settings, get_secret, self._seen, self._clock),
            ClockCheck(self._seen),
        ]
