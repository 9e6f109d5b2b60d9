"""Models: a model turns a prompt into a reply. `echo` needs no key and no network."""

from dataclasses import dataclass, field

from agent_actors.protocol.messages import Exchange, Message, Person, Reply


@dataclass(frozen=True, slots=True)
class Prompt:
    """Everything that a model gets for a turn.

    Attributes:
        conversation: The conversation's id.
        user: The user's id.
        turn_id: The turn's id; the same when the turn runs again after a crash.
        number: The turn's number in its conversation, from 1.
        message: The message to answer.
        memory: The user's latest messages and answers in all conversations, newest last.
        window: The last exchanges of this conversation, oldest first.
        person: The user's name, preferred style and summary.
        earlier: A summary of this conversation before its window.
        message_count: The user's messages answered before this one, in all conversations; counted
            only for a model with `uses_history`.
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
    """Everything that a model gets for a summary.

    Attributes:
        about: The user's name, or empty if a conversation is summed up.
        previous: The last summary, or empty.
        messages: The messages since then, oldest first.
    """

    about: str
    previous: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """A model in words, without secrets.

    Attributes:
        name: The model's name; empty before it is chosen.
        server: Scheme, host and port of its server, if it has one.
        own: Whether the app's code brings the model, whatever the settings are.
    """

    name: str
    server: str | None = None
    own: bool = False


class Model:
    """Answers prompts; the base class of every model. Only `reply` must be overridden.

    Example:
        ```python
        from agent_actors import create_app
        from agent_actors.model import Model, Prompt
        from agent_actors.protocol.messages import Reply


        class Parrot(Model):
            async def reply(self, prompt: Prompt) -> Reply:
                return Reply(prompt.message.content, model="parrot")


        app = create_app(model=Parrot())
        ```

    The service calls a model from one event loop, for many turns at once, and cancels a call after
    `AGENT_ACTORS_MODEL_TIME` seconds. A reply has at most 1 MiB in UTF-8.
    """

    uses_history = False
    """Whether the model reads `earlier` and `message_count`: only then does the service sum up old
    exchanges and count messages."""

    async def start(self) -> None:
        """Begins to get ready, without waiting for it.

        Raises:
            StartupError: The model can never be ready.
        """

    async def stop(self) -> None:
        """Releases resources. Idempotent."""

    async def loaded(self) -> None:
        """Waits until the work begun by `start` has ended, whether it succeeded or failed."""

    def unready(self) -> str | None:
        """Why the model cannot answer yet, as a sentence for `/readyz`; None if it can."""
        return None

    def describe(self) -> ModelDescription:
        """The model in words, for `agent-actors doctor`: by default the name of its class."""
        return ModelDescription(type(self).__name__, own=True)

    async def reply(self, prompt: Prompt) -> Reply:
        """Answers a message.

        Raises:
            ModelError: The model failed or refused. Nothing of the turn is saved, and the caller
                gets the error's text. Any other exception counts as a failure without a text.
        """
        raise NotImplementedError

    async def summarise(self, digest: SummaryPrompt) -> str:
        """A summary of a few sentences; by default it quotes the user's last messages.

        Raises:
            ModelError: The model failed.
        """
        contents = [each.content.strip() for each in digest.messages if each.role == "user"]
        if not contents:
            return digest.previous
        last = "; ".join(repr(each[:QUOTED]) for each in contents[-LAST:])
        return f"{digest.about or 'The user'} lately said: {last}."


QUOTED = 80
"""Characters of a message that the default summary quotes."""
LAST = 3
"""Messages that it quotes."""
