"""The sidecar's own retention of workflows."""

import asyncio
from pathlib import Path

import grpc  # type: ignore[import-untyped]
import httpx2
import pytest
from dapr.ext.workflow.aio import DaprWorkflowClient
from dapr.proto import api_service_v1, api_v1

from tests.dapr.engine import CONFIGURATION, Engine
from tests.e2e.dapr import DaprService
from tests.workflow.app import RELEASED
from tests.workflow.service import carried, erased, history, say, stand, workflows

POINT = "before.generate_reply"


async def terminated(service: DaprService) -> httpx2.Response:
    """The answer to a caller whose workflow an operator has terminated."""
    asked = asyncio.create_task(say(service, POINT, "hello", POINT, idempotency_key="k"))
    await stand(service, POINT)
    (turn_id,) = {key.split("||")[2] for key in workflows(service) if ".workflow||" in key}
    client = DaprWorkflowClient("127.0.0.1", str(service.replica.sidecar.grpc_port))
    await client.terminate_workflow(turn_id)
    return await asked


async def test_a_workflow_that_was_terminated(engine: Engine, tmp_path: Path):
    """Its turn has failed until the sidecar erases it by itself; sent again, it is answered."""
    shipped = CONFIGURATION.read_text(encoding="utf-8")
    config = tmp_path / "configuration.yaml"
    config.write_text(shipped.replace("anyTerminal: 5m", "anyTerminal: 2s"), encoding="utf-8")

    assert "anyTerminal: 2s" in config.read_text(encoding="utf-8")

    async with carried(engine, tmp_path / "cluster", config=config) as service:
        answer = await terminated(service)
        problem = answer.json()
        told = await service.http.get(f"/conversations/{POINT}/turns/{problem['turn_id']}")

        assert (answer.status_code, problem["retry"]) == (503, "same-key")
        assert (told.json()["status"], told.json()["error"]["status"]) == ("failed", 503)

        (service.cluster.folder / "replica-0" / RELEASED).touch()
        await erased(service)
        again = await say(service, POINT, "hello", POINT, idempotency_key="k")

        assert again.status_code == 200
        assert len(await history(service, POINT)) == 2


async def test_other_apis_are_not_there_by_grpc(engine: Engine, tmp_path: Path):
    """The gRPC port that workflows need gives no way to state or to invocation."""
    async with carried(engine, tmp_path) as service:
        address = f"127.0.0.1:{service.replica.sidecar.grpc_port}"
        async with grpc.aio.insecure_channel(address) as channel:
            stub = api_service_v1.DaprStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.GetState(api_v1.GetStateRequest(store_name="statestore", key="x"))

        assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED
