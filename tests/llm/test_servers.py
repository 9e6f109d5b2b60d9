"""What the tests here rest on and would not notice: script, journal, count and grades.

Whatever else the model servers do, a test of the service fails where they do not.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from llmock.pytest_plugin import LLMock

from agent_actors.clock import SystemClock
from tests.fakes import eventually
from tests.llm.aimock import Aimock

clock = SystemClock()


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=10.0, trust_env=False) as client:
        yield client


async def post(http: httpx2.AsyncClient, base_url: str, *said: str) -> httpx2.Response:
    """The answer to these messages of a user."""
    messages = [{"role": "user", "content": each} for each in said]
    body = {"model": "m", "messages": messages}
    return await http.post(f"{base_url}/chat/completions", json=body)


def content(answer: httpx2.Response) -> Any:
    return answer.json()["choices"][0]["message"]["content"]


async def test_the_script_decides_by_what_the_user_said_last(
    aimock: Aimock, http: httpx2.AsyncClient
):
    """The first line that matches answers, and the journal has the requests."""
    aimock.says("rain", "Take an umbrella.")
    aimock.says("", "Go out.")

    assert content(await post(http, aimock.base_url, "rain", "sun")) == "Go out."
    assert content(await post(http, aimock.base_url, "Will it rain?")) == "Take an umbrella."
    assert [call.said for call in aimock.journal()] == ["sun", "Will it rain?"]
    assert [call.said for call in aimock.journal("rain")] == ["Will it rain?"]
    assert aimock.journal()[0].roles == ["user", "user"]


async def test_a_request_that_no_line_fits_is_counted(aimock: Aimock, http: httpx2.AsyncClient):
    """The answer is 404, and the journal has that call, too; a reset forgets both."""
    answer = await post(http, aimock.base_url, "sun")

    assert answer.status_code == 404
    assert [call.status for call in aimock.journal()] == [404]
    assert aimock.begun() == 1
    aimock.reset()
    assert (aimock.journal(), aimock.begun()) == ([], 0)


async def test_a_caller_that_leaves_was_begun_and_is_in_no_journal(
    aimock: Aimock, http: httpx2.AsyncClient
):
    """A delay holds the answer back; a call counts when it begins."""
    aimock.says("", "Too late.", delay=20.0)
    with pytest.raises(TimeoutError):
        async with clock.timeout(0.2):
            await post(http, aimock.base_url, "hi")
    await eventually(lambda: aimock.begun() == 1)

    assert not aimock.journal()


async def test_llmock_grades_its_client(llmock: LLMock, http: httpx2.AsyncClient):
    """It reports a client that returns before its `Retry-After`."""
    llmock.rate_limit(retry_after=5)
    refused = await post(http, llmock.base_url(), "hi")
    await post(http, llmock.base_url(), "hi")

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
    assert [finding.code for finding in llmock.verdict().errors] == ["retry_after_ignored"]
    with pytest.raises(AssertionError, match="Retry-After"):
        llmock.assert_resilient()
