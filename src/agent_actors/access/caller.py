"""Who calls, as a token has said it."""

from dataclasses import dataclass

from agent_actors.errors import Forbidden, Invalid
from agent_actors.protocol import ids


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller whose token was checked.

    `subject` is its user id. A token of an issuer may have a subject that is no user id: then it
    reaches no user's routes, unless it is an admin's.
    """

    subject: str
    admin: bool = False

    def require(self, user: str) -> None:
        """Lets the caller act for a user.

        Raises:
            Forbidden: It is another one.
        """
        if self.admin or (user == self.subject and is_user(user)):
            return
        if not is_user(self.subject):
            raise Forbidden(
                "The token's subject is no user id of this service; the claim that is one is named"
                " by AGENT_ACTORS_JWT_SUBJECT_CLAIM."
            )
        raise Forbidden("The token is of another user.")


def is_user(subject: str) -> bool:
    """May a subject be a user id?"""
    try:
        ids.actor_id(subject)
    except Invalid:
        return False
    return True
