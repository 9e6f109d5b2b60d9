"""Kafka input bindings as component files describe them."""

from pathlib import Path

import pytest

from agent_actors.errors import StartupError
from agent_actors.runtime.embedded.files.components import Component, read
from agent_actors.runtime.embedded.kafka import component
from agent_actors.runtime.embedded.kafka.component import read_inputs

ROOT = Path(__file__).parents[5]
GIVEN = {
    "brokers": "a:1,b:2",
    "topics": "one, two",
    "consumergroup": "group",
    "authtype": "none",
    "route": "/there",
}


def made(name: str, kind: str, metadata: dict[str, str]) -> Component:
    path = Path(f"{name}.yaml")
    return Component.model_construct(name=name, type=kind, path=path, metadata=metadata)


def binding(**metadata: str) -> Component:
    return made("bound", "bindings.kafka", GIVEN | metadata)


def test_the_shipped_binding_is_served():
    """The binding in `components/bindings` needs only the address of a broker."""
    (found,) = read_inputs(read(ROOT / "components" / "bindings").bindings)

    assert found.model_dump() == {
        "name": "kafka-binding",
        "route": "/receive-message",
        "brokers": "localhost:9092",
        "topics": ("user-messages",),
        "group": "chat-agent-group",
        "client_id": "agent-actors",
        "begin": "oldest",
        "pause": 5.0,
        "session_timeout": 10.0,
        "heartbeat": 3.0,
    }


def test_a_binding_says_more():
    """Durations and names are read; the rest has Dapr's defaults."""
    (found,) = read_inputs(
        [binding(backoffduration="250ms", sessiontimeout="6s", clientid="me", route="there")]
    )

    assert (found.topics, found.route, found.client_id) == (("one", "two"), "/there", "me")
    assert (found.pause, found.session_timeout) == (0.25, 6.0)
    assert found.begin == "newest"


@pytest.mark.parametrize(
    "metadata",
    [
        {"consumeretryenabled": "true", "direction": "input", "authrequired": "false"},
        {"backoffpolicy": "constant", "backoffmaxretries": "-1", "disabletls": "true"},
        {"version": "2.8.0", "fetchmin": "1", "consumeretryinterval": "1s"},
    ],
)
def test_metadata_that_make_no_difference_are_accepted(metadata: dict[str, str]):
    """Metadata that asks for the behaviour of this runtime is accepted."""
    assert read_inputs([binding(**metadata)])


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"authtype": "password"}, "authtype only with the value none"),
        ({"authtype": "", "authrequired": "true"}, "auth"),
        ({"saslusername": "me"}, "does not support saslusername"),
        ({"cacert": "x"}, "does not support cacert"),
        ({"consumeretryenabled": "false"}, "consumeretryenabled only with the value true"),
        ({"direction": "input, output"}, "direction only with the value input"),
        ({"backoffpolicy": "exponential"}, "backoffpolicy"),
        ({"backoffmaxretries": "3"}, "backoffmaxretries"),
        ({"publishtopic": "x"}, "does not support publishtopic"),
        ({"initialoffset": "middle"}, "initialoffset: "),
        ({"backoffduration": "soon"}, "backoffduration: "),
        ({"brokers": ""}, "brokers: "),
        ({"topics": " "}, "not the name of a topic"),
        ({"topics": "one,^two.*"}, "not the name of a topic"),
        ({"consumergroup": ""}, "consumergroup: "),
        ({"route": ""}, "route: "),
    ],
)
def test_what_is_not_heeded_stops_the_start(metadata: dict[str, str], named: str):
    """The error names the file and the metadata."""
    with pytest.raises(StartupError, match=rf"bound\.yaml.*{named}"):
        read_inputs([binding(**metadata)])


def test_an_auth_type_is_needed():
    """`authType` is needed, as on Dapr, which has no default."""
    bare = {name: value for name, value in GIVEN.items() if name != "authtype"}

    with pytest.raises(StartupError, match="authType"):
        read_inputs([made("bound", "bindings.kafka", bare)])


def test_other_bindings_are_none_of_it():
    """Bindings of other types and output bindings are ignored."""
    other = made("sms", "bindings.twilio.sms", {"accountsid": "x"})

    assert read_inputs([other, binding(direction="output", publishtopic="x")]) == ()


def test_without_a_client_the_start_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    """Only a Kafka binding needs the optional client."""
    monkeypatch.setattr(component, "CLIENT", "no_such_client")

    assert read_inputs([]) == ()
    with pytest.raises(StartupError, match=r"pip install -e '\.\[kafka\]'"):
        read_inputs([binding()])
