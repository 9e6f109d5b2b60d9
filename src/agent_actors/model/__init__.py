"""The model: what turns a prompt into a reply. `echo` needs no key and no network."""

from dataclasses import dataclass, field

from agent_actors.protocol.messages import Exchange, Message, Person, Reply


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything a model sees of a turn.

    `number` is the turn's number in its conversation, from 1; `memory` the user's entries, newest
    last; `window` the last exchanges of the conversation, oldest first; `earlier` sums up what came
    before them. `message_count` is how many messages of the user were answered before, in all
    conversations; only a model that `uses_history` is told.
    """

    conversation: str
    user: str
    turn_id: str
    number: int
    message: Message
    memory: tuple[Message, ...]
    window: tuple[Exchange, ...]
    person: Person = field(default_factory=lambda: Person.new("user"))
    earlier: str = ""
    message_count: int = 0


@dataclass(frozen=True, slots=True)
class SummaryPrompt:
    """What is to be summed up: the last summary, and what was said since, oldest first.

    `about` is the user whom the summary is about, or empty where it is about a conversation.
    """

    about: str
    previous: str
    messages: tuple[Message, ...]


class Model:
    """Answers prompts. The base of every model; `reply` is the only method it must have."""

    uses_history = False
    """Whether it uses what the conversation had before: then that is summed up, and counted."""

    async def start(self) -> None:
        """Begins to make itself ready; waits for nothing.

        Raises:
            StartupError: It never will be.
        """

    async def stop(self) -> None:
        """Gives back what it holds. Idempotent."""

    async def loaded(self) -> None:
        """Returns when what `start` began is over, also where it failed."""

    def unready(self) -> str | None:
        """Why it cannot answer yet, or None if it can."""
        return None

    async def reply(self, prompt: Prompt) -> Reply:
        """The answer.

        Raises:
            ModelError: It failed or refused; nothing of the turn is kept.
        """
        raise NotImplementedError

    async def summarise(self, digest: SummaryPrompt) -> str:
        """A summary of at most a few sentences; the plain one says what was said last.

        Raises:
            ModelError: It failed.
        """
        said = [entry.content.strip() for entry in digest.messages if entry.role == "user"]
        if not said:
            return digest.previous
        last = "; ".join(repr(each[:SHOWN]) for each in said[-LAST:])
        return f"{digest.about or 'The user'} lately said: {last}."


SHOWN = 80
"""Characters of what was said that a plain summary repeats."""
LAST = 3
"""Messages that it repeats."""
