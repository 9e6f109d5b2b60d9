"""The workflow side of one process: the worker that runs activities, and the runner for callers."""

from agent_actors.conversation.runner import TurnRunner
from agent_actors.errors import StartupError
from agent_actors.turns.bell import TurnBell
from agent_actors.workflow.activities import Activities, WorkflowDependencies
from agent_actors.workflow.client import Workflows
from agent_actors.workflow.runner import WorkflowTurnRunner
from agent_actors.workflow.sdk import set_token
from agent_actors.workflow.worker import WorkflowWorker


class Orchestration:
    """Runs turns as workflows; started and stopped by the service.

    Raises `StartupError` if the settings name no gRPC port of a sidecar.
    """

    def __init__(self, dependencies: WorkflowDependencies, bell: TurnBell) -> None:
        settings, drain = dependencies.settings, dependencies.drain
        port = settings.dapr_grpc_port
        if port is None:
            raise StartupError(
                "AGENT_ACTORS_ORCHESTRATION=workflow needs the sidecar's gRPC port, but"
                " DAPR_GRPC_PORT is not set; `dapr run` and Kubernetes set it."
            )
        set_token(settings.dapr_api_token)
        self._workflows = Workflows(port, drain.clock, settings.call_time)
        self._runner = WorkflowTurnRunner(
            dependencies.chat,
            dependencies.reader,
            bell,
            drain,
            settings,
            self._workflows,
            dependencies.counters,
        )
        self._worker = WorkflowWorker(port, Activities(dependencies, self._runner.follow))

    @property
    def runner(self) -> TurnRunner:
        """Runs the turns of `POST /chat/`."""
        return self._runner

    def start(self) -> None:
        """Starts the worker; waits for nothing."""
        self._worker.start()

    async def drain(self) -> None:
        """Stops the worker; activities that are cut run again in another process. Idempotent."""
        await self._worker.stop()

    async def stop(self) -> None:
        """Stops everything. Idempotent."""
        await self.drain()
        await self._runner.stop()
        await self._workflows.stop()
