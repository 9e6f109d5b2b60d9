"""The rules of actor types, for `/dapr/config` and the embedded runtime."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Depth = Annotated[int, Field(ge=1, le=32)]


@dataclass(frozen=True, slots=True)
class ActorRules:
    """The rules of one actor type.

    `idle_timeout` and `drain` are in seconds. `depth` is how many calls of one call chain may be in
    an actor at once: with 1, an actor that is called back waits for itself.
    """

    idle_timeout: float
    drain: float
    depth: int = 1

    @property
    def reentrant(self) -> bool:
        """May an actor be called back by the actors that it calls?"""
        return self.depth > 1


class ActorTypeSettings(BaseModel):
    """Overrides for one actor type; what is None is as for all types."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    idle_timeout: Seconds | None = None
    drain: Seconds | None = None
    reentrancy_depth: Depth | None = None


RulesOf = Callable[[str], ActorRules]
"""The rules of an actor type, by its name."""


def rules_of(general: ActorRules, types: Mapping[str, ActorTypeSettings]) -> RulesOf:
    """The rules of every type, from those of all types and the overrides."""
    own = {
        name: ActorRules(
            each.idle_timeout or general.idle_timeout,
            each.drain or general.drain,
            each.reentrancy_depth or general.depth,
        )
        for name, each in types.items()
    }
    return lambda name: own.get(name, general)
