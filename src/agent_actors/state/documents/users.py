"""The documents of the consumers of events: what is stored about a user."""

from dataclasses import dataclass, field

from agent_actors.protocol.messages import Message, Person, SessionExchange, Usage


@dataclass(frozen=True, slots=True)
class Mark:
    """The last event of a conversation that a consumer has applied.

    It is saved with the event's effect, in one transaction, and has no gaps: an event that comes
    too early is refused (4.11, 4.12). Each conversation has a key of its own, so that no document
    grows with their number. Messages up to turn `forgotten` are forgotten.
    """

    v: int = 2
    seq: int = 0
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class Tombstone:
    """When the user was forgotten, in epoch seconds; an event published before has no effect."""

    v: int = 1
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Origin:
    """The turn of a remembered message; `seq` is 0 if it has no number."""

    conversation: str = ""
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Memory:
    """A user's last messages and replies, over all conversations.

    Attributes:
        seen: The ids of the last events from other services.
        events: Applied events; never goes back.
        summarised: The user's summary covers this many of them.
        fresh: The messages of the events after those, each shortened, for the next summary.
        origins: The turns of the last `entries`, one for each.
        fresh_origins: The same for `fresh`.
    """

    v: int = 3
    entries: tuple[Message, ...] = ()
    seen: tuple[str, ...] = ()
    events: int = 0
    summarised: int = 0
    fresh: tuple[Message, ...] = ()
    origins: tuple[Origin, ...] = ()
    fresh_origins: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """Who a user is; None where it is not known.

    With `summed_up` the summary was made from the user's messages, not given by a caller.
    """

    v: int = 2
    name: str | None = None
    preferred_style: str | None = None
    user_summary: str | None = None
    summed_up: bool = False

    def person(self, user: str) -> Person:
        """The user, with the defaults of a new user for what is not known."""
        new = Person.new(user)
        return Person(
            self.name or new.name,
            self.preferred_style or new.preferred_style,
            self.user_summary or new.user_summary,
        )


@dataclass(frozen=True, slots=True)
class LastExchanges:
    """A user's last exchanges over all conversations, oldest first; fields as in `Memory`."""

    v: int = 2
    exchanges: tuple[SessionExchange, ...] = ()
    seen: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()


@dataclass(frozen=True, slots=True)
class UserPreferences:
    """A user's preferences, by name."""

    v: int = 1
    values: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SessionIndex:
    """The pages of a user's sessions, `first` to `last`; those below `open` are being deleted."""

    v: int = 1
    first: int = 0
    last: int = 0
    open: int = 0


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Session ids, in the order in which the sessions were opened."""

    v: int = 1
    session_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A user's messages to one model, and their tokens."""

    messages: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Analytics:
    """A user's message and token counts; `seen` are the ids of the last turns counted."""

    v: int = 1
    message_count: int = 0
    usage: Usage = field(default_factory=Usage)
    models: tuple[tuple[str, ModelUse], ...] = ()
    seen: tuple[str, ...] = ()
