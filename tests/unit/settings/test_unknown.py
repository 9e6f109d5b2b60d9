"""Variables that nobody reads."""

import re

import pytest

from agent_actors.settings import Settings
from agent_actors.settings.unknown import OTHERS, describe, unknown_settings, variable
from tools.settings_doc import FOOT


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AGENT_ACTORS_MODLE", "AGENT_ACTORS_MODEL"),
        ("AGENT_ACTORS_PARKING_TIMES", "AGENT_ACTORS_PARKING_TIME"),
        ("AGENT_ACTORS_MODEL_BASEURL", "AGENT_ACTORS_MODEL_BASE_URL"),
        ("agent_actors_modle", "AGENT_ACTORS_MODEL"),
        ("AGENT_ACTORS_XYZZY_PLUGH_QUUX", None),
        ("AGENT_ACTORS_RETRIES", "AGENT_ACTORS_MODEL_RETRIES"),
        ("AGENT_ACTORS_PORT", "--port"),
        ("AGENT_ACTORS_RUNTIME", "--runtime"),
        ("AGENT_ACTORS_OPENAI_API_KEY", "OPENAI_API_KEY"),
        ("AGENT_ACTORS_DAPR_HTTP_PORT", "DAPR_HTTP_PORT"),
    ],
)
def test_a_misspelt_setting_has_a_suggestion(name: str, meant: str | None):
    """The suggestion may be an option; a name that resembles no setting has none."""
    (found,) = unknown_settings([name])

    assert (found.name, found.suggestion) == (name, meant)


def test_every_setting_is_known():
    """In capitals or not, as the settings are read."""
    names = [variable(name) for name in Settings.model_fields]

    assert not unknown_settings([*names, *map(str.lower, names), "PATH"])


def test_the_variables_of_the_commands_are_known():
    """docs/settings.md lists exactly these."""
    named = set(re.findall(r"`(AGENT_ACTORS_\w+)` \|", FOOT))

    assert named == set(OTHERS)
    assert not unknown_settings(named)


def test_the_variables_of_kubernetes_are_no_mistake():
    """A Service named `agent-actors` puts these into every pod of its namespace."""
    links = [
        "AGENT_ACTORS_SERVICE_HOST",
        "AGENT_ACTORS_SERVICE_PORT_HTTP",
        "AGENT_ACTORS_PORT_8000_TCP_ADDR",
        "AGENT_ACTORS_REDIS_SERVICE_HOST",
        "AGENT_ACTORS_REDIS_PORT",
    ]

    assert not unknown_settings(links)
    assert unknown_settings(["AGENT_ACTORS_REDIS_PORT"])


def test_the_warning_is_one_sentence():
    """It has every name with its suggestion."""
    text = describe(unknown_settings(["AGENT_ACTORS_MODLE", "AGENT_ACTORS_XYZZY_PLUGH_QUUX"]))

    assert text == (
        "unknown settings AGENT_ACTORS_MODLE (did you mean AGENT_ACTORS_MODEL?),"
        " AGENT_ACTORS_XYZZY_PLUGH_QUUX"
    )
