"""The caller of a public route."""

from dataclasses import dataclass

from agent_actors.errors import Forbidden, Invalid
from agent_actors.protocol import ids


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller with a valid token.

    `subject` is its user id. The subject of a JWT may be something else: such a caller has access
    to no user, unless it is an admin.
    """

    subject: str
    admin: bool = False

    def require(self, user: str) -> None:
        """Raises `Forbidden` if the caller may not act for a user."""
        if self.admin or (user == self.subject and is_user(user)):
            return
        if not is_user(self.subject):
            raise Forbidden(
                "The token's subject is not a user id of this service;"
                " AGENT_ACTORS_JWT_SUBJECT_CLAIM names the claim that is used."
            )
        raise Forbidden("The token belongs to another user.")


def is_user(subject: str) -> bool:
    """Is the subject a valid user id?"""
    try:
        ids.actor_id(subject)
    except Invalid:
        return False
    return True
