"""The schedules of a conversation, as its saves told of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent_actors.protocol import ids

Json = dict[str, Any]


@dataclass(slots=True)
class Plan:
    """A schedule that was saved; `dropped` where its user was forgotten since."""

    schedule_id: str
    created: float
    content: str
    times: int
    dropped: bool = False

    def turn_ids(self, conversation: str) -> list[str]:
        """The turns that it says."""
        return [
            ids.occurrence_id(conversation, self.schedule_id, self.created, number)
            for number in range(self.times)
        ]


class Plans:
    """Every schedule there ever was."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, float], Plan] = {}
        self._kept: dict[tuple[str, float], Json] = {}

    def saved(self, changes: Mapping[str, Json | None], now: float) -> str | None:
        """A save took effect; what is wrong with it, if anything."""
        head = changes.get("head")
        forgotten = bool(head and head["ended"] == "forgotten")
        for plan in self.known.values():
            plan.dropped |= forgotten
        if "schedules" not in changes:
            return None
        before, listed = self._kept, (changes["schedules"] or {}).get("schedules", ())
        self._kept = {(each["id"], each["created"]): each for each in listed}
        for key, each in self._kept.items():
            self.known.setdefault(key, Plan(*key, each["content"], each.get("left") or 1))
        return None if forgotten else self._wrong(before, now)

    def _wrong(self, before: Mapping[tuple[str, float], Json], now: float) -> str | None:
        for key, was in before.items():
            said = self._kept.get(key, {"number": was["number"] + 1})["number"] - was["number"]
            if said and now < was["next_due"]:
                return f"{was} was said at {now}, before its time"
            if said not in {0, 1}:
                return f"{was} was said {said} times at once"
        return None
