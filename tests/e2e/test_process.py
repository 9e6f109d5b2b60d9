"""The command as a process: how it stops, how it starts again, and what a crash leaves."""

import asyncio
import signal
from pathlib import Path

import pytest

from agent_actors.engine.ports import free_port
from tests.e2e.conftest import Launch
from tests.e2e.service import AnyService, Service, becomes, clock, command


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_lets_running_turns_finish(service: AnyService, number: signal.Signals):
    """The caller gets its answer, the exit code is 0, and the turn is there after a restart."""
    asked = asyncio.create_task(service.say("ada", "/slow 1.5 hi"))
    await service.parked("/slow 1.5 hi")
    service.send(number)
    answer = await asked

    assert answer.status_code == 200, answer.text
    assert await service.ended() == 0

    await service.start()

    assert [entry["content"] for entry in await service.history("ada")][::2] == ["/slow 1.5 hi"]
    assert await service.count("ada") == 1


async def test_a_stop_ends_within_the_drain_time(launch: Launch, tmp_path: Path):
    """A model that hangs holds nothing up, and its turn is still accepted after the restart."""
    async with launch(tmp_path, model="scripted", parking_time=0.2, drain=1) as service:
        accepted = await service.say("ada", "/hang", prefer="wait=1")
        before = clock.monotonic()
        service.send(signal.SIGTERM)

        assert await service.ended() == 0
        assert clock.monotonic() - before < 8.0
        assert "Traceback" not in service.logged()

        await service.start()
        state = await service.http.get(accepted.headers["location"])

        assert state.json()["status"] == "running"


async def test_a_stop_at_rest_is_quick(service: AnyService):
    """Nothing to wait for: it ends at once."""
    await service.reply("ada", "hi")
    before = clock.monotonic()
    service.send(signal.SIGTERM)

    assert await service.ended() == 0
    assert clock.monotonic() - before < 4.0


async def test_a_second_process_is_refused(local: Service):
    """One data folder, one process: one line, exit code 2, and the first goes on."""
    arguments = ("dev", "--port", str(free_port()), "--data", str(local.data))
    done = await asyncio.to_thread(command, *arguments)

    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert "Got your message" in await local.reply("ada", "hi")


async def test_a_key_counts_once(service: AnyService):
    """The same answer for the same key, also when both come at once, and after a restart."""
    answers = await asyncio.gather(*(service.say("ada", "hi", key="k") for _ in range(5)))
    service.kill()
    await service.start()
    again = await service.say("ada", "hi", key="k")
    other = await service.say("ada", "ho", key="k")

    assert {answer.text for answer in [*answers, again]} == {again.text}
    assert (again.status_code, other.status_code) == (200, 422)
    assert await service.count("ada") == 1


async def test_a_turn_survives_its_process(service: AnyService):
    """Killed in the middle of a parked turn, it ends after the restart without being asked."""
    accepted = await service.say("ada", "/slow 3 hi", prefer="wait=1", key="k")
    queued = await service.say("ada", "after it", prefer="respond-async", key="l")
    assert (accepted.status_code, queued.status_code) == (202, 202)
    service.kill()
    await service.start()
    await becomes(lambda: service.count("ada"), 2)
    history = await service.history("ada")

    assert [entry["content"] for entry in history[::2]] == ["/slow 3 hi", "after it"]
    again = await service.say("ada", "/slow 3 hi", key="k")
    assert again.json()["response"] == history[1]
    await service.remembered("ada", "after it")
    await becomes(lambda: service.unsettled("ada"), False, 10.0)


async def test_an_event_survives_its_process(service: AnyService):
    """Killed right after the answer, memory still gets what was said."""
    await service.reply("ada", "hi")
    service.kill()
    await service.start()

    await service.remembered("ada", "hi")

    assert await service.memory("ada") == await service.history("ada")


@pytest.mark.parametrize(
    ("name", "settings"),
    [("full", {"synchronous": "FULL"}), ("echo", {"model": "echo"})],
)
async def test_settings_come_from_the_environment(
    launch: Launch, tmp_path: Path, name: str, settings: dict[str, str]
):
    """The command starts with each, and answers."""
    async with launch(tmp_path / name, **settings) as service:
        assert "Got your message: hi at" in await service.reply("ada", "hi")


async def test_a_caller_that_leaves_does_not_cut_its_turn(service: AnyService):
    """Its turn ends and is in the history."""
    asked = asyncio.create_task(service.say("ada", "/slow 1 hi"))
    await service.parked("/slow 1 hi")
    asked.cancel()
    await asyncio.wait({asked})
    await service.remembered("ada", "/slow 1 hi")

    assert await service.count("ada") == 1
