"""Typed clients of our actors: the only callers of `ActorProxy`."""

from typing import Any, TypeVar, cast

from dapr.actor import ActorId, ActorInterface, ActorProxy
from dapr.actor.client.proxy import ActorFactoryBase
from dapr.clients.base import DaprActorClientBase
from pydantic_core import from_json

from agent_actors import contracts
from agent_actors.errors import Defect
from agent_actors.messages import (
    CompleteTurn,
    ForgetLetter,
    KeepLetter,
    MarkOf,
    Message,
    Problem,
    ProcessTurn,
    Remember,
    Remembered,
    Respond,
    Responding,
    TurnState,
)
from agent_actors.serializer import ValueSerializer, adapter, encode

T = TypeVar("T")

_LETTERS = (contracts.LETTERS, contracts.LETTERS_ID)


class ProxyFactory(ActorFactoryBase):
    """Makes proxies that speak through a runtime's client, not through one of the SDK's own."""

    def __init__(self, client: DaprActorClientBase) -> None:
        self._client = client
        self._serializer = ValueSerializer()

    def create(
        self,
        actor_type: str,
        actor_id: ActorId,
        actor_interface: type[ActorInterface] | None = None,
    ) -> ActorProxy:
        """A proxy of that actor."""
        return ActorProxy(self._client, actor_type, actor_id, actor_interface, self._serializer)


class ActorClient:
    """Calls the actors of one type."""

    def __init__(self, factory: ProxyFactory) -> None:
        self._factory = factory

    async def _call(
        self, actor: tuple[str, str], method: str, argument: object, result: Any
    ) -> Any:
        """The method's result.

        Raises:
            Refused: The actor returned an error.
            Unavailable: It could not be reached.
        """
        actor_type, actor_id = actor
        proxy = ActorProxy.create(actor_type, ActorId(actor_id), actor_proxy_factory=self._factory)
        body = None if argument is None else encode(argument)
        return returned(await proxy.invoke_method(method, body), result)


def returned(data: bytes, result: type[T]) -> T:
    """What a turn returned: its value, or its error raised (PROTOCOL, rule 10).

    Raises:
        Refused: The error.
        Defect: It is neither, as when another release answers, or another app's actor.
    """
    try:
        value = from_json(data) if data else None
        if isinstance(value, dict) and value.keys() == {"error"}:
            problem = cast(Problem, adapter(Problem).validate_python(value["error"]))
        else:
            return cast(T, adapter(result).validate_python(value))
    except ValueError:
        # Not its text: pydantic repeats the value, and so what people said.
        raise Defect("An actor's answer is not of the form it should have.") from None
    raise problem.error()


class ChatClient(ActorClient):
    """Calls ChatAgent; the actor's id is the conversation's."""

    async def process(self, conversation: str, request: ProcessTurn) -> TurnState:
        """Runs a turn, or says where it is."""
        actor = (contracts.CHAT, conversation)
        state: TurnState = await self._call(actor, "ProcessMessage", request, TurnState)
        return state

    async def complete(self, conversation: str, request: CompleteTurn) -> None:
        """Delivers the end of a parked turn."""
        await self._call((contracts.CHAT, conversation), "CompleteTurn", request, None)

    async def clear(self, conversation: str) -> None:
        """Hides what was said, and cancels what is queued."""
        await self._call((contracts.CHAT, conversation), "ClearHistory", None, None)


class ResponseClient(ActorClient):
    """Calls the ResponseAgent of a conversation."""

    async def process(self, request: Respond) -> Responding:
        """Starts a turn's model call, or says where it is."""
        actor = (contracts.RESPONSE, contracts.response_id(request.conversation))
        responding: Responding = await self._call(actor, "ProcessMessage", request, Responding)
        return responding


class MemoryClient(ActorClient):
    """Calls the MemoryAgentActor of a user."""

    async def memory(self, user: str) -> tuple[Message, ...]:
        """The user's entries, newest last."""
        actor = (contracts.MEMORY, contracts.memory_id(user))
        entries: tuple[Message, ...] = await self._call(
            actor, "GetMemory", None, tuple[Message, ...]
        )
        return entries

    async def mark(self, user: str, conversation: str) -> int:
        """The number of the last event of a conversation that memory has applied."""
        actor = (contracts.MEMORY, contracts.memory_id(user))
        number: int = await self._call(actor, "GetMark", MarkOf(conversation), int)
        return number

    async def remember(self, user: str, event: Remember) -> Remembered:
        """Applies an event, once and in order."""
        actor = (contracts.MEMORY, contracts.memory_id(user))
        remembered: Remembered = await self._call(actor, "UpdateMemory", event, Remembered)
        return remembered


class DeadLetterClient(ActorClient):
    """Calls the one DeadLetterActor."""

    async def keep(self, request: KeepLetter) -> str:
        """Keeps an event, once; the letter's id."""
        letter_id: str = await self._call(_LETTERS, "Keep", request, str)
        return letter_id

    async def forget(self, request: ForgetLetter) -> None:
        """Removes a letter, if it is there."""
        await self._call(_LETTERS, "Forget", request, None)
