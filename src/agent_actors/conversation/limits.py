"""The bounds of a conversation."""

from dataclasses import dataclass, fields

from agent_actors.settings import Settings


@dataclass(frozen=True, slots=True)
class ChatLimits:
    """The settings that a conversation goes by; see `settings.Settings`."""

    message_bytes: int
    recovery_period: float
    outcomes_kept: int
    history_turns: int
    queue_length: int
    schedules: int
    window_turns: int
    window_tokens: int
    parking_time: float
    idle_timeout: float
    history_ttl: float
    clearing_forgets: bool
    message_count_timer: bool

    @classmethod
    def of(cls, settings: Settings) -> "ChatLimits":
        """Those of the service's settings."""
        return cls(**{each.name: getattr(settings, each.name) for each in fields(cls)})
