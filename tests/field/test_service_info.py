"""`GET /info`: what a running service says about itself, and what it keeps to itself.

Source: a newcomer's try, with other settings in the second terminal.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, function_tool
from pydantic import SecretStr

from agent_actors.clock import SystemClock
from agent_actors.model import ModelDescription
from agent_actors.model.selection import choose_model
from agent_actors.settings import Settings
from tests.conftest import Serve
from tests.fakes import QuickModel
from tests.hand_clock import HandClock
from tests.unit.routes.edge.access import ADA, GUARDED


@asynccontextmanager
async def info_of(serve: Serve, **given: Any) -> AsyncIterator[dict[str, Any]]:
    async with serve(**given) as served:
        answer = await served.http.get("/info")
        assert answer.status_code == 200, answer.text
        yield answer.json()


SECRET = ("key", "token", "tokens")
HUSH = "https://ada:hush@server.example:8443/hush"


async def test_the_route_tells_no_secret(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Every setting that could be one is set; none of it is in the answer."""
    names = [name for name in Settings.model_fields if name.rpartition("_")[2] in SECRET]
    assert {"model_api_key", "openai_api_key", "app_api_token", "access_tokens"} <= set(names)
    given: dict[str, Any] = {
        "openai_api_key": SecretStr("hush"),
        "gemini_api_key": SecretStr("hush"),
        "model_api_key": SecretStr("hush"),
        "dapr_api_token": "hush",
        "model_base_url": HUSH,
        "jwt_issuer": HUSH,
        "jwt_audience": "hush",
        "jwt_jwks_url": HUSH,
        "APP_API_TOKEN": "hush",
        "access": "off",
        "access_tokens": SecretStr(f'[{{"token": "{"hush" * 6}", "subject": "root"}}]'),
        "rate_limit": "60/minute",
    }
    monkeypatch.setenv("AGENT_ACTORS_MODEL", "small")  # `model` would be a `Model` here.
    async with info_of(serve, **given) as info:
        assert "hush" not in json.dumps(info)
        assert info["sidecar_token"] is True
        assert info["process"] == os.getpid()
        assert info["data"] == str(tmp_path / "data")


async def test_a_model_that_was_given_has_the_name_of_its_class(serve: Serve):
    """Nothing in the settings names it."""
    async with info_of(serve, model=QuickModel()) as info:
        assert (info["model"], info["own_model"], info["own_tools"]) == ("QuickModel", True, 0)


async def test_strangers_are_told_nothing(serve: Serve):
    """Without access control only this machine may ask; with it, admins and the sidecar."""
    async with serve(caller="192.0.2.7") as served:
        assert (await served.http.get("/info")).status_code == 403
    async with serve(**GUARDED) as served:
        user = {"authorization": f"Bearer {ADA}"}
        assert (await served.http.get("/info", headers=user)).status_code == 403
        assert (await served.http.get("/info")).status_code == 401


@function_tool
def book_table() -> str:
    """Books one."""
    return "done"


class _Sdk:
    model = "own-7b"


@pytest.mark.parametrize(
    ("agent", "settings", "expected"),
    [
        (None, {"model": "echo"}, ModelDescription("echo")),
        (None, {"model": "scripted"}, ModelDescription("scripted")),
        (None, {"OPENAI_API_KEY": "k"}, ModelDescription("OpenAI's default", "https://api.op")),
        (None, {"GEMINI_API_KEY": "k"}, ModelDescription("gemini-flash-latest", "https://gen")),
        (
            None,
            {"model": "m", "model_base_url": "http://ada:hush@[::1]:9/v1"},
            ModelDescription("m", "http://[::1]:9"),
        ),
        (
            Agent("waiter", model="gpt-5", tools=[book_table]),
            {"OPENAI_API_KEY": "k"},
            ModelDescription("gpt-5", "https://api.openai.com"),
        ),
        (None, {}, ModelDescription("echo")),
    ],
)
async def test_a_model_describes_itself(
    agent: Any, settings: dict[str, Any], expected: ModelDescription
):
    """What the settings and the agent have chosen, with no more of its URL than its server."""
    model = choose_model(Settings(**settings), HandClock(), agent=agent)
    await model.start()
    for _ in range(100):
        if model.describe().name:
            break
        await SystemClock().sleep(0.01)
    found = model.describe()
    await model.stop()

    assert (found.name, found.own) == (expected.name, False)
    assert (found.server or "").startswith(expected.server or "")


def test_a_model_object_of_an_agent_describes_itself():
    """Its name, or that of its class."""

    class Waiter:
        model = _Sdk()

    model = choose_model(Settings(), HandClock(), agent=Waiter())  # type: ignore[arg-type]

    assert model.describe() == ModelDescription("own-7b", own=True)


async def test_before_a_model_is_chosen_it_has_no_name():
    """The secret store has not answered."""
    model = choose_model(Settings(secret_store="vault"), HandClock())

    assert model.describe() == ModelDescription("")
