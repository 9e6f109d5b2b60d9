"""The settings: read once from the environment (`AGENT_ACTORS_<NAME>`), then frozen.

Durations are in seconds. `make docs` writes docs/settings.md from the descriptions.
"""

from collections.abc import Mapping
from difflib import get_close_matches
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
"""Prefixes of variables that belong to Dapr or a model provider."""

LESSON: Mapping[str, object] = MappingProxyType(
    {"message_count_timer": True, "history_ttl": 3_600.0, "reentrancy_depth": 32}
)
"""The defaults of the profile `lesson`: a timer, a reminder, and reentrancy."""


class Settings(AccessSettings):
    """The settings of one process.

    Usually they come from environment variables; keyword arguments take precedence:

        app = create_app(Settings(model="echo", parking_time=0.5))
    """

    model_config = SettingsConfigDict(env_prefix="AGENT_ACTORS_", frozen=True, extra="ignore")

    model: str = Field(
        "",
        description="The model: its name, `echo`, or `scripted`, which obeys `/slow 5`, `/fail` and"
        " `/hang`. By default a model of the provider whose API key is set, else `echo`.",
    )
    model_base_url: str | None = Field(
        None,
        description="URL of an OpenAI-compatible server (Ollama, vLLM, llama.cpp). Takes precedence"
        " over the providers' API keys, and needs AGENT_ACTORS_MODEL.",
    )
    model_api_key: SecretStr | None = Field(
        None, description="The API key for that server, if it needs one."
    )
    openai_api_key: SecretStr | None = Field(
        None, validation_alias="OPENAI_API_KEY", description="The API key for OpenAI."
    )
    gemini_api_key: SecretStr | None = Field(
        None,
        validation_alias="GEMINI_API_KEY",
        description="The API key for Gemini, used for models with `gemini` in their name.",
    )
    secret_store: str | None = Field(
        None,
        description="Dapr secret store with the secrets `openai-api-key` and `gemini-api-key`. Read"
        " at startup, and again when an API key is rejected.",
    )
    model_stream: bool = Field(
        False, description="Stream the model's answers, so that a stalled one is noticed sooner."
    )
    model_retries: int = Field(
        2, ge=0, le=10, description="Retries of a call that the model's server did not accept."
    )
    model_steps: int = Field(
        10, ge=1, le=100, description="Model calls in one turn; a turn that needs more fails (502)."
    )
    tool_time: Seconds = Field(20.0, description="Time limit of a tool call.")
    tool_calls: int = Field(
        16, ge=0, le=1_024, description="Tool calls in one turn; further calls are refused."
    )
    tool_result_bytes: int = Field(
        16_384, ge=256, le=262_144, description="A longer tool result is cut to this many bytes."
    )
    feed_time: Seconds = Field(
        1.0,
        description="The least time between two updates of a user's last exchanges and analytics;"
        " under load, one update has several events.",
    )
    summary_events: int = Field(
        8, ge=1, le=16, description="Exchanges after which the summary of a user is renewed."
    )
    summary_time: Seconds = Field(
        30.0,
        description="The summary of a user is renewed at the latest this long after an exchange"
        " that is not in it.",
    )
    model_time: Seconds = Field(
        120.0,
        description="Time limit of a model call. A turn that exceeds it fails (504) and leaves"
        " nothing in the history.",
    )
    sms_binding: str | None = Field(
        None,
        description="Dapr output binding that notifies users of answers by SMS, such as"
        " `twilio-binding`; by default there are no notifications.",
    )
    sms_per_day: int = Field(
        20,
        ge=0,
        le=1_000,
        description="SMS to one user per day (UTC); further notifications are saved, not sent.",
    )
    orchestration: Literal["turn", "workflow"] = Field(
        "turn",
        description="How turns of `POST /chat/` run: in actors alone, or (on Dapr) in workflows.",
    )
    wait_time: Seconds = Field(
        300.0, description="The longest time that a request waits for its turn; then it gets 202."
    )
    parking_time: Seconds = Field(
        1.5,
        description="If the model is slower than this, the turn is parked: it continues in the"
        " background and the actor stays free.",
    )
    recovery_period: Seconds = Field(
        30.0,
        description="How often a conversation with unfinished turns or unpublished events retries"
        " them.",
    )
    call_time: Seconds = Field(
        5.0, description="Time limit of every call in a turn except the model's."
    )
    message_bytes: int = Field(
        65_536, ge=1, le=1_048_576, description="Longest message, in bytes of UTF-8; else 413."
    )
    history_turns: int = Field(
        0, ge=0, description="Turns kept in the history of a conversation; 0 keeps all."
    )
    outcomes_kept: int = Field(
        256,
        ge=32,
        le=4_096,
        multiple_of=16,
        description="Finished turns whose idempotency key and status a conversation remembers.",
    )
    queue_length: int = Field(
        64, ge=1, le=1_024, description="Messages that may wait for one actor; then 429."
    )
    schedules: int = Field(16, ge=0, le=256, description="Schedules of one user; then 409.")
    window_turns: int = Field(
        8, ge=0, le=64, description="Most recent exchanges that the model gets with a message."
    )
    window_tokens: int = Field(
        8_192,
        ge=0,
        le=262_144,
        description="Limit of the same in tokens, with tool calls; a token is taken as four bytes.",
    )
    profile: Literal["", "lesson"] = Field(
        "",
        description="`lesson` turns on the message count timer, clears conversations after an idle"
        " hour, and allows reentrancy (depth 32), unless those settings say otherwise.",
    )
    history_ttl: float = Field(
        0.0,
        ge=0,
        le=3_660 * 86_400.0,
        description="A conversation is cleared after this long without a message, if it had one"
        " since this was set; 0 clears none.",
    )
    clearing_forgets: bool = Field(
        False,
        description="Clearing a conversation also removes its messages from memory and last"
        " exchanges.",
    )
    message_count_timer: bool = Field(
        False,
        description="Log the number of messages of an active conversation, every 5 s and ten times"
        " at most.",
    )
    idle_timeout: Seconds = Field(
        60.0, description="An actor without a call for this long is deactivated."
    )
    actor_drain: Seconds = Field(
        2.0,
        description="On Dapr: when replicas start or stop, running calls get this long before they"
        " are cancelled and sent again. Must be longer than the parking time.",
    )
    reentrancy_depth: Depth = Field(
        1,
        description="How many calls of one call chain may be in an actor at once. With 1, an actor"
        " cannot be called back by those it calls; more is Dapr's reentrancy.",
    )
    actor_types: Annotated[dict[str, ActorTypeSettings], NoDecode] = Field(
        {},
        description="Overrides for single actor types, as JSON:"
        ' `{"ChatAgent": {"idle_timeout": 600, "drain": 3, "reentrancy_depth": 4}}`.',
    )
    drain: Seconds = Field(7.0, description="Running turns get this long to finish at shutdown.")
    log_format: Literal["text", "json"] = Field(
        "text", description="Log lines as text, or as JSON objects."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO",
        description="The lowest level that is logged. `DEBUG` includes tracebacks, which may"
        " contain messages of users.",
    )
    data: Path = Field(Path(".agent-actors"), description="Data folder of the embedded runtime.")
    components: Path | None = Field(
        None,
        description="Folder of Dapr component files, or several separated as in PATH; by default"
        " `components/` if it exists, else the built-in ones.",
    )
    synchronous: Literal["NORMAL", "FULL"] = Field(
        "NORMAL",
        description="SQLite's `synchronous`: `FULL` survives a power failure, and flushes at every"
        " commit.",
    )

    app_api_token: str | None = Field(
        None,
        validation_alias="APP_API_TOKEN",
        repr=False,
        description="The token for callback routes. By default none on Dapr; a random one per"
        " process on the embedded runtime and for `dev --runtime dapr` without a sidecar.",
    )
    require_token: bool = Field(
        False, description="On Dapr: refuse to start without `APP_API_TOKEN`."
    )
    dapr_http_port: int | None = Field(
        None,
        validation_alias="DAPR_HTTP_PORT",
        ge=1,
        le=65_535,
        description="The sidecar's HTTP port; set by `dapr run` and Kubernetes.",
    )
    dapr_grpc_port: int | None = Field(
        None,
        validation_alias="DAPR_GRPC_PORT",
        ge=1,
        le=65_535,
        description="The sidecar's gRPC port, which only workflows need; set in the same way.",
    )
    dapr_api_token: str | None = Field(
        None,
        validation_alias="DAPR_API_TOKEN",
        repr=False,
        description="The token for the sidecar's API, if it needs one.",
    )

    @model_validator(mode="before")
    @classmethod
    def _known(cls, values: dict[str, object]) -> dict[str, object]:
        # Only keyword arguments can have other names: of the environment, known ones are read.
        # Pydantic passes a TypeError on.
        aliases = {str(each.validation_alias) for each in cls.model_fields.values()}
        for name in values.keys() - cls.model_fields.keys() - aliases:
            wanted = name.lower().removeprefix("agent_actors_")
            near = get_close_matches(wanted, cls.model_fields, n=1, cutoff=0.7)
            meant = f"did you mean {near[0]!r}?" if near else "docs/settings.md lists them all."
            raise TypeError(f"Settings has no {name!r}; {meant}")
        return values

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
        # An empty token would equal a missing one, and text from a file ends in a newline.
        text = value.strip() if isinstance(value, str) else value
        if isinstance(text, str) and not (text.isascii() and text.isprintable()):
            msg = "only printable ASCII characters are allowed"
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
        """The rules of an actor type, by its name."""
        general = ActorRules(self.idle_timeout, self.actor_drain, self.reentrancy_depth)
        return rules_of(general, self.actor_types)


def read() -> Settings:
    """Reads the settings from the environment; a `StartupError` names one that is not valid."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        named = name if name.startswith(_FOREIGN) else f"AGENT_ACTORS_{name}"
        text = first["msg"].removeprefix("Value error, ")
        raise StartupError(f"{named}: {text}" if name else text) from None
