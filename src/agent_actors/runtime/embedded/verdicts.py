"""How daprd reads a subscription route's answer (docs/dapr-behaviour.md#pubsub)."""

from dataclasses import dataclass
from typing import Literal

from agent_actors.protocol.codec import json_object
from agent_actors.runtime import DeliveryResponse


@dataclass(frozen=True, slots=True)
class DeliveryVerdict:
    """The result of a delivery and its reason, which never repeats the event."""

    end: Literal["done", "retry", "drop"]
    reason: str = ""


def judge(path: str, answer: DeliveryResponse) -> DeliveryVerdict:
    """The meaning of a route's response: an unknown status is a failure, an empty body success."""
    if answer.status == 404:
        return DeliveryVerdict("drop", f"{path} answered 404")
    if not 200 <= answer.status < 300:
        return DeliveryVerdict("retry", f"{path} answered {answer.status}")
    # daprd cannot parse a response whose status is no string, and uses the HTTP status alone.
    status = json_object(answer.body).get("status")
    if not isinstance(status, str) or status in ("", "SUCCESS"):
        return DeliveryVerdict("done")
    if status == "DROP":
        return DeliveryVerdict("drop", f"{path} answered DROP")
    if status == "RETRY":
        return DeliveryVerdict("retry", f"{path} answered RETRY")
    return DeliveryVerdict("retry", f"{path} answered an unknown status")
