"""What the real command logs for machines: every line, also in failures."""

import json
import signal
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.service import Service, eventually, running

SECRET = "secretword"
FIELDS = {
    "time",
    "level",
    "logger",
    "message",
    "actor_type",
    "actor_id",
    "turn_id",
    "trace_id",
    "exception",
}
HEARD = {"specversion": "1.0", "id": "x", "data": {"said": SECRET}}


def lines(service: Service) -> list[dict[str, Any]]:
    """What both of its outputs have, each line of which is an object."""
    return [json.loads(line) for line in service.logged().splitlines()]


async def trouble(service: Service) -> None:
    """Failures of each kind, each with a word that may not be told."""
    for order in ("/break", "/fail", "/hang", "/slow 0.5"):
        await service.say(f"user-{order[1:5]}", f"{order} {SECRET}", prefer="wait=3")
    await service.http.post("/chat/ada", content=b'{"role":"user","content":"' + SECRET.encode())
    await service.http.post("/chat/ada", json={"role": SECRET, "content": SECRET})
    token = {"dapr-api-token": "token"}
    for path in ("/subscribe", "/subscribe/dead", "/messages", "/conversations"):
        await service.http.post(path, json=HEARD, headers=token)
    record = {"actor_id": "ada", "message": {"role": SECRET, "content": SECRET}}
    await service.http.post("/receive-message", json=record, headers=token)
    await service.http.get(f"/{SECRET}")


@pytest.mark.timeout(90)
async def test_every_line_is_an_object_without_a_word_of_a_message(tmp_path: Path):
    """From the start over failures to the stop; ids are there, and what was said is not."""
    settings = {"model": "scripted", "model_time": 1, "parking_time": 0.2, "wait_time": 20}
    async with running(tmp_path, token="token", log_format="json", **settings) as service:
        await trouble(service)
        service.send(signal.SIGTERM)
        assert await service.ended() == 0
        told = lines(service)

    assert SECRET not in service.logged()
    assert {name for line in told for name in line} <= FIELDS
    assert all(datetime.fromisoformat(line["time"]).tzinfo for line in told)
    assert any(line["message"].startswith("serving on 127.0.0.1") for line in told)
    (broke,) = [line for line in told if "RuntimeError" in line["message"]]
    assert broke["level"] == "ERROR"
    assert (broke["actor_type"], broke["actor_id"]) == ("ChatAgent", "user-brea")
    assert broke["turn_id"] in broke["message"]


@pytest.mark.timeout(60)
async def test_the_level_is_as_set(tmp_path: Path):
    """At ERROR the start is not told; a bug is."""
    async with running(tmp_path, model="scripted", log_format="json", log_level="ERROR") as service:
        await service.say("ada", "/break it")
        await eventually(lambda: lines(service), "the failure is logged")

        assert {line["level"] for line in lines(service)} == {"ERROR"}
