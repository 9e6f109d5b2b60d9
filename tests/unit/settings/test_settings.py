"""The settings of a process."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from agent_actors.errors import StartupError
from agent_actors.settings import Settings, read
from agent_actors.settings.actors import ActorRules


def test_every_setting_has_a_default():
    """An empty environment is enough."""
    settings = read()

    assert (settings.model, settings.parking_time, settings.outcomes_kept) == ("", 1.5, 256)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    """`AGENT_ACTORS_<NAME>` sets one, `APP_API_TOKEN` the token of the callbacks."""
    monkeypatch.setenv("AGENT_ACTORS_PARKING_TIME", "0.5")
    monkeypatch.setenv("AGENT_ACTORS_DATA", "/tmp/x")  # noqa: S108 - not opened
    monkeypatch.setenv("APP_API_TOKEN", "secret")
    settings = read()

    assert settings.parking_time == 0.5
    assert settings.data == Path("/tmp/x")  # noqa: S108 - not opened
    assert settings.app_api_token == "secret"


def test_settings_are_frozen():
    """Nothing changes them after the start."""
    with pytest.raises(ValidationError):
        read().model = "scripted"  # type: ignore[misc]


def test_a_token_is_not_shown():
    """Neither text nor repr of the settings has the token."""
    settings = Settings(APP_API_TOKEN="whispered")

    assert settings.app_api_token == "whispered"
    assert "whispered" not in f"{settings} {settings!r}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MODEL_TIME", "0"),
        ("MODEL_TIME", "-1"),
        ("MODEL_TIME", "300"),
        ("MODEL_TIME", "nan"),
        ("PARKING_TIME", "120"),
        ("MESSAGE_BYTES", "0"),
        ("OUTCOMES_KEPT", "33"),
        ("QUEUE_LENGTH", "many"),
        ("SYNCHRONOUS", "OFF"),
        ("DRAIN", "inf"),
    ],
)
def test_a_setting_of_another_form_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
):
    """One line names the setting, its value is not repeated."""
    monkeypatch.setenv(f"AGENT_ACTORS_{name}", value)

    with pytest.raises(StartupError) as caught:
        read()

    assert f"AGENT_ACTORS_{name}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_times_nest():
    """Parking time < model time < wait time, so that each limit can be reached."""
    with pytest.raises(ValidationError, match="WAIT_TIME"):
        Settings(model_time=300, wait_time=300)
    with pytest.raises(ValidationError, match="MODEL_TIME"):
        Settings(parking_time=3, model_time=3)


@pytest.mark.parametrize("name", ["APP_API_TOKEN", "DAPR_API_TOKEN", "DAPR_HTTP_PORT"])
def test_an_empty_variable_of_daprs_is_unset(monkeypatch: pytest.MonkeyPatch, name: str):
    """An empty token would equal one that was not sent at all."""
    monkeypatch.setenv(name, "")

    assert getattr(read(), name.lower()) is None


def test_a_token_is_what_a_header_can_carry(monkeypatch: pytest.MonkeyPatch):
    """A secret from a file often ends in a newline; other control characters are refused."""
    monkeypatch.setenv("DAPR_API_TOKEN", "abc\n")
    assert read().dapr_api_token == "abc"

    monkeypatch.setenv("DAPR_API_TOKEN", "a\nbc")
    with pytest.raises(StartupError, match="DAPR_API_TOKEN") as caught:
        read()
    assert "a\nbc" not in str(caught.value)


def test_a_profile_is_a_set_of_defaults(monkeypatch: pytest.MonkeyPatch):
    """`lesson` turns on what the lessons show; what is set by itself comes before it."""
    monkeypatch.setenv("AGENT_ACTORS_PROFILE", "lesson")
    monkeypatch.setenv("AGENT_ACTORS_HISTORY_TTL", "5")
    settings = read()

    assert (settings.message_count_timer, settings.history_ttl) == (True, 5.0)
    assert settings.rules_of("ChatAgent").reentrant
    monkeypatch.setenv("AGENT_ACTORS_PROFILE", "none")
    with pytest.raises(StartupError, match="AGENT_ACTORS_PROFILE"):
        read()


def test_an_actor_type_may_have_rules_of_its_own(monkeypatch: pytest.MonkeyPatch):
    """What it leaves out is as for all."""
    own = '{"ChatAgent": {"idle_timeout": 600, "reentrancy_depth": 4}}'
    monkeypatch.setenv("AGENT_ACTORS_ACTOR_TYPES", own)
    settings = read()

    assert settings.rules_of("ChatAgent") == ActorRules(600.0, 2.0, 4)
    assert settings.rules_of("ResponseAgent") == ActorRules(60.0, 2.0, 1)
    assert not settings.rules_of("ResponseAgent").reentrant


@pytest.mark.parametrize(
    "given",
    ["{", "[]", '{"ChatAgent": {"idle": 1}}', '{"ChatAgent": {"idle_timeout": 0}}'],
)
def test_rules_of_another_form_stop_the_start(monkeypatch: pytest.MonkeyPatch, given: str):
    """The text names the setting."""
    monkeypatch.setenv("AGENT_ACTORS_ACTOR_TYPES", given)

    with pytest.raises(StartupError, match="ACTOR_TYPES"):
        read()
