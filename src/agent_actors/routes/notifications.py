"""`/notifications/{user_id}`: which turns a user was told of by SMS."""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from agent_actors.errors import NotFound
from agent_actors.protocol import ids
from agent_actors.protocol.notifications import NotificationRecord, NotificationStatus
from agent_actors.routes.edge.dependencies import Services, UserIdPath, services_of
from agent_actors.routes.edge.problems import responses

router = APIRouter(prefix="/notifications", tags=["users"])


class Notification(BaseModel):
    """An SMS that was to tell of a turn; `to` is how the number ends.

    Whether one that is `unknown` was sent nobody knows: it is on its way, or no answer came.
    """

    at: str = Field(examples=["2026-01-01T12:00:00Z"])
    conversation: str = Field(examples=["ada"], description="A session, or the user's own.")
    turn_id: str
    status: NotificationStatus
    to: str = Field(examples=["123"])

    @classmethod
    def of(cls, notice: NotificationRecord) -> "Notification":
        """A notification as it is shown."""
        at = datetime.fromtimestamp(notice.at, UTC).isoformat().replace("+00:00", "Z")
        named = ids.session_of(notice.conversation) or notice.conversation
        return cls(
            at=at,
            conversation=named,
            turn_id=notice.turn_id,
            status=notice.status,
            to=notice.ending,
        )


class Notifications(BaseModel):
    """The last 50 at most, newest first."""

    notifications: list[Notification]


@router.get("/{user_id}", responses=responses(404, 422, 503))
async def notifications(user_id: UserIdPath, request: Request) -> Notifications:
    """Which turns the user was told of, what became of it, newest first."""
    services = services_of(request)
    if services.notifications is None:
        raise NotFound("Nobody is told by SMS here: AGENT_ACTORS_SMS_BINDING names no binding.")
    return Notifications(notifications=await notified(services, user_id))


async def notified(services: Services, user: str) -> list[Notification]:
    """The user's notifications, newest first; none where nobody is told."""
    if services.notifications is None:
        return []
    return [Notification.of(each) for each in reversed(await services.reader.notices(user))]
