"""Either half comes, goes and comes back; the service says so, and nothing is lost or doubled."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from agent_actors.engine.child import Child, environment
from agent_actors.engine.ports import free_port, status
from tests.dapr.engine import SERVE, Engine
from tests.e2e.dapr import DaprService
from tests.e2e.service import clock, eventually

SETTINGS: dict[str, Any] = {"model": "scripted", "parking_time": 0.3, "recovery_period": 1}
DEADLINE = 60.0


@pytest.fixture
async def service(engine: Engine, tmp_path: Path) -> AsyncIterator[DaprService]:
    """A replica that is not started."""
    service = DaprService(engine, tmp_path, **SETTINGS)
    yield service
    await service.close()


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Prints how long the block took; `pytest -rP` shows it."""
    begun = clock.monotonic()
    yield
    print(f"{what}: {clock.monotonic() - begun:.2f} s")  # noqa: T201 - The point of it.


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
    reasons: list[str] = []

    async def unready() -> bool:
        answered = await answer(service, "/readyz")
        if answered is not None and answered.status_code == 503:
            reasons.append(answered.json()["detail"])
        return bool(reasons)

    await eventually(unready, "it is not ready")
    return reasons[0]


async def said(service: DaprService, user: str = "ada") -> list[str]:
    """What the user said, once memory agrees with the history, which agrees with the count."""
    history = await service.history(user)
    mine = [entry["content"] for entry in history[::2]]
    await service.remembered(user, mine[-1])

    assert await service.memory(user) == history[-3:]
    assert await service.count(user) == len(mine)
    return mine


async def test_an_app_that_comes_first_waits_for_its_sidecar(service: DaprService):
    """It lives at once, says why it is not ready, loses no message, and becomes ready by itself."""
    service.replica.app.start()
    with timed("app alive"):
        await eventually(lambda: alive(service), "the app lives")
    ready = await answer(service, "/readyz")

    assert ready is not None
    assert ready.status_code == 503
    assert "sidecar" in ready.json()["detail"]

    refused = await service.say("ada", "one", key="1")

    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert refused.json()["retry"] == "same-key"

    waiting = asyncio.create_task(service.say("ada", "two", key="2"))
    service.replica.sidecar.start()
    with timed("ready after the start of the sidecar"):
        await service.ready()
    second = await waiting
    first = await service.say("ada", "one", key="1")
    again = await service.say("ada", "two", key="2")

    assert second.status_code in {200, 503}, second.text
    assert (first.status_code, again.status_code) == (200, 200)
    assert sorted(await said(service)) == ["one", "two"]
    assert service.logged().count("the sidecar is away") == 1


async def test_a_sidecar_that_comes_first_waits_for_its_app(service: DaprService):
    """It serves nobody until the app is there; then both do."""
    service.replica.sidecar.start()
    service.replica.sidecar.wait_outbound()

    assert status(service.replica.sidecar.http_port, "/v1.0/healthz") != 204

    service.replica.app.start()
    with timed("ready after the start of the app"):
        await service.ready()

    assert "Got your message: hi at" in await service.reply("ada", "hi")
    assert "the sidecar is away" not in service.logged()


async def test_a_sidecar_that_is_killed_comes_back(service: DaprService):
    """Whatever was going on: it goes on, and each turn is there once."""
    await service.start()
    await service.reply("ada", "one")
    accepted = await service.say("ada", "/slow 1 two", key="2", prefer="respond-async")

    assert accepted.status_code == 202

    service.replica.sidecar.kill()
    reason = await why_not(service)
    waiting = asyncio.create_task(service.say("ada", "three", key="3"))
    await clock.sleep(1.5)  # The model is done while nobody can be told.
    service.replica.sidecar.start()
    with timed("ready after the start of a killed sidecar"):
        await service.ready()
    await waiting
    third = await service.say("ada", "three", key="3")

    assert "sidecar" in reason
    assert third.status_code == 200, third.text

    await service.reply("ada", "four")

    assert await said(service) == ["one", "/slow 1 two", "three", "four"]


