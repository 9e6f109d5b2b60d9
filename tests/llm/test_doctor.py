"""`agent-actors doctor` asks servers that we did not write for their models."""

from typing import Any

import httpx2
from llmock.pytest_plugin import LLMock

from agent_actors.clock import SystemClock
from agent_actors.doctor.finding import Finding
from agent_actors.doctor.model import ModelCheck
from agent_actors.doctor.seen import Seen
from agent_actors.engine.ports import free_port
from agent_actors.settings import Settings
from tests.llm.aimock import Aimock


async def no_secret(store: str, name: str) -> str | None:
    return None


async def ask(base_url: str, seen: Seen | None = None, **settings: Any) -> Finding:
    chosen = Settings(model_base_url=base_url, model_api_key="hush", **settings)
    async with httpx2.AsyncClient(timeout=5.0, trust_env=False) as http:
        check = ModelCheck(http, chosen, no_secret, seen or Seen(), SystemClock())
        (finding,) = await check.look()
    return finding


async def test_a_model_that_llmock_lists_is_ok(llmock: LLMock):
    """Its clock is compared, too; no call of the model is made, and nothing is paid."""
    seen = Seen()
    found = await ask(llmock.base_url(), seen, model="gpt-4o")

    assert found.status == "ok", found
    assert abs(seen.skews["the model's server"]) < 2
    assert not [each for each in llmock.requests if "completions" in each.path]


async def test_a_model_that_llmock_does_not_list_is_said(llmock: LLMock):
    """With some that it has."""
    found = await ask(llmock.base_url(), model="gpt-nowhere")

    assert found.status == "warn"
    assert "gpt-4o" in found.advice


async def test_aimock_is_asked_in_the_same_way(aimock: Aimock):
    """It lists models as others do."""
    assert (await ask(aimock.base_url, model="gpt-4o")).status == "ok"
    assert (await ask(aimock.base_url, model="gpt-nowhere")).status == "warn"


async def test_a_server_that_is_away_is_said():
    """Nobody listens there."""
    port = free_port()
    found = await ask(f"http://127.0.0.1:{port}/v1", model="small")

    said = f"127.0.0.1:{port} cannot be reached (nothing listens there)"
    assert (found.status, found.found) == ("FAIL", said)
