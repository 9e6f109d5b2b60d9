"""Stored documents, read by a later release than the one that stored them.

`UPGRADES` has a step from each version of a document to the next. A document is upgraded when it is
read, and stored in its new form by the next save. A version from a newer release is an error: an
empty document in its place would lose what is stored.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import from_json

from agent_actors.errors import Defect
from agent_actors.protocol.codec import adapter, fields
from agent_actors.state.documents.conversation import Head, Segment
from agent_actors.state.documents.users import LastExchanges, Mark, Memory, Profile

Document = TypeVar("Document")
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


def _new_fields(stored: dict[str, Any]) -> dict[str, Any]:
    """A step that only added fields with defaults."""
    return {**stored, "v": stored["v"] + 1}


UPGRADES: Mapping[type, Sequence[Upgrade]] = {
    Head: (_new_fields, _new_fields),
    Segment: (_new_fields, _new_fields),
    Memory: (_new_fields, _new_fields),
    Profile: (_new_fields,),
    Mark: (_new_fields,),
    LastExchanges: (_new_fields,),
}
"""For each document, the steps from version 1 to 2, from 2 to 3 …"""


def read(
    data: bytes, kind: type[Document], upgrades: Mapping[type, Sequence[Upgrade]] = UPGRADES
) -> Document:
    """A stored document, in today's form; `Defect` if it is broken or of a newer release."""
    steps = upgrades.get(kind, ())
    try:
        stored = from_json(data)
        # A version below 1 has no steps: a negative slice would count from the end.
        for step in steps[stored["v"] - 1 :] if stored["v"] > 0 else ():
            stored = step(stored)
        if stored["v"] != len(steps) + 1:
            raise Defect(f"The stored {kind.__name__} was written by another release.")
        return cast(Document, adapter(kind).validate_python(stored))
    except ValidationError as error:
        raise Defect(f"The stored {kind.__name__} cannot be read: {fields(error)}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise Defect(f"The stored {kind.__name__} cannot be read.") from error
