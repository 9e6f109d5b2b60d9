"""Either half comes, goes and comes back; the service says so, and nothing is lost or doubled."""

import asyncio
import signal
from pathlib import Path

import httpx2

from agent_actors.engine.ports import status
from tests.dapr.conftest import SETTINGS
from tests.dapr.engine import Engine
from tests.e2e.dapr import DaprService, running_on_dapr
from tests.e2e.service import clock, eventually


async def answer(service: DaprService, path: str) -> httpx2.Response | None:
    """What a route answers; None where nobody listens."""
    try:
        return await service.http.get(path)
    except httpx2.TransportError:
        return None


async def alive(service: DaprService) -> bool:
    answered = await answer(service, "/livez")
    return answered is not None and answered.status_code == 200


async def why_not(service: DaprService) -> str:
    """Waits until the service is not ready, and returns its reason."""

    async def unready() -> str | None:
        answered = await answer(service, "/readyz")
        if answered is None or answered.status_code != 503:
            return None
        reason: str = answered.json()["detail"]
        return reason

    return str(await eventually(unready, "it is not ready"))


async def said(service: DaprService, user: str = "ada") -> list[str]:
    """What the user said, once memory agrees with the history, which agrees with the count."""
    history = await service.history(user)
    mine = [entry["content"] for entry in history[::2]]
    await service.remembered(user, mine[-1])

    assert await service.memory(user) == history[-3:]
    assert await service.count(user) == len(mine)
    return mine


async def test_an_app_that_comes_first_waits_for_its_sidecar(stopped: DaprService):
    """It lives at once, says why it is not ready, loses no message, and becomes ready by itself."""
    stopped.replica.app.start()
    await eventually(lambda: alive(stopped), "the app lives")
    ready = await answer(stopped, "/readyz")

    assert ready is not None
    assert ready.status_code == 503
    assert "sidecar" in ready.json()["detail"]

    refused = await stopped.say("ada", "one", key="1")

    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert refused.json()["retry"] == "same-key"

    waiting = asyncio.create_task(stopped.say("ada", "two", key="2"))
    stopped.replica.sidecar.start()
    await stopped.ready()
    second = await waiting
    first = await stopped.say("ada", "one", key="1")
    again = await stopped.say("ada", "two", key="2")

    assert second.status_code in {200, 503}, second.text
    assert (first.status_code, again.status_code) == (200, 200)
    assert sorted(await said(stopped)) == ["one", "two"]
    assert stopped.logged().count("the sidecar is unavailable") == 1


async def test_a_sidecar_that_comes_first_waits_for_its_app(stopped: DaprService):
    """It serves nobody until the app is there; then both do."""
    stopped.replica.sidecar.start()
    stopped.replica.sidecar.wait_outbound()

    assert status(stopped.replica.sidecar.http_port, "/v1.0/healthz") != 204

    stopped.replica.app.start()
    await stopped.ready()

    assert "Got your message: hi at" in await stopped.reply("ada", "hi")
    assert "the sidecar is unavailable" not in stopped.logged()


async def test_a_sidecar_that_is_killed_comes_back(service: DaprService):
    """Whatever was going on: it goes on, and each turn is there once."""
    await service.reply("ada", "one")
    accepted = await service.say("ada", "/slow 1 two", key="2", prefer="respond-async")

    assert accepted.status_code == 202

    service.replica.sidecar.kill()
    reason = await why_not(service)
    waiting = asyncio.create_task(service.say("ada", "three", key="3"))
    await clock.sleep(1.5)  # The model is done while nobody can be told.
    service.replica.sidecar.start()
    await service.ready()
    await waiting
    third = await service.say("ada", "three", key="3")

    assert "sidecar" in reason
    assert third.status_code == 200, third.text

    await service.reply("ada", "four")

    assert await said(service) == ["one", "/slow 1 two", "three", "four"]


