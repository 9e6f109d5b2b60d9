"""JSON bodies that several routers share."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from agent_actors.protocol.messages import Message, Role


class Body(BaseModel):
    """What a caller sends to a public route: members that are not known are refused.

    Events of other services and records are no such bodies: they may have more than is read here.
    """

    model_config = ConfigDict(extra="forbid")


class ChatMessage(Body):
    """A user's message."""

    model_config = ConfigDict(
        strict=True, json_schema_extra={"examples": [{"role": "user", "content": "Hello, agent!"}]}
    )

    role: Literal["user"]
    content: str


class MessageDocument(BaseModel):
    """One thing that was said."""

    role: Role = Field(examples=["user"])
    content: str = Field(examples=["Hello, agent!"])

    @classmethod
    def of(cls, message: Message) -> "MessageDocument":
        """The message as routes show it."""
        return cls.model_construct(role=message.role, content=message.content)


class EventStatus(BaseModel):
    """What becomes of the event, in daprd's words."""

    status: Literal["SUCCESS", "RETRY", "DROP"] = Field(examples=["SUCCESS"])
