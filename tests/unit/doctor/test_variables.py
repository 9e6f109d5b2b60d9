"""Variables that nobody reads."""

import pytest

from agent_actors.doctor.variables import misspelt, told
from agent_actors.settings import Settings


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AGENT_ACTORS_MODLE", "AGENT_ACTORS_MODEL"),
        ("AGENT_ACTORS_PARKING_TIMES", "AGENT_ACTORS_PARKING_TIME"),
        ("AGENT_ACTORS_MODEL_BASEURL", "AGENT_ACTORS_MODEL_BASE_URL"),
        ("agent_actors_modle", "AGENT_ACTORS_MODEL"),
        ("AGENT_ACTORS_XYZZY_PLUGH_QUUX", None),
    ],
)
def test_a_misspelt_one_is_named_with_the_nearest(name: str, meant: str | None):
    """What is like no setting has no nearest one."""
    (found,) = misspelt([name])

    assert (found.name, found.meant) == (name, meant)


def test_every_setting_is_known():
    """In capitals or not, as the settings are read."""
    names = [f"AGENT_ACTORS_{name.upper()}" for name in Settings.model_fields]

    assert not misspelt([*names, *map(str.lower, names), "AGENT_ACTORS_URL", "PATH"])


def test_the_variables_of_kubernetes_are_nobodys_mistake():
    """A Service named `agent-actors` puts these into every pod of its namespace."""
    links = [
        "AGENT_ACTORS_SERVICE_HOST",
        "AGENT_ACTORS_SERVICE_PORT_HTTP",
        "AGENT_ACTORS_PORT_8000_TCP_ADDR",
        "AGENT_ACTORS_REDIS_SERVICE_HOST",
        "AGENT_ACTORS_REDIS_PORT",
    ]

    assert not misspelt(links)
    assert misspelt(["AGENT_ACTORS_REDIS_PORT"])


def test_the_warning_is_one_sentence():
    """It has every name, and what may be meant."""
    text = told(misspelt(["AGENT_ACTORS_MODLE", "AGENT_ACTORS_XYZZY_PLUGH_QUUX"]))

    assert "AGENT_ACTORS_MODLE (is AGENT_ACTORS_MODEL meant?)" in text
    assert "AGENT_ACTORS_XYZZY_PLUGH_QUUX;" in text