async def test_a_retry_after_a_kill_does_not_wait_for_the_reminder(engine: Engine, tmp_path: Path):
    """Whoever asks again sets the turn going, and so does who says the next thing."""
    async with running_on_dapr(
        engine, tmp_path, **(SETTINGS | {"recovery_period": 3600})
    ) as service:
        for user in ("ada", "bob"):
            await service.say(user, "/slow 1 one", key="1", prefer="respond-async")
        service.replica.app.kill()
        service.replica.app.start()
        await service.ready()
        again = await service.say("ada", "/slow 1 one", key="1")
        second = await service.say("bob", "two", key="2")

        assert (again.status_code, second.status_code) == (200, 200)
        assert await said(service) == ["/slow 1 one"]
        assert await said(service, "bob") == ["/slow 1 one", "two"]


async def test_placement_that_stops_comes_back(engine: Engine, service: DaprService):
    """Without placement the service is not ready and says so; with it, it is again."""
    await service.reply("ada", "one")
    engine.plane.placement.stop()
    try:
        reason = await why_not(service)
    finally:
        engine.plane.placement.start()
    await service.ready()

    assert "placement" in reason
    assert "Got your message: two at" in await service.reply("ada", "two")
    assert await said(service) == ["one", "two"]


async def test_a_stop_lets_a_parked_turn_end(service: DaprService):
    """Its caller is answered, others are refused, and the exit code is 0."""
    asked = asyncio.create_task(service.say("ada", "/slow 3 hi"))
    await service.parked("/slow 3 hi")
    begun = clock.monotonic()
    service.send(signal.SIGTERM)
    await clock.sleep(0.5)
    ready = await answer(service, "/readyz")
    late = await service.say("ada", "too late", key="late")
    done = await asked

    assert done.status_code == 200, done.text
    assert clock.monotonic() - begun < 7.0
    assert ready is None or ready.status_code == 503
    assert late.status_code == 503
    assert late.headers["retry-after"]
    assert await service.ended() == 0
    assert "Traceback" not in service.logged()

    await service.start()
    again = await service.say("ada", "too late", key="late")

    assert again.status_code == 200
    assert await said(service) == ["/slow 3 hi", "too late"]


async def test_a_stop_does_not_wait_for_ever(engine: Engine, tmp_path: Path):
    """A turn longer than the drain time is told where it is, and done after the restart, once."""
    async with running_on_dapr(engine, tmp_path, **SETTINGS, drain=1) as service:
        asked = asyncio.create_task(service.say("ada", "/slow 4 hi", key="k"))
        await service.parked("/slow 4 hi")
        begun = clock.monotonic()
        service.send(signal.SIGTERM)
        told = await asked

        assert told.status_code in {202, 503}, told.text
        assert await service.ended() == 0
        assert clock.monotonic() - begun < 6.0
        assert "Traceback" not in service.logged()

        await service.start()
        again = await service.say("ada", "/slow 4 hi", key="k")

        assert again.status_code == 200, again.text
        assert await said(service) == ["/slow 4 hi"]


async def test_a_pod_that_stops(service: DaprService):
    """App and sidecar are told at once: whoever waits is told, and the turn is done later, once."""
    asked = asyncio.create_task(service.say("ada", "/slow 2 hi", key="k"))
    await service.parked("/slow 2 hi")
    begun = clock.monotonic()
    service.send(signal.SIGTERM)
    service.replica.sidecar.stop()
    told = await asked

    assert told.status_code in {200, 202, 503}, told.text
    assert await service.ended() == 0
    assert clock.monotonic() - begun < 14.0
    assert "Traceback" not in service.logged()

    await service.start()
    again = await service.say("ada", "/slow 2 hi", key="k")

    assert again.status_code == 200, again.text
    assert await said(service) == ["/slow 2 hi"]


async def test_a_stop_without_a_sidecar(stopped: DaprService):
    """An app that is still waiting for its sidecar stops when it is told to."""
    stopped.replica.app.start()
    await eventually(lambda: alive(stopped), "the app lives")
    asked = asyncio.create_task(stopped.say("ada", "hi", key="k"))
    await clock.sleep(0.5)
    begun = clock.monotonic()
    stopped.send(signal.SIGTERM)
    told = await asked

    assert told.status_code == 503
    assert await stopped.ended() == 0
    assert clock.monotonic() - begun < 12.0
    assert "Traceback" not in stopped.logged()
