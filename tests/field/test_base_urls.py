"""Base URLs that send a conversation elsewhere than it seems. Tried by hand."""

import httpx2
import pytest

from agent_actors.clock import SystemClock
from agent_actors.errors import StartupError
from agent_actors.model.endpoint import EndpointFinder
from tests.hand_clock import HandClock
from tests.unit.model.agents_sdk.asking import failing
from tests.unit.model.agents_sdk.conftest import Ready
from tests.unit.model.agents_sdk.vendor import Vendor, settings


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(
    ready: Ready, vendor: Vendor, clock: HandClock, status: int, streams: bool
):
    """Neither to another host nor to the same one: the setting is what must change."""
    model = await ready(model_stream=streams)
    for location in ("http://elsewhere.test/v1/chat/completions", "/v1/models"):
        vendor.will(httpx2.Response(status, headers={"location": location}))
        failed = await failing(model, clock)
        assert (failed.status, failed.retry) == (502, "no")
        assert "AGENT_ACTORS_MODEL_BASE_URL" in failed.detail

    assert {request.url.host for request in vendor.requests} == {"vendor.test"}
    assert len(vendor.requests) == 2


@pytest.mark.parametrize(
    "url",
    [
        "http://vendor.test/v1?key=x",
        "http://vendor.test/v1?",
        "http://vendor.test/v1#top",
        "http://vendor.test/my models/v1",
    ],
)
def test_what_a_path_cannot_follow_is_refused_at_the_start(url: str):
    """In one line that names the setting, and not the URL, which may have a secret."""
    with pytest.raises(StartupError, match="AGENT_ACTORS_MODEL_BASE_URL") as caught:
        EndpointFinder(settings(model="small", model_base_url=url), SystemClock(), None)

    assert "\n" not in str(caught.value)
    assert "vendor.test" not in str(caught.value)


def test_a_user_is_allowed():
    """Some servers are behind a proxy that wants one."""
    url = "http://me:secret@vendor.test/v1"
    found = EndpointFinder(settings(model="small", model_base_url=url), SystemClock(), None)

    assert (endpoint := found.from_environment()) is not None
    assert "secret" not in str(endpoint.describe())
