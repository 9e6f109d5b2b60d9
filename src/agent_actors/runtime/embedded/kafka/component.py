"""Kafka input bindings as their component files describe them, as far as this runtime heeds them.

What it does not heed, and what would mean something else here than to Dapr, is refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

from agent_actors.errors import StartupError
from agent_actors.forms.duration import seconds
from agent_actors.runtime.embedded.files.components import Binding

KAFKA = "bindings.kafka"
CLIENT = "confluent_kafka"

_BEGIN = {"newest": "latest", "oldest": "earliest"}
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_ONLY = {
    "authtype": {"none"},
    "authrequired": {"false"},
    "backoffmaxretries": {"-1"},
    "backoffpolicy": {"constant"},
    "consumeretryenabled": {"true"},
    "direction": {"input"},
    "disabletls": {"true"},
}
"""What is heeded as long as it says this."""
_READ = frozenset(
    {
        "brokers",
        "topics",
        "consumergroup",
        "clientid",
        "route",
        "initialoffset",
        "backoffduration",
        "sessiontimeout",
        "heartbeatinterval",
    }
)
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
"""What makes no difference to what is delivered."""


@dataclass(frozen=True, slots=True)
class KafkaInput:
    """A binding that brings records to a route.

    `begin` is where a group begins that has taken nothing yet, `pause` the seconds until a record
    that was not taken comes again.
    """

    name: str
    route: str
    brokers: str
    topics: tuple[str, ...]
    group: str
    client_id: str
    begin: str
    pause: float
    session_timeout: float
    heartbeat: float


def read_inputs(bindings: Iterable[Binding]) -> tuple[KafkaInput, ...]:
    """The bindings that bring records; those that only send some are not among them.

    Raises:
        StartupError: One cannot be served as it says; the text names its file and says why.
    """
    kafka = [each for each in bindings if each.type == KAFKA]
    inputs = tuple(_read(each) for each in kafka if each.metadata.get("direction") != "output")
    if inputs and find_spec(CLIENT) is None:
        raise StartupError(
            f"The binding {inputs[0].name!r} needs a Kafka client, which is not installed:"
            " `.venv/bin/pip install -e '.[kafka]'`."
        )
    return inputs


def _read(binding: Binding) -> KafkaInput:
    given = {name: value.strip() for name, value in binding.metadata.items()}
    _refuse_others(binding, given)
    route = _needed(binding, given, "route")
    if not route.startswith("/"):
        route = f"/{route}"
    begin = given.get("initialoffset", "newest")
    if begin not in _BEGIN:
        raise binding.bad("initialOffset is neither 'newest' nor 'oldest'")
    return KafkaInput(
        name=binding.name,
        route=route,
        brokers=_needed(binding, given, "brokers"),
        topics=_topics(binding, given),
        group=_needed(binding, given, "consumerGroup"),
        client_id=given.get("clientid", "agent-actors"),
        begin=_BEGIN[begin],
        pause=_duration(binding, given, "backOffDuration", "5s"),
        session_timeout=_duration(binding, given, "sessionTimeout", "10s"),
        heartbeat=_duration(binding, given, "heartbeatInterval", "3s"),
    )


def _refuse_others(binding: Binding, given: dict[str, str]) -> None:
    for name, value in given.items():
        if name in _ONLY and value.lower() not in _ONLY[name]:
            only = " or ".join(sorted(_ONLY[name]))
            raise binding.bad(f"the embedded runtime heeds {name} only as {only}")
        if name not in _ONLY and name not in _READ and name not in _TUNING:
            raise binding.bad(f"the embedded runtime does not heed {name}")
    if "authtype" not in given and "authrequired" not in given:
        raise binding.bad("it needs authType, which here is none")


def _needed(binding: Binding, given: dict[str, str], name: str) -> str:
    value = given.get(name.lower())
    if not value:
        raise binding.bad(f"it needs a value of {name}")
    return value


def _topics(binding: Binding, given: dict[str, str]) -> tuple[str, ...]:
    names = [name.strip() for name in _needed(binding, given, "topics").split(",")]
    wrong = [name for name in names if not _TOPIC.fullmatch(name)]
    if wrong:
        raise binding.bad(f"{wrong[0]!r} is not the name of a topic")
    return tuple(names)


def _duration(binding: Binding, given: dict[str, str], name: str, default: str) -> float:
    try:
        return seconds(given.get(name.lower(), default))
    except ValueError as error:
        raise binding.bad(f"{name}: {error}") from None
