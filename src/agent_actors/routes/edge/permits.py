"""What a caller's token lets a route do, where the path alone does not say whose it is (I11)."""

from fastapi import Request

from agent_actors.errors import NotFound
from agent_actors.routes.edge.dependencies import caller_of, services_of


def permit(request: Request, user: str) -> None:
    """Lets the caller act for a user that the body names.

    Raises:
        Forbidden: It is another one.
    """
    caller = caller_of(request.scope)
    if caller is not None:
        caller.require(user)


async def permit_session(request: Request, conversation: str) -> None:
    """Lets the caller look into a session of its own.

    Raises:
        NotFound: It is another user's. Of one that nobody began the same is said, lest callers
            learn which there are.
    """
    caller = caller_of(request.scope)
    if caller is None or caller.admin:
        return
    if (await services_of(request).reader.head(conversation)).user != caller.subject:
        raise NotFound("There is no such session of this user.")


async def place_of_turns(request: Request, conversation: str) -> str:
    """Where the caller may look for a turn of a session: in it, or in its own conversation.

    A session is nobody's while a workflow carries its first turn, which is then found under the id
    of its user, too; and whoever asks for a turn of another user finds none.

    Raises:
        Forbidden: The caller is no user.
    """
    caller = caller_of(request.scope)
    if caller is None or caller.admin:
        return conversation
    caller.require(caller.subject)
    owner = (await services_of(request).reader.head(conversation)).user
    return conversation if owner == caller.subject else caller.subject
