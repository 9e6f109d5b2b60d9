"""`/notifications/{user_id}`: the SMS that told a user of answered turns."""

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
    """An SMS about a turn; `to` is the end of the phone number.

    If `status` is `unknown`, the SMS may have been sent: it is on its way, or no answer came.
    """

    at: str = Field(examples=["2026-01-01T12:00:00Z"])
    conversation: str = Field(examples=["ada"], description="A session, or the user's own.")
    turn_id: str
    status: NotificationStatus
    to: str = Field(examples=["123"])

    @classmethod
    def of(cls, record: NotificationRecord) -> "Notification":
        """The document of a stored notification."""
        at = datetime.fromtimestamp(record.at, UTC).isoformat().replace("+00:00", "Z")
        return cls(
            at=at,
            conversation=ids.session_of(record.conversation) or record.conversation,
            turn_id=record.turn_id,
            status=record.status,
            to=record.ending,
        )


class Notifications(BaseModel):
    """The last 50 at most, newest first."""

    notifications: list[Notification]


@router.get("/{user_id}", responses=responses(404, 422, 503))
async def notifications(user_id: UserIdPath, request: Request) -> Notifications:
    """The user's last SMS and their status, newest first."""
    services = services_of(request)
    if services.notifications is None:
        raise NotFound("SMS are switched off: AGENT_ACTORS_SMS_BINDING is not set.")
    return Notifications(notifications=await notifications_of(services, user_id))


async def notifications_of(services: Services, user: str) -> list[Notification]:
    """The user's notifications, newest first; none if SMS are switched off."""
    if services.notifications is None:
        return []
    return [Notification.of(each) for each in reversed(await services.reader.notices(user))]
