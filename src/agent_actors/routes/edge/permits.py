"""Checks of the caller in routes whose path does not name the user (I11)."""

from fastapi import Request

from agent_actors.errors import NotFound
from agent_actors.routes.edge.dependencies import caller_of, services_of


def permit(request: Request, user: str) -> None:
    """Permits a request for the user that its body names.

    Raises:
        Forbidden: The caller is another user.
    """
    caller = caller_of(request.scope)
    if caller is not None:
        caller.require(user)


async def permit_session(request: Request, conversation: str) -> None:
    """Permits the caller to read its own session.

    Raises:
        NotFound: The session belongs to another user. The answer is the same if it does not exist,
            so that callers cannot find out which sessions there are.
    """
    caller = caller_of(request.scope)
    if caller is None or caller.admin:
        return
    if (await services_of(request).reader.head(conversation)).user != caller.subject:
        raise NotFound("There is no such session of this user.")


async def place_of_turns(request: Request, conversation: str) -> str:
    """The conversation in which the caller may look for a turn: the session, or its own one.

    While a workflow runs the first turn of a session, the session has no owner yet; the turn is
    then found in the user's own conversation as well. Turns of other users are not found there.

    Raises:
        Forbidden: The caller is not a user.
    """
    caller = caller_of(request.scope)
    if caller is None or caller.admin:
        return conversation
    caller.require(caller.subject)
    owner = (await services_of(request).reader.head(conversation)).user
    return conversation if owner == caller.subject else caller.subject
