"""`agent-actors doctor` lists the models of servers by other projects."""

import httpx2
from llmock.pytest_plugin import LLMock

from agent_actors.doctor.finding import Context, Finding
from agent_actors.doctor.model import check_model
from agent_actors.settings import Settings
from tests.llm.aimock import Aimock
from tests.unit.doctor.conftest import context, only


async def no_secret(store: str, name: str) -> str | None:
    return None


def served(base_url: str, model: str) -> Context:
    return context(Settings(model_base_url=base_url, model_api_key="hush", model=model))


async def ask(given: Context) -> Finding:
    async with httpx2.AsyncClient(timeout=5.0, trust_env=False) as http:
        return only(await check_model(given, http, no_secret))


async def test_a_model_that_llmock_lists_is_ok(llmock: LLMock):
    """Its clock is compared, too; the model is not called, so nothing is charged."""
    given = served(llmock.base_url(), "gpt-4o")
    found = await ask(given)

    assert found.status == "ok", found
    assert abs(given.skews["the model's server"]) < 2
    assert not [each for each in llmock.requests if "completions" in each.path]


async def test_a_model_that_is_not_listed_is_named(llmock: LLMock, aimock: Aimock):
    """The finding names some that the server has."""
    found = [await ask(served(url, "gpt-nowhere")) for url in (llmock.base_url(), aimock.base_url)]

    assert [each.status for each in found] == ["warn", "warn"]
    assert "gpt-4o" in found[0].advice
