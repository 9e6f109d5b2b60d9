"""Output bindings of the embedded runtime: nothing is sent."""

from pathlib import Path

import pytest

from agent_actors.errors import Invalid, StartupError
from agent_actors.runtime.embedded.files.components import Component, read
from agent_actors.runtime.embedded.files.outputs import KEPT, SMS, RecordedOutput, RecordedOutputs

NUMBER = {"toNumber": "+14155550123"}


def binding(name: str = "sms", kind: str = SMS, **metadata: str) -> Component:
    return Component.model_construct(name=name, type=kind, path=Path("sms.yaml"), metadata=metadata)


@pytest.fixture
def outputs() -> RecordedOutputs:
    return RecordedOutputs([binding(), binding("queue", "bindings.kafka")])


async def test_an_output_is_kept_and_sent_nowhere(
    outputs: RecordedOutputs, caplog: pytest.LogCaptureFixture
):
    """The output can be read; neither its number nor its text is logged."""
    caplog.set_level("DEBUG")
    assert await outputs.invoke("sms", "create", "hello", NUMBER) == b""

    assert list(outputs.sent) == [RecordedOutput("sms", "create", "hello", NUMBER)]
    assert "binding sms" in caplog.text
    assert NUMBER["toNumber"] not in caplog.text
    assert "hello" not in caplog.text


async def test_the_last_outputs_are_kept(outputs: RecordedOutputs):
    """Only the newest outputs are recorded."""
    for number in range(KEPT + 1):
        await outputs.invoke("sms", "create", number, NUMBER)

    assert [each.data for each in outputs.sent] == list(range(1, KEPT + 1))


@pytest.mark.parametrize(
    ("name", "operation", "metadata", "words"),
    [
        ("other", "create", NUMBER, "There is no output binding 'other'."),
        ("queue", "create", NUMBER, "There is no output binding 'queue'."),
        ("sms", "get", NUMBER, "The binding 'sms' has no operation 'get'."),
        ("sms", "create", {}, "The binding 'sms' needs a number in 'toNumber'."),
        ("sms", "create", {"toNumber": ""}, "The binding 'sms' needs a number in 'toNumber'."),
    ],
)
async def test_what_dapr_would_refuse_is_refused(
    outputs: RecordedOutputs, name: str, operation: str, metadata: dict[str, str], words: str
):
    """A laptop accepts no output that production would refuse."""
    with pytest.raises(Invalid) as refused:
        await outputs.invoke(name, operation, "hello", metadata)

    assert refused.value.detail == words
    assert not outputs.sent


def test_a_binding_that_is_not_there_stops_the_start(outputs: RecordedOutputs):
    """A missing binding and one of another type are refused; no setting is fine."""
    outputs.require(None)
    outputs.require("sms")
    for name in ("other", "queue"):
        with pytest.raises(StartupError, match=f"AGENT_ACTORS_SMS_BINDING is '{name}'"):
            outputs.require(name)


def test_a_number_in_the_component_stops_the_start():
    """On Dapr such a number would get everybody's SMS."""
    outputs = RecordedOutputs([binding(tonumber="+14155550100")])

    with pytest.raises(StartupError, match="SMS of every user") as refused:
        outputs.require("sms")
    assert "+14155550100" not in str(refused.value)


def test_the_shipped_binding_is_served():
    """The binding in `components/bindings` needs only the address of a broker."""
    folder = Path(__file__).parents[5] / "components" / "bindings"
    known = read(folder)

    RecordedOutputs(known.bindings).require("twilio-binding")
    assert [each.name for each in known.secret_stores] == ["secretstore"]
