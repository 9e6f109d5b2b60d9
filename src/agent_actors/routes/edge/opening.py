"""Opening a session: it is on its user's list before its first turn is accepted."""

from agent_actors.errors import NotFound
from agent_actors.protocol import ids
from agent_actors.routes.edge.dependencies import Services


async def open_session(services: Services, user: str, conversation: str) -> None:
    """Lets a user say something in a session; the first time, puts it on the user's list.

    So whoever forgets the user finds every session that has a turn, or is about to.

    Raises:
        NotFound: The session belongs to another user.
        TryLater: A part is away.
    """
    head = await services.reader.head(conversation)
    if head.user and head.user != user:
        raise NotFound("There is no such session of this user.")
    session_id = ids.session_of(conversation)
    if not head.user and session_id is not None:
        await services.sessions.open(user, session_id)
