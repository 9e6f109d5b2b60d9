"""The API keeps what its OpenAPI document says, whatever it is sent (schemathesis)."""

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from agent_actors.app import create_app
from agent_actors.settings import Settings
from tests.e2e.service import Service
from tests.fakes import FakeRuntime

EXAMPLES = min(60, int(os.environ.get("FUZZ_EXAMPLES", "15")))
"""Requests of each operation and mode."""
TOKEN = "the token of this test"
KEPT: list[Any] = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
DOCUMENT = create_app(Settings(data=Path("not made")), runtime=FakeRuntime()).openapi()
OPERATIONS = [(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods]
LOOSE = {
    "/",
    "/dapr/config",
    "/healthz",
    "/info",
    "/livez",
    "/metrics",
    "/readyz",
    "/subscribe",
    "/subscribe/dead",
    "/conversations",
    "/conversations/dead",
    "/messages",
    "/messages/dead",
    "/receive-message",
    "/events/dead/{letter_id}/requeue",
}
"""Paths without input, or where any text will do: nothing can be of another form."""
REQUESTS = [
    *((*each, GenerationMode.POSITIVE) for each in OPERATIONS),
    *((*each, GenerationMode.NEGATIVE) for each in OPERATIONS if each[1] not in LOOSE),
]

careful = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running service."""
    service = Service(tmp_path_factory.mktemp("openapi"), token=TOKEN)

    async def start() -> None:
        await service.start()
        await service.http.aclose()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, start()).result()
    try:
        yield service.url
    finally:
        service.kill()


def cases(method: str, path: str, mode: GenerationMode) -> Any:
    """Requests of one operation: such as the document allows, or such as it does not."""
    return schemathesis.openapi.from_dict(DOCUMENT)[path][method].as_strategy(mode)


def test_the_service_serves_the_document(url: str):
    """What is checked here is what the service says of itself."""
    served = httpx2.get(f"{url}/openapi.json", trust_env=False).json()

    assert served == DOCUMENT
    assert len(OPERATIONS) >= 35


@pytest.mark.deep
@pytest.mark.parametrize(("method", "path", "mode"), REQUESTS)
def test_every_answer_is_described(url: str, method: str, path: str, mode: GenerationMode):
    """No 5xx, and each status, media type, header and body is one that the document has."""

    @careful
    @given(case=cases(method, path, mode))
    def keeps(case: "Case[Any]") -> None:
        case.call_and_validate(url, checks=KEPT, headers={"dapr-api-token": TOKEN})

    keeps()
