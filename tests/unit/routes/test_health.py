"""`/`, `/livez`, `/readyz` and the SDK's own two routes."""

from tests.conftest import Serve
from tests.fakes import FakeRuntime


async def test_the_root_greets(serve: Serve):
    """A greeting for programs, the documentation for browsers."""
    async with serve() as served:
        greeting = await served.http.get("/")
        page = await served.http.get("/", headers={"accept": "text/html,*/*"})

        assert greeting.json()["message"].startswith("Welcome")
        assert (page.status_code, page.headers["location"]) == (307, "/docs")


async def test_alive_asks_nothing(serve: Serve):
    """The process answers also where the runtime cannot."""
    runtime = FakeRuntime()
    runtime.reason = "away"
    async with serve(runtime=runtime) as served:
        assert (await served.http.get("/livez")).json() == {"status": "ok"}


async def test_ready_means_that_actors_can_be_called(serve: Serve):
    """Where they cannot, 503 says why."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime) as served:
        assert (await served.http.get("/readyz")).status_code == 200

        runtime.reason = "The sidecar is away."
        answer = await served.http.get("/readyz")

        assert answer.status_code == 503
        assert answer.json()["detail"] == "The sidecar is away."


async def test_the_sidecar_is_told_the_actors(serve: Serve):
    """Three types, with the times of the settings."""
    async with serve(idle_timeout=90) as served:
        config = (await served.http.get("/dapr/config")).json()

        assert sorted(config["entities"]) == ["ChatAgent", "MemoryAgentActor", "ResponseAgent"]
        assert config["actorIdleTimeout"] == "0h1m30s0ms0μs"
        assert config["drainRebalancedActors"] is True
