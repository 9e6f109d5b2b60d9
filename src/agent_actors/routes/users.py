"""`/users/{user_id}`: a user's sessions, last exchanges and preferences; export and deletion."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, RootModel, model_validator
from starlette.responses import StreamingResponse

from agent_actors.errors import NotFound
from agent_actors.forms import phone_number
from agent_actors.routes.edge.dependencies import Text, UserIdPath, services_of
from agent_actors.routes.edge.problems import responses
from agent_actors.routes.export import ExportDocument, export_of

router = APIRouter(prefix="/users", tags=["users"])

PREFERENCES = 32
"""How many preferences a user may have."""


class User(BaseModel):
    """A user, in a role."""

    user_id: str = Field(examples=["alice"])
    role: str = Field(examples=["admin"])


class LastExchange(BaseModel):
    """A message of the user, and its reply."""

    message: str = Field(examples=["Hi, how are you?"])
    reply: str


class Session(BaseModel):
    """The last exchanges: ten at most, newest last."""

    history: list[LastExchange]


class UserSessions(BaseModel):
    """Sessions in the order in which they were opened; `next` is the number of the next page."""

    sessions: list[str] = Field(examples=[["90f6242e-7dae-494f-a919-e47b0bd8815e"]])
    next: int | None


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Value = Annotated[Text, Field(max_length=1_024)]


class PreferencesDocument(RootModel[dict[Name, Value]]):
    """The user's preferences by name; `phone` is the number that gets SMS about answered turns.

    A preference that is null is left out.
    """

    model_config = {
        "json_schema_extra": {
            "additionalProperties": False,
            "maxProperties": PREFERENCES,
            "properties": {
                "phone": {"type": ["string", "null"], "pattern": f"^{phone_number.NUMBER_FORM}$"}
            },
            "examples": [{"language": "en", "timezone": "UTC"}],
        }
    }

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None}

    @model_validator(mode="after")
    def _bounded(self) -> "PreferencesDocument":
        if len(self.root) > PREFERENCES:
            raise ValueError(f"at most {PREFERENCES} preferences")
        return self


@router.get("/{user_id}", responses=responses(422))
async def user(
    user_id: UserIdPath,
    role: Annotated[Text, Query(max_length=64, description="The user's role.")] = "guest",
) -> User:
    """The user in a role, by default a guest. Nothing is looked up: any user id will do."""
    return User(user_id=user_id, role=role or "guest")


@router.get("/{user_id}/session", responses=responses(422, 503))
async def session(user_id: UserIdPath, request: Request) -> Session:
    """The user's last exchanges, in all conversations."""
    exchanges = await services_of(request).reader.last_exchanges(user_id)
    return Session.model_construct(
        history=[
            LastExchange.model_construct(message=each.message, reply=each.reply)
            for each in exchanges
        ]
    )


@router.delete("/{user_id}/session", status_code=204, responses=responses(422, 503))
async def clear_session(user_id: UserIdPath, request: Request) -> None:
    """Delete the last exchanges; the conversations they come from stay."""
    await services_of(request).actors.sessions.clear(user_id)


@router.get("/{user_id}/sessions", responses=responses(422, 503))
async def sessions(
    user_id: UserIdPath,
    request: Request,
    page: Annotated[int, Query(ge=0, le=2**53, description="The `next` of a page.")] = 0,
) -> UserSessions:
    """The sessions in which the user has sent a message that waits, or has been answered."""
    found = await services_of(request).reader.begun_sessions(user_id, page)
    return UserSessions(sessions=list(found.session_ids), next=found.next)


@router.get("/{user_id}/preferences", responses=responses(422, 503))
async def preferences(user_id: UserIdPath, request: Request) -> PreferencesDocument:
    """The user's preferences."""
    return PreferencesDocument.model_construct(
        await services_of(request).reader.preferences(user_id)
    )


@router.put("/{user_id}/preferences", responses=responses(400, 413, 422, 503))
async def prefer(
    user_id: UserIdPath, preferences: PreferencesDocument, request: Request
) -> PreferencesDocument:
    """Replace the user's preferences."""
    phone = preferences.root.get("phone")
    if phone is not None and not phone_number.is_number(phone):
        reason = "a phone number is + and 8 to 15 digits, the first one not 0, as in +14155550123"
        raise RequestValidationError([{"loc": ("body", "phone"), "msg": reason, "type": "phone"}])
    await services_of(request).actors.sessions.set_preferences(user_id, preferences.root)
    return preferences


@router.get(
    "/{user_id}/export",
    response_class=StreamingResponse,
    responses={
        200: {"model": ExportDocument, "description": "Everything, as one document."},
        **responses(404, 422, 503),
    },
)
async def export(user_id: UserIdPath, request: Request) -> StreamingResponse:
    """Everything that is stored about the user, as one JSON document."""
    parts = await export_of(services_of(request), user_id)
    if parts is None:
        raise NotFound("Nothing is stored about this user.")
    return StreamingResponse(parts, media_type="application/json")


@router.delete("/{user_id}", status_code=204, responses=responses(422, 503))
async def forget(user_id: UserIdPath, request: Request) -> None:
    """Delete the user: every conversation, memory, numbers and dead letters.

    The deletion is complete when this returns; after an error, send the request again. If the user
    writes again, that begins a new conversation; sessions from before stay closed.
    """
    await services_of(request).erase_user(user_id)
