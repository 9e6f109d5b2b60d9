"""Events that `agent-actors doctor` sends through the broker, to see whether they come back.

A probe comes on the topic as any event. It is noted and acknowledged, and has no effect: in form it
is the clearing of a conversation that nobody has, so that a release which does not know probes
drops it, and no dead letter is kept. Whether it has come, doctor asks the same route, with the
callbacks' token; a question has a form that no broker delivers.
"""

from collections import deque
from typing import Literal

from agent_actors.protocol import wire
from agent_actors.protocol.codec import encode, json_object
from agent_actors.protocol.events import CloudEvent

MARK = "agent-actors.doctor"
"""The type of a probe; no event without it in its bytes is looked at twice."""
KEPT = 64
"""Probes that are remembered, the newest ones."""
_MARK = MARK.encode()
_LONGEST = 64
"""Characters of a probe's id."""

Answer = Literal["SUCCESS", "RETRY"]


class Probes:
    """The probes that have come to this process."""

    def __init__(self) -> None:
        self._come: deque[str] = deque(maxlen=KEPT)

    def answer(self, body: bytes) -> Answer | None:
        """What a probe, or a question for one, is answered; None where it is neither.

        A probe is always `SUCCESS`; a question is that once its probe has come, and else `RETRY`.
        """
        if _MARK not in body:
            return None
        told = json_object(body)
        if told.get("asked") == MARK:
            return "SUCCESS" if told.get("probe") in self._come else "RETRY"
        data = told.get("data")
        if told.get("type") != MARK or not isinstance(data, dict):
            return None
        self._come.append(str(data.get("probe"))[:_LONGEST])
        return "SUCCESS"


def probe(name: str, now: str) -> CloudEvent:
    """The event of a probe.

    Args:
        name: Of this probe alone.
        now: The time, in ISO 8601.
    """
    nobody = f"doctor-{name}"
    data = {
        "version": wire.EVENT_VERSION,
        "event_id": nobody,
        "event_type": wire.CLEARED_TYPE,
        "actor_id": nobody,
        "actor_type": wire.CHAT,
        "user_id": nobody,
        "upto": 1,
        "occurred_at": now,
        "probe": name,
    }
    return CloudEvent(nobody, MARK, MARK, nobody, data)


def question(name: str) -> bytes:
    """Asks whether that probe has come."""
    return encode({"asked": MARK, "probe": name})
