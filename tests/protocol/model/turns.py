"""The methods of the actors, by kind and name."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.protocol.model import chat, consumers, response
from tests.protocol.model.documents import CHAT, CONSUMERS, MEMORY, RESPONSE
from tests.protocol.model.steps import Steps

METHODS: Mapping[tuple[str, str], Callable[..., Steps[Any]]] = {
    (CHAT, "process"): chat.process,
    (CHAT, "complete"): chat.complete,
    (CHAT, "adopt"): chat.adopt,
    (CHAT, "clear"): chat.clear,
    (CHAT, "tick"): chat.tick,
    (RESPONSE, "process"): response.process,
    (RESPONSE, "deliver"): response.deliver,
    (MEMORY, "recall"): consumers.recall,
    **{(kind, "mark"): consumers.mark for kind in CONSUMERS},
    **{(kind, "apply"): consumers.apply for kind in CONSUMERS},
}
