"""How daprd reads a subscription route's answer (docs/dapr-behaviour.md#pubsub)."""

from dataclasses import dataclass
from typing import Literal

from pydantic_core import from_json

from agent_actors.runtime import DeliveryResponse


@dataclass(frozen=True, slots=True)
class DeliveryVerdict:
    """What becomes of an event, and why. The reason never repeats what was in it."""

    end: Literal["done", "retry", "drop"]
    reason: str = ""


def judge(path: str, answer: DeliveryResponse) -> DeliveryVerdict:
    """What a route's answer means: an unknown status is a failure, silence is success."""
    if answer.status == 404:
        return DeliveryVerdict("drop", f"{path} answered 404")
    if not 200 <= answer.status < 300:
        return DeliveryVerdict("retry", f"{path} answered {answer.status}")
    status = _status(answer.body)
    if status in ("", "SUCCESS"):
        return DeliveryVerdict("done")
    if status == "DROP":
        return DeliveryVerdict("drop", f"{path} answered DROP")
    if status == "RETRY":
        return DeliveryVerdict("retry", f"{path} answered RETRY")
    return DeliveryVerdict("retry", f"{path} answered an unknown status")


def _status(body: bytes) -> str:
    try:
        answer = from_json(body)
    except ValueError:
        return ""
    status = answer.get("status") if isinstance(answer, dict) else None
    # daprd cannot parse an answer whose status is no text, and goes by the HTTP status alone.
    return status if isinstance(status, str) else ""