async def test_a_sidecar_that_is_killed_again_and_again(service: DaprService):
    """Ten messages with keys, sent until they are answered, while the sidecar dies three times."""
    await service.start()

    async def talk() -> None:
        for number in range(10):

            async def answered(number: int = number) -> bool:
                told = await service.say("ada", f"m{number}", key=str(number))
                return told.status_code == 200

            await eventually(answered, f"m{number} is answered", 60.0)
            await clock.sleep(0.1)

    talking = asyncio.create_task(talk())
    for _ in range(3):
        await clock.sleep(0.3)
        service.replica.sidecar.kill()
        await clock.sleep(0.2)
        service.replica.sidecar.start()
        with timed("ready after the start of a killed sidecar"):
            await service.ready()
    await talking

    assert await said(service) == [f"m{number}" for number in range(10)]


async def test_an_app_that_is_killed_comes_back(service: DaprService):
    """The sidecar goes on; a parked turn ends by itself, once."""
    await service.start()
    await service.reply("ada", "one")
    accepted = await service.say("ada", "/slow 1 two", prefer="respond-async")

    assert accepted.status_code == 202

    service.replica.app.kill()

    assert await answer(service, "/livez") is None

    service.replica.app.start()
    with timed("ready after the start of a killed app"):
        await service.ready()
    await service.reply("ada", "three")

    async def ended() -> bool:
        return await service.count("ada") == 3

    await eventually(ended, "the parked turn has ended")

    assert await said(service) == ["one", "/slow 1 two", "three"]


async def test_a_retry_after_a_kill_does_not_wait_for_the_reminder(engine: Engine, tmp_path: Path):
    """Whoever asks again sets the turn going, and so does who says the next thing."""
    service = DaprService(engine, tmp_path, **(SETTINGS | {"recovery_period": 3600}))
    try:
        await service.start()
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
    finally:
        await service.close()


async def test_placement_that_stops_comes_back(engine: Engine, service: DaprService):
    """Without placement the service is not ready and says so; with it, it is again."""
    await service.start()
    await service.reply("ada", "one")
    engine.plane.placement.stop()
    try:
        reason = await why_not(service)
    finally:
        engine.plane.placement.start()
    with timed("ready after the start of placement"):
        await service.ready()

    assert "placement" in reason
    assert "Got your message: two at" in await service.reply("ada", "two")
    assert await said(service) == ["one", "two"]


async def test_a_stop_lets_a_parked_turn_end(service: DaprService):
    """Its caller is answered, others are refused, and the exit code is 0."""
    await service.start()
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
    service = DaprService(engine, tmp_path, **SETTINGS, drain=1)
    try:
        await service.start()
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
    finally:
        await service.close()


async def test_a_pod_that_stops(service: DaprService):
    """App and sidecar are told at once: whoever waits is told, and the turn is done later, once."""
    await service.start()
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


async def test_a_stop_without_a_sidecar(service: DaprService):
    """An app that is still waiting for its sidecar stops when it is told to."""
    service.replica.app.start()
    await eventually(lambda: alive(service), "the app lives")
    asked = asyncio.create_task(service.say("ada", "hi", key="k"))
    await clock.sleep(0.5)
    begun = clock.monotonic()
    service.send(signal.SIGTERM)
    told = await asked

    assert told.status_code == 503
    assert await service.ended() == 0
    assert clock.monotonic() - begun < 12.0
    assert "Traceback" not in service.logged()


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({}, id="missing"),
        pytest.param({"APP_API_TOKEN": ""}, id="empty"),
    ],
)
def test_a_token_can_be_required(given: dict[str, str]):
    """Without one, or with an empty one, the command refuses: one line, exit code 2."""
    given = given | {"AGENT_ACTORS_REQUIRE_TOKEN": "1", "DAPR_HTTP_PORT": str(free_port())}
    process = subprocess.Popen(
        [*SERVE, "--port", str(free_port())],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**given),
    )
    try:
        _, told = process.communicate(timeout=DEADLINE)
    finally:
        process.kill()
        process.communicate()

    assert process.returncode == 2
    assert len(told.strip().splitlines()) == 1
    assert "APP_API_TOKEN" in told


def test_a_missing_token_is_told_once(tmp_path: Path):
    """Where none is required, one warning says what it means."""
    port = free_port()
    app = Child(
        [*SERVE, "--port", str(port)],
        log=tmp_path / "log",
        env=environment(DAPR_HTTP_PORT=str(free_port())),
    )
    try:
        app.start()
        app.wait_until(lambda: status(port, "/livez") == 200, DEADLINE)
        warnings = [line for line in app.log.read_text().splitlines() if "APP_API_TOKEN" in line]
    finally:
        app.kill()

    assert len(warnings) == 1
    assert " WARNING " in warnings[0]
