"""`/`, `/livez`, `/readyz` and the SDK's own two routes."""

import httpx2
from dapr.ext.fastapi import DaprActor
from fastapi import FastAPI

from agent_actors.doctor.actors import actor_types
from agent_actors.settings import Settings
from tests.conftest import Serve
from tests.fakes import FakeRuntime, QuickModel


async def test_the_root_greets(serve: Serve):
    """Programs get a greeting; browsers are redirected to the documentation."""
    async with serve() as served:
        greeting = await served.http.get("/")
        page = await served.http.get("/", headers={"accept": "text/html,*/*"})

        assert greeting.json()["message"].startswith("Welcome")
        assert (page.status_code, page.headers["location"]) == (307, "/docs")


async def test_alive_asks_nothing(serve: Serve):
    """`/livez` is 200 even if the runtime is unavailable."""
    runtime = FakeRuntime()
    runtime.reason = "away"
    async with serve(runtime=runtime) as served:
        assert (await served.http.get("/livez")).json() == {"status": "ok"}


async def test_ready_means_that_actors_can_be_called(serve: Serve):
    """If actors cannot be called, the answer is 503 with the reason."""
    runtime = FakeRuntime()
    async with serve(runtime=runtime, model=QuickModel()) as served:
        assert (await served.http.get("/readyz")).status_code == 200

        runtime.reason = "The sidecar is away."
        answer = await served.http.get("/readyz")

        assert answer.status_code == 503
        assert answer.json()["detail"] == "The sidecar is away."


class Unready(QuickModel):
    """One that waits for its key."""

    def unready(self) -> str | None:
        return "The model waits for its key."


async def test_ready_means_that_the_model_can_answer(serve: Serve):
    """If the model cannot answer, the answer is 503 with the reason."""
    async with serve(model=Unready()) as served:
        answer = await served.http.get("/readyz")

        assert answer.status_code == 503
        assert answer.json()["detail"] == "The model waits for its key."


async def test_the_configuration_lists_the_actors(serve: Serve):
    """The configuration has the actor types, with the times of the settings."""
    async with serve(idle_timeout=90) as served:
        config = (await served.http.get("/dapr/config")).json()

        assert sorted(config["entities"]) == sorted(actor_types(Settings(), dapr=False))
        assert config["actorIdleTimeout"] == "0h1m30s0ms0μs"
        assert config["drainRebalancedActors"] is True


async def test_the_sdk_answers_the_same(serve: Serve):
    """`/healthz` and `/dapr/config` are what `DaprActor` itself would serve."""
    sdk = FastAPI()
    DaprActor(sdk)
    transport = httpx2.ASGITransport(app=sdk)
    async with (
        serve() as served,
        httpx2.AsyncClient(transport=transport, base_url="http://sdk") as other,
    ):
        for path in ("/healthz", "/dapr/config"):
            assert (await served.http.get(path)).json() == (await other.get(path)).json()


async def test_a_broken_body_is_explained_in_words(serve: Serve):
    """Typical mistakes of a first request: no content type, no JSON, an id with a space."""
    async with serve() as served:
        plain = await served.http.post("/chat/ada", content=b'{"role":"user","content":"x"}')
        broken = await served.http.post(
            "/chat/ada", content=b"{", headers={"content-type": "application/json"}
        )
        named = await served.http.get("/memory/a b")

        assert "Content-Type: application/json" in plain.json()["detail"]
        assert "not JSON at character 1" in broken.json()["detail"]
        assert "letters, digits" in named.json()["detail"]
