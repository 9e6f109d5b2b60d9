"""Every setting, read once from the environment (`AGENT_ACTORS_<NAME>`), then frozen.

`docs/settings.md` lists the same; a test keeps the two in step. Durations are seconds.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import from_json
from pydantic_settings import NoDecode, SettingsConfigDict

from agent_actors.errors import StartupError
from agent_actors.settings.access import AccessSettings
from agent_actors.settings.actors import (
    ActorRules,
    ActorTypeSettings,
    Depth,
    RulesOf,
    Seconds,
    rules_of,
)

_FOREIGN = ("APP_", "DAPR_", "OPENAI_", "GEMINI_")
"""How the variables begin that are not only ours."""


LESSON: Mapping[str, object] = MappingProxyType(
    {"message_count_timer": True, "history_ttl": 3_600.0, "reentrancy_depth": 32}
)
"""What the lessons show that is off by default: a timer, a reminder, and reentrancy."""


class Settings(AccessSettings):
    """The settings of one process."""

    model_config = SettingsConfigDict(env_prefix="AGENT_ACTORS_", frozen=True, extra="ignore")

    model: str = Field(
        "",
        description="What answers: a model's name, `echo`, or `scripted`, which obeys `/slow 5`,"
        " `/fail`, `/hang`. By default a model of the provider there is a key of, else `echo`.",
    )
    model_base_url: str | None = Field(
        None,
        description="URL of an OpenAI-compatible server (Ollama, vLLM, llama.cpp); comes before"
        " the providers' keys, and needs AGENT_ACTORS_MODEL.",
    )
    model_api_key: SecretStr | None = Field(
        None, description="The key of that server, where it wants one."
    )
    openai_api_key: SecretStr | None = Field(
        None, validation_alias="OPENAI_API_KEY", description="A key of OpenAI."
    )
    gemini_api_key: SecretStr | None = Field(
        None,
        validation_alias="GEMINI_API_KEY",
        description="A key of Gemini, for models with `gemini` in their name.",
    )
    secret_store: str | None = Field(
        None,
        description="Dapr secret store that has keys as `openai-api-key` and `gemini-api-key`; it"
        " is asked at a start, and again when a key is refused.",
    )
    model_stream: bool = Field(
        False, description="Ask the model for streams: one that stalls is noticed sooner."
    )
    model_retries: int = Field(
        2,
        ge=0,
        le=10,
        description="Times that a call is sent again which the model's server did not take.",
    )
    model_steps: int = Field(
        10, ge=1, le=100, description="Calls of the model in one turn; one more ends it: 502."
    )
    tool_time: Seconds = Field(20.0, description="A tool call ends after this long.")
    tool_calls: int = Field(
        16, ge=0, le=1_024, description="Tool calls of one turn; what goes beyond is refused."
    )
    tool_result_bytes: int = Field(
        16_384, ge=256, le=262_144, description="A tool's result is cut to this many bytes."
    )
    feed_time: Seconds = Field(
        1.0,
        description="A user's session and analytics take events at most this often, some at once.",
    )
    summary_events: int = Field(
        8,
        ge=1,
        le=16,
        description="A user's summary is made anew after this many exchanges.",
    )
    summary_time: Seconds = Field(
        30.0,
        description="A user's summary is made anew this long after an exchange it does not know.",
    )
    model_time: Seconds = Field(
        120.0, description="A model call that takes longer ends: 504, nothing of the turn is kept."
    )
    sms_binding: str | None = Field(
        None,
        description="Dapr output binding that tells users of answered turns by SMS, such as"
        " `twilio-binding`; without it nobody is told.",
    )
    sms_per_day: int = Field(
        20, ge=0, le=1_000, description="SMS to one user in a day (UTC); what goes beyond is kept."
    )
    sms_time: Seconds = Field(
        10.0,
        description="A binding that has not answered after this long is given up: whether the SMS"
        " was sent is unknown.",
    )
    orchestration: Literal["turn", "workflow"] = Field(
        "turn",
        description="What carries a turn of `POST /chat/`: actors alone, or (on Dapr) a workflow.",
    )
    workflow_wait: Seconds = Field(
        60.0, description="A caller waits at most this long for a workflow, then gets 202."
    )
    wait_time: Seconds = Field(
        300.0, description="A caller is kept waiting at most this long, then gets 202."
    )
    parking_time: Seconds = Field(
        1.5, description="An actor waits for its model at most this long; then the turn is parked."
    )
    recovery_period: Seconds = Field(
        30.0, description="How often an unsettled conversation looks after turns and events."
    )
    call_time: Seconds = Field(
        5.0, description="Every await in a turn but the one for the model ends after this long."
    )
    message_bytes: int = Field(
        65_536, ge=1, le=1_048_576, description="A message's content in UTF-8, at most; above: 413."
    )
    history_turns: int = Field(
        0, ge=0, description="Turns kept in a conversation's history; 0 keeps all of them."
    )
    outcomes_kept: int = Field(
        256,
        ge=32,
        le=4_096,
        multiple_of=16,
        description="Ended turns a conversation remembers, for their keys and status.",
    )
    queue_length: int = Field(
        64, ge=1, le=1_024, description="Messages that may wait for one actor; above: 429."
    )
    queue_bytes: int = Field(
        1_048_576,
        ge=65_536,
        description="Bytes of messages that may wait for one actor; above: 429.",
    )
    schedules: int = Field(
        16, ge=0, le=256, description="Schedules that a user may have; above: 409."
    )
    window_turns: int = Field(
        8, ge=0, le=64, description="Last exchanges of the conversation that the model sees."
    )
    window_tokens: int = Field(
        8_192,
        ge=0,
        le=262_144,
        description="The same in tokens, tool calls included; four bytes are taken for one.",
    )
    profile: Literal["", "lesson"] = Field(
        "",
        description="`lesson` turns on what the lessons show: the message count timer, the clearing"
        " of conversations after an hour, and reentrancy (depth 32); other settings come"
        " before it.",
    )
    history_ttl: float = Field(
        0.0,
        ge=0,
        le=3_660 * 86_400,
        description="A conversation in which nothing was said for this long is cleared, if anything"
        " was said since this was set; 0: none is.",
    )
    clearing_forgets: bool = Field(
        False,
        description="When a conversation is cleared, memory and session forget what was said in it,"
        " too.",
    )
    message_count_timer: bool = Field(
        False, description="Log now and then how many messages a conversation has that is in use."
    )
    message_count_period: Seconds = Field(5.0, description="How often.")
    message_count_times: int = Field(
        10, ge=1, le=1_000, description="How many times, after a conversation was activated."
    )
    idle_timeout: Seconds = Field(
        60.0, description="An actor that had no turn for this long is put away."
    )
    actor_time: Seconds = Field(
        30.0,
        description="On Dapr: a call of an actor through the sidecar ends after this long; longer"
        " than any turn.",
    )
    actor_drain: Seconds = Field(
        2.0,
        description="On Dapr: when replicas come or go, running turns get this long before they are"
        " cut and sent again; longer than the parking time.",
    )
    reentrancy_depth: Depth = Field(
        1,
        description="Calls of one chain that may be in an actor at once: 1 lets no actor be called"
        " back by those it calls, above is Dapr's reentrancy.",
    )
    actor_types: Annotated[dict[str, ActorTypeSettings], NoDecode] = Field(
        {},
        description="What single actor types have of their own, as JSON:"
        ' `{"ChatAgent": {"idle_timeout": 600, "drain": 3, "reentrancy_depth": 4}}`.',
    )
    drain: Seconds = Field(7.0, description="At a stop, running turns get this long to finish.")
    log_format: Literal["text", "json"] = Field(
        "text", description="The log as lines for people, or as a JSON object per line."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO",
        description="What is logged, at least; `DEBUG` also tells traces of exceptions, which may"
        " hold what people said.",
    )
    data: Path = Field(
        Path(".agent-actors"), description="Folder of the embedded runtime's database."
    )
    components: Path | None = Field(
        None,
        description="Folder of Dapr component files, or a list of them as in PATH; by default"
        " `components/`, else our own.",
    )
    synchronous: Literal["NORMAL", "FULL"] = Field(
        "NORMAL",
        description="SQLite's `synchronous`: `FULL` survives a power cut too, at a flush a commit.",
    )
    delivery_tries: int = Field(
        5,
        ge=1,
        le=100,
        description="Deliveries of an event that fails, before it is a dead letter.",
    )
    delivery_backoff: Seconds = Field(
        0.2, description="Wait before the second delivery; doubles each time, with jitter."
    )
    dead_letters: int = Field(
        10_000, ge=1, le=1_000_000, description="Dead letters kept; the oldest go first."
    )
    retention: float = Field(
        30 * 86_400.0, gt=0, description="Dead letters older than this are forgotten."
    )

    app_api_token: str | None = Field(
        None,
        validation_alias="APP_API_TOKEN",
        repr=False,
        description="What callers of the callback routes must carry; by default a random one per"
        " process (embedded, and `dev --runtime dapr` without a sidecar), or none (Dapr).",
    )
    require_token: bool = Field(
        False, description="On Dapr: refuse to start without `APP_API_TOKEN`."
    )
    dapr_http_port: int | None = Field(
        None,
        validation_alias="DAPR_HTTP_PORT",
        ge=1,
        le=65_535,
        description="The sidecar's HTTP port; `dapr run` and Kubernetes set it.",
    )
    dapr_grpc_port: int | None = Field(
        None,
        validation_alias="DAPR_GRPC_PORT",
        ge=1,
        le=65_535,
        description="The sidecar's gRPC port, which only workflows need; set as the other one.",
    )
    dapr_api_token: str | None = Field(
        None,
        validation_alias="DAPR_API_TOKEN",
        repr=False,
        description="What the sidecar wants to see, if anything.",
    )

    @model_validator(mode="before")
    @classmethod
    def _profiled(cls, values: dict[str, object]) -> dict[str, object]:
        return {**LESSON, **values} if values.get("profile") == "lesson" else values

    @field_validator("actor_types", mode="before")
    @classmethod
    def _from_json(cls, value: object) -> object:
        return from_json(value) if isinstance(value, str) else value

    @field_validator(
        "app_api_token",
        "dapr_api_token",
        "dapr_http_port",
        "dapr_grpc_port",
        "model_api_key",
        "model_base_url",
        "openai_api_key",
        "gemini_api_key",
        "secret_store",
        "sms_binding",
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        # An empty token would equal one that was not sent; one from a file ends in a newline.
        text = value.strip() if isinstance(value, str) else value
        if isinstance(text, str) and not (text.isascii() and text.isprintable()):
            msg = "only visible ASCII characters can be sent in a header"
            raise ValueError(msg)
        return None if text == "" else text

    @model_validator(mode="after")
    def _times_nest(self) -> "Settings":
        if self.model_time >= self.wait_time:
            msg = "AGENT_ACTORS_MODEL_TIME must be shorter than AGENT_ACTORS_WAIT_TIME"
            raise ValueError(msg)
        if self.parking_time >= self.model_time:
            msg = "AGENT_ACTORS_PARKING_TIME must be shorter than AGENT_ACTORS_MODEL_TIME"
            raise ValueError(msg)
        return self

    @property
    def rules_of(self) -> RulesOf:
        """How the actors of a type are kept."""
        general = ActorRules(self.idle_timeout, self.actor_drain, self.reentrancy_depth)
        return rules_of(general, self.actor_types)


def read() -> Settings:
    """The settings as the environment has them.

    Raises:
        StartupError: One is not of its form; the text names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        named = name if name.startswith(_FOREIGN) else f"AGENT_ACTORS_{name}"
        text = first["msg"].removeprefix("Value error, ")
        raise StartupError(f"{named}: {text}" if name else text) from None
