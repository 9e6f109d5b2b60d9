"""Kafka input bindings of the component files, as far as the embedded runtime supports them.

It refuses metadata that it does not support, and values that have another meaning here than on
Dapr.
"""

import re
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from agent_actors.errors import StartupError
from agent_actors.forms.duration import seconds
from agent_actors.protocol.codec import fields
from agent_actors.runtime.embedded.files.components import Component

KAFKA = "bindings.kafka"
CLIENT = "confluent_kafka"

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_ONLY_VALUE = {
    "authtype": "none",
    "authrequired": "false",
    "backoffmaxretries": "-1",
    "backoffpolicy": "constant",
    "consumeretryenabled": "true",
    "direction": "input",
    "disabletls": "true",
}
"""Metadata that is supported with this value only."""
_TUNING = frozenset(
    {
        "channelbuffersize",
        "clientconnectionkeepaliveinterval",
        "clientconnectiontopicmetadatarefreshinterval",
        "consumeretryinterval",
        "fetchdefault",
        "fetchmin",
        "maxmessagebytes",
        "version",
    }
)
"""Metadata that does not change what is delivered: ignored."""


def _names(topics: str) -> list[str]:
    names = [name.strip() for name in topics.split(",")]
    for name in names:
        if not _TOPIC.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a topic")
    return names


_Text = Annotated[str, StringConstraints(min_length=1)]
_Duration = Annotated[float, BeforeValidator(seconds)]


class KafkaInput(BaseModel):
    """A binding that posts the records of topics to a route.

    `begin` is where a new consumer group begins; `pause` is the time in seconds until a record
    that the route has refused is posted again.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    name: str
    route: Annotated[
        _Text, AfterValidator(lambda route: route if route.startswith("/") else f"/{route}")
    ]
    brokers: _Text
    topics: Annotated[tuple[str, ...], BeforeValidator(_names)]
    group: _Text = Field(validation_alias="consumergroup")
    client_id: str = Field("agent-actors", validation_alias="clientid")
    begin: Literal["newest", "oldest"] = Field("newest", validation_alias="initialoffset")
    pause: _Duration = Field(5.0, validation_alias="backoffduration")
    session_timeout: _Duration = Field(10.0, validation_alias="sessiontimeout")
    heartbeat: _Duration = Field(3.0, validation_alias="heartbeatinterval")


_SUPPORTED = {
    str(field.validation_alias or name)
    for name, field in KafkaInput.model_fields.items()
    if name != "name"
}.union(_ONLY_VALUE, _TUNING)


def read_inputs(bindings: Iterable[Component]) -> tuple[KafkaInput, ...]:
    """The Kafka bindings that bring records; output bindings are left out.

    Raises:
        StartupError: A binding is not supported as it is; the text names its file and says why.
    """
    kafka = [each for each in bindings if each.type == KAFKA]
    inputs = tuple(_read(each) for each in kafka if each.metadata.get("direction") != "output")
    if inputs and find_spec(CLIENT) is None:
        raise StartupError(
            f"The binding {inputs[0].name!r} needs a Kafka client, which is not installed:"
            " `.venv/bin/pip install -e '.[kafka]'`."
        )
    return inputs


def _read(binding: Component) -> KafkaInput:
    metadata = {name: value.strip() for name, value in binding.metadata.items()}
    for name, value in metadata.items():
        if name not in _SUPPORTED:
            raise binding.bad(f"the embedded runtime does not support {name}")
        if value.lower() != _ONLY_VALUE.get(name, value.lower()):
            only = _ONLY_VALUE[name]
            raise binding.bad(f"the embedded runtime supports {name} only with the value {only}")
    if "authtype" not in metadata and "authrequired" not in metadata:
        raise binding.bad("it needs authType, with the value none")
    try:
        return KafkaInput.model_validate({**metadata, "name": binding.name})
    except ValidationError as error:
        raise binding.bad(fields(error)) from None
