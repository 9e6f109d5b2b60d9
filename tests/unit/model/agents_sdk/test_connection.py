"""Calls of a model's server: what is sent again, and what a failure is called."""

import asyncio

import httpx2
import pytest

from agent_actors.errors import ModelError, ModelFailed, ModelTimedOut
from agent_actors.model.agents_sdk import connection
from agent_actors.model.endpoint import Endpoint
from agent_actors.protocol.messages import Usage
from tests.fakes import eventually
from tests.hand_clock import HandClock
from tests.unit.model.agents_sdk.asking import both, failing, in_time
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import (
    HERE,
    Vendor,
    a_prompt,
    answer,
    calling,
    error,
    streamed,
    tool_call,
)

TIME = tool_call("get_current_time")


@both
@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_call_that_was_not_taken_is_sent_again(
    ready: Ready, vendor: Vendor, clock: HandClock, status: int, stream: bool
):
    """The same call is sent up to the number of retries, and its answer is the turn's."""
    vendor.will(error(status), error(status), streamed("hello") if stream else answer("hello"))
    model = await ready(model_retries=2, model_stream=stream)

    assert (await in_time(model.reply(a_prompt()), clock)).content == "hello"
    assert vendor.bodies[0] == vendor.bodies[1] == vendor.bodies[2]


async def test_a_call_is_sent_again_after_a_pause(ready: Ready, vendor: Vendor, clock: HandClock):
    """At most half a second before the second attempt, one before the third; never at once."""
    vendor.will(error(503), error(503), answer())
    model = await ready(model_retries=2)
    asked = asyncio.create_task(model.reply(a_prompt()))
    await eventually(lambda: clock.waiting)
    await clock.advance(connection.FIRST_PAUSE / 2 - 0.01)

    assert len(vendor.requests) == 1

    await clock.advance(connection.FIRST_PAUSE / 2 + 0.01)

    assert len(vendor.requests) == 2

    await clock.advance(connection.FIRST_PAUSE * 2)

    assert len(vendor.requests) == 3
    await asked


@pytest.mark.parametrize("value", ["7", "Thu, 01 Jan 2026 00:00:07 GMT"])
async def test_a_server_says_when_to_come_back(
    ready: Ready, vendor: Vendor, clock: HandClock, value: str
):
    """The call is not repeated before the seconds or the date in `Retry-After`."""
    vendor.will(error(429, retry_after=value), answer())
    model = await ready()
    asked = asyncio.create_task(model.reply(a_prompt()))
    await eventually(lambda: clock.waiting)
    await clock.advance(6.9)

    assert len(vendor.requests) == 1

    await clock.advance(0.1)
    await asked

    assert len(vendor.requests) == 2


async def test_a_long_wait_is_left_to_the_caller(ready: Ready, vendor: Vendor, clock: HandClock):
    """If a server asks for more than half a minute, the caller gets the error."""
    vendor.will(error(429, retry_after="3600"))
    failed = await failing(await ready(), clock)

    assert (type(failed), failed.retry_after) == (ModelFailed, 3600)
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("value", ["soon", "nan", "inf", "-1"])
async def test_a_senseless_wait_is_no_wait(
    ready: Ready, vendor: Vendor, clock: HandClock, value: str
):
    """A value that is neither seconds nor a date is ignored."""
    vendor.will(error(429, retry_after=value))
    failed = await failing(await ready(model_retries=0), clock)

    assert failed.retry_after is None


async def test_the_last_failure_is_the_turns(ready: Ready, vendor: Vendor, clock: HandClock):
    """If all attempts fail, the caller gets the error and the server's `Retry-After`."""
    vendor.will(error(500), error(429, retry_after="9"))
    failed = await failing(await ready(model_retries=1), clock)

    assert (type(failed), failed.retry_after) == (ModelFailed, 9)
    assert len(vendor.requests) == 2


@pytest.mark.parametrize(
    ("refusal", "named"),
    [
        (error(401), "AGENT_ACTORS_MODEL_API_KEY"),
        (error(403), "AGENT_ACTORS_MODEL_API_KEY"),
        (error(400, said="reason: API_KEY_INVALID"), "AGENT_ACTORS_MODEL_API_KEY"),
        (error(404), "AGENT_ACTORS_MODEL"),
        (error(403, "model_not_found"), "AGENT_ACTORS_MODEL"),
        (error(400), "400"),
        (error(422), "422"),
        (error(504), "504"),
        (error(400, "context_length_exceeded"), "AGENT_ACTORS_WINDOW_TOKENS"),
        (error(400, "content_filter"), "refused"),
        (error(429, "insufficient_quota"), "AGENT_ACTORS_MODEL_API_KEY"),
    ],
)
async def test_a_call_that_is_refused_is_not_sent_again(
    ready: Ready, vendor: Vendor, clock: HandClock, refusal: httpx2.Response, named: str
):
    """The caller's error names the setting to check."""
    vendor.will(refusal)
    failed = await failing(await ready(), clock)

    assert isinstance(failed, ModelFailed)
    assert named in failed.detail.rstrip(".").split() or f"({named})" in failed.detail
    assert len(vendor.requests) == 1


