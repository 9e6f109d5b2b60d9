"""Whose turn runs here: what a line of the log says beside its message.

A turn sets one variable; what is in it is looked at only where a line is written.
"""

from collections.abc import Mapping
from contextvars import ContextVar, Token

_acting: ContextVar["LogContext | None"] = ContextVar("acting", default=None)


class LogContext:
    """A block in which an actor acts, or something acts for it.

    Args:
        actor_type: The actor's type.
        actor_id: Its id.
        about: What it was given: the turn is the first of it that has a `turn_id`, or a `turn`.
    """

    __slots__ = ("_about", "_id", "_token", "_type")

    def __init__(self, actor_type: str, actor_id: str, about: tuple[object, ...] = ()) -> None:
        self._type = actor_type
        self._id = actor_id
        self._about = about

    def __enter__(self) -> None:
        self._token: Token[LogContext | None] = _acting.set(self)

    def __exit__(self, *_: object) -> None:
        _acting.reset(self._token)

    @property
    def fields(self) -> Mapping[str, str]:
        """The ids, by the names of their fields."""
        named = {"actor_type": self._type, "actor_id": self._id}
        for each in self._about:
            turn_id = getattr(getattr(each, "turn", each), "turn_id", None)
            if isinstance(turn_id, str):
                return {**named, "turn_id": turn_id}
        return named


def fields() -> Mapping[str, str]:
    """The ids of what runs here; empty where no actor acts."""
    acting = _acting.get()
    return {} if acting is None else acting.fields
