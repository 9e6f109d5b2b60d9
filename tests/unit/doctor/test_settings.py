"""Settings, packages and limits, as `doctor` sees them."""

from typing import Any

import pytest

from agent_actors.doctor.settings import check_access, check_limits, check_python, check_settings
from agent_actors.settings import Settings
from tests.unit.doctor.conftest import context, only

TOKENS = '[{"token": "0123456789012345678901234567890123456789", "subject": "ada"}]'
BESIDE: dict[str, Any] = {"dapr_http_port": 1, "app_api_token": "secret"}


async def test_an_unknown_setting_is_a_warning():
    """The service runs with it, so it is not a failure."""
    environment = {"AGENT_ACTORS_MODLE": "echo"}
    found = only(await check_settings(context(environment=environment)))

    assert found.status == "warn"
    assert "did you mean AGENT_ACTORS_MODEL?" in found.found


async def test_settings_are_counted_and_not_shown():
    """Their values may be secret."""
    found = only(await check_settings(context(Settings(model="hush"), "dapr")))

    assert (found.status, found.found) == ("ok", "1 set, runtime dapr")


@pytest.mark.parametrize(
    ("runtime", "settings", "words"),
    [
        ("embedded", {"orchestration": "workflow"}, "needs Dapr"),
        (
            "embedded",
            {"actor_types": {"DeadLetterActor": {}}},
            "unknown actor type 'DeadLetterActor'",
        ),
        ("dapr", {"actor_types": {"ChatActor": {}}}, "unknown actor type 'ChatActor'"),
        ("dapr", BESIDE | {"require_token": True, "app_api_token": None}, "APP_API_TOKEN"),
        ("dapr", BESIDE | {"idle_timeout": 1.0}, "AGENT_ACTORS_IDLE_TIMEOUT"),
    ],
)
async def test_what_a_start_would_refuse_is_reported(
    runtime: str, settings: dict[str, Any], words: str
):
    """Each setting is valid, but not their combination."""
    found = await check_settings(context(Settings(**settings), runtime))

    assert found[0].status == "FAIL"
    assert words in found[0].found


async def test_callbacks_without_a_token_are_a_warning():
    """Beside a sidecar, and only there."""
    open_callbacks = context(Settings(dapr_http_port=1), "dapr")
    safe = context(Settings(**BESIDE), "dapr")

    assert [each.status for each in await check_access(open_callbacks)] == ["warn", "ok"]
    assert [each.status for each in await check_access(safe)] == ["ok"]


async def test_a_legacy_extension_beside_dapr_is_reported():
    """Both have the same files, so uninstalling one breaks the other."""
    installed = ["dapr", "Dapr_Ext.FastAPI"]
    found = only(await check_python(context(), lambda: installed, lambda _: object()))

    assert found.status == "FAIL"
    assert found.advice.startswith("`pip uninstall Dapr_Ext.FastAPI`, then `pip install --force")


async def test_files_that_went_with_a_legacy_extension_are_missed():
    """The package dapr is left without its extensions."""
    found = only(await check_python(context(), list, lambda _: None))

    assert found.status == "FAIL"
    assert "--force-reinstall" in found.advice


async def test_this_installation_is_ok():
    """The finding has the versions."""
    found = only(await check_python(context()))

    assert found.status == "ok", found
    assert "dapr 1.19" in found.found


async def test_few_open_files_are_a_warning():
    """Each connection is one."""
    found = only(await check_limits(context(), lambda: 256))

    assert found.status == "warn"
    assert found.found.startswith("at most 256 open files")
    assert only(await check_limits(context(), lambda: float("inf"))).status == "ok"


async def test_a_system_without_limits_is_skipped():
    """On some systems, Python has no `resource` module."""

    def unknown() -> float:
        raise ImportError("resource")

    assert only(await check_limits(context(), unknown)).status == "skip"


async def test_the_callers_that_may_call_are_reported():
    """Anybody on this machine, anybody at all, or callers with a token."""
    all_of_them = [Settings(), Settings(access="off"), Settings(access_tokens=TOKENS)]
    found = [only(await check_access(context(each, "embedded"))) for each in all_of_them]

    assert [each.status for each in found] == ["ok", "ok", "ok"]
    assert "this machine" in found[0].found
    assert "anyone who reaches the port" in found[1].found
    assert "callers need a token" in found[2].found


@pytest.mark.parametrize(
    ("runtime", "settings", "words"),
    [
        ("embedded", {"access_tokens": "[hush"}, "AGENT_ACTORS_ACCESS_TOKENS"),
        ("embedded", {"rate_limit": "often"}, "60/minute"),
        (
            "embedded",
            {"cors_origins": "https://y.example, https://ada:hush@x.example/path?hush"},
            "not an origin",
        ),
        ("embedded", {"hosts": "https://ada:hush@x.example"}, "AGENT_ACTORS_HOSTS"),
        ("dapr", {"access_tokens": TOKENS}, "APP_API_TOKEN"),
    ],
    ids=[
        "broken tokens",
        "an invalid rate",
        "an invalid origin",
        "no host",
        "tokens and open callbacks",
    ],
)
async def test_access_that_a_start_would_refuse_is_reported(
    runtime: str, settings: dict[str, Any], words: str
):
    """The finding does not quote what may be secret."""
    found = only(await check_access(context(Settings(**settings), runtime)))

    assert found.status == "FAIL"
    assert words in found.found
    assert "hush" not in f"{found}"