@both
@pytest.mark.parametrize("lost", [httpx2.ConnectError("no"), httpx2.ConnectTimeout("no")])
async def test_a_connection_that_is_never_made_is_tried_again(
    ready: Ready, vendor: Vendor, clock: HandClock, lost: Exception, stream: bool
):
    """Nothing was sent, so nothing was charged; the final error names the address."""
    vendor.will(lost, lost)
    failed = await failing(await ready(model_retries=1, model_stream=stream), clock)

    assert type(failed) is ModelFailed
    assert "AGENT_ACTORS_MODEL_BASE_URL" in failed.detail
    assert len(vendor.requests) == 2


@both
@pytest.mark.parametrize(
    ("lost", "kind"),
    [
        (httpx2.ReadError("no"), ModelFailed),
        (httpx2.RemoteProtocolError("no"), ModelFailed),
        (httpx2.ReadTimeout("no"), ModelTimedOut),
    ],
)
async def test_a_call_that_may_have_been_paid_for_is_not_sent_again(
    ready: Ready,
    vendor: Vendor,
    clock: HandClock,
    lost: Exception,
    kind: type[ModelError],
    stream: bool,
):
    """After the request was sent, nobody knows what the server has done."""
    vendor.will(lost)
    failed = await failing(await ready(model_stream=stream), clock)

    assert type(failed) is kind
    assert len(vendor.requests) == 1


class Store:
    """Has another key than the one that was refused."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def renew(self, refused: Endpoint) -> Endpoint | None:
        self.asked.append(refused.key.get_secret_value())
        return Endpoint("small", HERE.base_url, type(HERE.key)("new-key"), "the secret", "s")


async def test_a_refused_key_is_replaced_once(ready: Ready, vendor: Vendor):
    """If the store has another key, the call is repeated once with it, and later calls use it."""
    store = Store()
    vendor.will(error(401), answer(), answer())
    model = await ready(renew=store.renew, model_retries=0)
    await model.reply(a_prompt())
    await model.reply(a_prompt())

    assert vendor.keys == ["the-key", "new-key", "new-key"]
    assert store.asked == ["the-key"]


async def test_another_key_that_is_refused_too_is_a_failure(
    ready: Ready, vendor: Vendor, clock: HandClock
):
    """The store is read once per call."""
    store = Store()
    vendor.will(error(401), error(401))
    failed = await failing(await ready(renew=store.renew), clock)

    assert store.asked == ["the-key"]
    assert "the secret" in failed.detail


async def test_many_refused_calls_ask_the_store_once(ready: Ready, vendor: Vendor):
    """Later calls use the key that the first one has found."""

    def by_key(request: httpx2.Request) -> httpx2.Response:
        return answer() if "new-key" in request.headers["authorization"] else error(401)

    store = Store()
    vendor.will(*[by_key] * 6)
    model = await ready(renew=store.renew)
    await asyncio.gather(*(model.reply(a_prompt(turn_id=f"t{n}")) for n in range(3)))

    assert len(store.asked) == 1


async def test_only_the_call_that_failed_is_sent_again(
    ready: Ready, vendor: Vendor, clock: HandClock
):
    """A tool does not run again if the server fails after it."""
    vendor.will(calling(TIME), error(503), answer())
    reply = await in_time((await ready()).reply(a_prompt()), clock)

    assert reply.usage == Usage(6, 8)
    assert [body["messages"][-1]["role"] for body in vendor.bodies] == ["user", "tool", "tool"]


async def test_a_key_goes_only_where_it_belongs(
    ready: Ready, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
):
    """Variables of OpenAI's own library do not redirect it."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.test/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "another-key")
    vendor.will(answer())
    await (await ready()).reply(a_prompt())

    assert vendor.requests[0].url.host == "vendor.test"
    assert vendor.keys == ["the-key"]


async def test_a_caller_who_leaves_ends_the_call(ready: Ready, vendor: Vendor, clock: HandClock):
    """A cancelled turn sends nothing more."""
    vendor.will(error(503), answer())
    asked = asyncio.create_task((await ready()).reply(a_prompt()))
    await eventually(lambda: clock.waiting)
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    await clock.advance(100)

    assert len(vendor.requests) == 1
