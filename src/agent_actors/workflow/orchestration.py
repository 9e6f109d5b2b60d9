"""What carries turns by workflows, in one process: started and stopped by the composition."""

from agent_actors.conversation.runner import TurnRunner
from agent_actors.errors import StartupError
from agent_actors.protocol.clients import ChatClient
from agent_actors.settings import Settings
from agent_actors.state.reader import StateReader
from agent_actors.turns.bell import TurnBell
from agent_actors.workflow.activities import Activities, WorkflowParts
from agent_actors.workflow.client import Workflows
from agent_actors.workflow.runner import WorkflowTurnRunner
from agent_actors.workflow.sdk import know_token
from agent_actors.workflow.worker import WorkflowWorker


class Orchestration:
    """The worker, and the callers' side.

    Args:
        settings: Name the sidecar's gRPC port.
        parts: What the steps work with.
        chat: Calls ChatAgent.
        saved: What the store has.
        settled: Wakes who waits.

    Raises:
        StartupError: They name none.
    """

    def __init__(
        self,
        settings: Settings,
        parts: WorkflowParts,
        chat: ChatClient,
        reader: StateReader,
        bell: TurnBell,
    ) -> None:
        if settings.dapr_grpc_port is None:
            raise StartupError(
                "AGENT_ACTORS_ORCHESTRATION=workflow needs the sidecar's gRPC port, and"
                " DAPR_GRPC_PORT names none; `dapr run` and Kubernetes set it."
            )
        know_token(settings.dapr_api_token)
        port, stopping = settings.dapr_grpc_port, parts.stopping
        self._workflows = Workflows(port, parts.clock, settings.call_time)
        self._answers = WorkflowTurnRunner(chat, reader, bell, stopping, settings, self._workflows)
        self._worker = WorkflowWorker(port, Activities(parts, self._answers.follow))

    @property
    def answers(self) -> TurnRunner:
        """What answers `POST /chat/`."""
        return self._answers

    def start(self) -> None:
        """Begins to take steps; waits for nothing."""
        self._worker.start()

    async def drain(self) -> None:
        """Takes no step any more; those that run are done again elsewhere. Idempotent."""
        await self._worker.stop()

    async def stop(self) -> None:
        """Stops the worker, and follows no workflow any more. Idempotent."""
        await self.drain()
        await self._answers.stop()
        await self._workflows.stop()
